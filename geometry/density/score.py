"""The score ∇ log p of a diffusion model's density at one noise level.

A point is z = signal·x_0 + noise·ε, as `geometry.noise_level` defines it for every kind of model.
With the model's D(x_σ, σ) ≈ E[x_0 | z] its predicted noise is ε = (z − signal·D)/noise, and the
score of its density is −ε/noise (Tweedie's formula; Song et al. 2021, arXiv 2011.13456).

arXiv 2504.06675, section 5, takes (ε_negative − ε_positive)/2 instead, at a jittered noise level:
it points away from what the negative prompt says, and towards the positive one. How the paper
brings a point to another level could not be read from it. Here levels are jittered upwards only,
where the way up is the forward process itself, z' = (signal'/signal) z + … ε. The mean over the
jitter is then the gradient of one smooth function of z, and the paths are geodesics of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..noise_level import NoiseLevel

# (x_σ [F, ...], σ [F], conditions) → D [F, ...] for each condition. All conditions in one call, so
# that a model can evaluate them together.
Denoiser = Callable[[Tensor, Tensor, Sequence[Any]], Sequence[Tensor]]


def true_score(denoiser: Denoiser, z: Tensor, level: NoiseLevel, condition: Any) -> Tensor:
    """∇_z log p(z | condition) [F, ...] = −ε/noise."""
    (noise,) = predicted_noises(denoiser, z, level, [condition])
    return -noise / each(level.noise, z)


def noise_difference(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, positive: Any, negative: Any
) -> Tensor:
    """(ε_negative − ε_positive)/2 [F, ...], the paper's estimate; no unit of a score's own."""
    of_positive, of_negative = predicted_noises(denoiser, z, level, [positive, negative])
    return (of_negative - of_positive) / 2


def raised(z: Tensor, low: NoiseLevel, high: NoiseLevel, noise: Tensor) -> Tensor:
    """Points [F, ...] brought from one noise level up to another with fresh noise [F, ...].

    The forward process: what has the density of the low level gets that of the high one.
    """
    share, fresh = _way_up(low, high)
    return each(share, z) * z + each(fresh, z) * noise


@dataclass(frozen=True, eq=False)
class Jitter:
    """Noise levels from which each point's is drawn, and the generator of all draws.

    sigmas [K]: not below that of the points. generator: on the CPU, for equal draws everywhere.
    """

    sigmas: Tensor
    generator: torch.Generator
    flow: bool = False

    def draw(self, z: Tensor, level: NoiseLevel) -> tuple[NoiseLevel, Tensor]:
        """A level for each of the points [F, ...], and fresh noise [F, ...]."""
        choice = torch.randint(len(self.sigmas), (len(z),), generator=self.generator)
        noise = torch.randn(z.shape, generator=self.generator, dtype=torch.float32)
        sigma = self.sigmas[choice].to(level.sigma)
        return NoiseLevel(torch.maximum(sigma, level.sigma), self.flow), noise.to(z)


def jittered_true_score(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, condition: Any, jitter: Jitter
) -> Tensor:
    """One draw of ∇_z E log p'(z') [F, ...], p' being the density of the jittered level.

    What the fresh noise ε itself adds to the score is taken off: along directions in which images
    do not differ that is −fresh/noise'² ε, of mean 0, and much larger than the score.
    """
    high, noise = jitter.draw(z, level)
    share, fresh = _way_up(level, high)
    found = true_score(denoiser, raised(z, level, high, noise), high, condition)
    return each(share, z) * (found + each(fresh / high.noise.square(), z) * noise)


def jittered_noise_difference(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, positive: Any, negative: Any, jitter: Jitter
) -> Tensor:
    """One draw of the paper's estimate [F, ...], at the jittered level."""
    high, noise = jitter.draw(z, level)
    up = raised(z, level, high, noise)
    return noise_difference(denoiser, up, high, positive, negative)


def _way_up(low: NoiseLevel, high: NoiseLevel) -> tuple[Tensor, Tensor]:
    """z' = share·z + fresh·ε: both factors [F]."""
    share = high.signal / low.signal
    return share, (high.noise.square() - (share * low.noise).square()).clamp_min(0).sqrt()


def predicted_noises(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, conditions: Sequence[Any]
) -> list[Tensor]:
    """ε [F, ...] of points z [F, ...], for each condition."""
    denoised = denoiser(each(level.model_scale, z) * z, level.sigma, conditions)
    signal, noise = each(level.signal, z), each(level.noise, z)
    return [(z - signal * one) / noise for one in denoised]


def each(values: Tensor, like: Tensor) -> Tensor:
    """One number [F] for each of F points, ready to be multiplied with them."""
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))
