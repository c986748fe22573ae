"""The score ∇ log p of a diffusion model's density at one noise level.

A point is z = signal·x_0 + noise·ε, as `geometry.noise_level` defines it for every kind of model.
With the model's D(x_σ, σ) ≈ E[x_0 | z] its predicted noise is ε = (z − signal·D)/noise, and the
score of its density is −ε/noise (Tweedie's formula; Song et al. 2021, arXiv 2011.13456).

arXiv 2504.06675, section 5, takes (ε_negative − ε_positive)/2 instead, at a jittered noise level:
it points away from what the negative prompt says, and towards the positive one. The paper does not
say how it brings a point to another level. The authors' code takes one random ε for that of the
point and goes up or down with it, see `taken_to`. By default levels here are jittered upwards only,
by the forward process itself, z' = (signal'/signal) z + … ε. The mean over the jitter is then the
gradient of one smooth function of z, and the paths are geodesics of that.
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
    return -noise / per_point(level.noise, z)


def noise_difference(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, positive: Any, negative: Any
) -> Tensor:
    """(ε_negative − ε_positive)/2 [F, ...], the paper's estimate; not in the unit of a score."""
    of_positive, of_negative = predicted_noises(denoiser, z, level, [positive, negative])
    return (of_negative - of_positive) / 2


def raised(z: Tensor, low: NoiseLevel, high: NoiseLevel, noise: Tensor) -> Tensor:
    """Points [F, ...] brought from one noise level up to another with fresh noise [F, ...].

    This is the forward process: points with the density of the low level get that of the high one.
    """
    share, fresh = _forward_factors(low, high)
    return per_point(share, z) * z + per_point(fresh, z) * noise


def taken_to(z: Tensor, level: NoiseLevel, other: NoiseLevel, noise: Tensor) -> Tensor:
    """Points [F, ...] taken to another noise level, up or down, as if `noise` were their own ε.

    The paper's authors do so, with a random ε: z' = signal' (z − noise·ε)/signal + noise'·ε. Going
    up it adds less noise than the forward process, and going down it takes some off along ε, so
    the points have not quite the density of the level that they come to.
    """
    share = other.signal / level.signal
    return per_point(share, z) * z + per_point(other.noise - share * level.noise, z) * noise


@dataclass(frozen=True, eq=False)
class Jitter:
    """The noise levels to draw from, one for each point, and the generator of all draws.

    sigmas [K]: none below that of the points, unless levels are drawn both ways. generator: on the
    CPU, so that draws are the same on every machine.
    """

    sigmas: Tensor
    generator: torch.Generator
    flow: bool = False
    both_ways: bool = False

    def draw(self, z: Tensor, level: NoiseLevel) -> tuple[NoiseLevel, Tensor]:
        """A level for each of the points [F, ...], and fresh noise [F, ...]."""
        choice = torch.randint(len(self.sigmas), (len(z),), generator=self.generator)
        noise = torch.randn(z.shape, generator=self.generator, dtype=torch.float32)
        sigma = self.sigmas[choice].to(level.sigma)
        if not self.both_ways:
            sigma = torch.maximum(sigma, level.sigma)
        return NoiseLevel(sigma, self.flow), noise.to(z)


def jittered_true_score(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, condition: Any, jitter: Jitter
) -> Tensor:
    """One draw of ∇_z E log p'(z') [F, ...], p' being the density of the jittered level.

    The fresh noise ε itself adds −fresh/noise'² ε to the score, along directions in which images do
    not differ. That has mean 0 but is much larger than the score, so it is subtracted.
    """
    high, noise = jitter.draw(z, level)
    share, fresh = _forward_factors(level, high)
    score = true_score(denoiser, raised(z, level, high, noise), high, condition)
    return per_point(share, z) * (score + per_point(fresh / high.noise.square(), z) * noise)


def jittered_noise_difference(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, positive: Any, negative: Any, jitter: Jitter
) -> Tensor:
    """One draw of the paper's estimate [F, ...], at the jittered level."""
    other, noise = jitter.draw(z, level)
    bring = taken_to if jitter.both_ways else raised
    return noise_difference(denoiser, bring(z, level, other, noise), other, positive, negative)


def _forward_factors(low: NoiseLevel, high: NoiseLevel) -> tuple[Tensor, Tensor]:
    """The factors [F] of z and of fresh noise ε in z' = share·z + fresh·ε."""
    share = high.signal / low.signal
    return share, (high.noise.square() - (share * low.noise).square()).clamp_min(0).sqrt()


def predicted_noises(
    denoiser: Denoiser, z: Tensor, level: NoiseLevel, conditions: Sequence[Any]
) -> list[Tensor]:
    """ε [F, ...] of points z [F, ...], for each condition."""
    denoised = denoiser(per_point(level.model_scale, z) * z, level.sigma, conditions)
    signal, noise = per_point(level.signal, z), per_point(level.noise, z)
    return [(z - signal * image) / noise for image in denoised]


def per_point(values: Tensor, like: Tensor) -> Tensor:
    """Numbers [F], one for each of F points, in a shape that multiplies those points."""
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))
