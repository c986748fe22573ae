"""DDIM inversion on ComfyUI's own models: from an image to the noise that makes it.

Song et al. 2020 (arXiv 2010.02502); steps and guidance as in arXiv 2408.08558, appendix D. A
sampler goes from noise to image along dx/dσ = (x − D(x, σ))/σ; inversion goes the other way, so it
needs the slope at the end of a step, a point it has not reached yet. DDIM takes the slope ε_θ(z, t)
at the start of the step, scaled to the noise level of its end. Each refinement takes the slope
again at the point that was reached (fixed-point iteration; Pan et al. 2023, arXiv 2309.04907).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ...geometry.gaussian_tests import GaussianTest, gaussian_tests, usual_norms
from ...geometry.noise_level import NoiseLevel
from ..fingerprint import fingerprint
from ..internals import Sampler, fitting_frames, is_flow, run_sampler, scheduler_sigmas
from ..latents import MODEL, NOISE_LEVEL, NOISED, SIGMA, encoded_pictures, norm_ratios
from ..prompt.batches import rows_of

# Equal steps of the model's own time, as DDIM takes them.
SCHEDULER = "normal"
MAX_STEPS = 10_000
TRUSTED = 0.1  # how far from 1 the norm ratio of a good inversion may be
# What a failed test means, with its value.
FAULTS = {
    "norm": "its norm is not that of a draw",
    "values": "its values are not spread as N(0, 1) (Kolmogorov-Smirnov {:.3f})",
    "neighbours": "neighbours correlate ({:+.2f})",
    "channels": "channels correlate ({:+.2f})",
}


@dataclass(frozen=True, eq=False)
class Inversion:
    """The noise of a batch of images as a LATENT, and ‖z‖/√D of each."""

    latent: dict[str, Any]
    norm_ratios: list[float]

    @property
    def worst(self) -> int:
        """The image whose norm ratio is furthest from 1."""
        ratios = self.norm_ratios
        return max(range(len(ratios)), key=lambda k: abs(ratios[k] - 1))

    @property
    def worst_ratio(self) -> float:
        """The norm ratio furthest from 1."""
        return self.norm_ratios[self.worst]

    @property
    def report(self) -> str:
        """Whether the noise passes as a Gaussian draw, and what to do if not, in words.

        Of a batch, the image that fails most tests, the one with the worst norm among equals.
        """
        level = self.latent[NOISE_LEVEL]
        if level < 1:
            ratio = self.worst_ratio
            return f"noise_level {level:g}: partly noised, so not tested. Norm ratio {ratio:.3f}"
        noises = self.latent["samples"]
        tested = [gaussian_tests(noise) for noise in noises]
        order = sorted(range(len(noises)), key=lambda k: k != self.worst)
        worst = min(order, key=lambda k: sum(test.passes for test in tested[k]))
        image = f"image {worst + 1} of {len(noises)}, the worst: " if len(noises) > 1 else ""
        return image + report_of(tested[worst], noises[worst].numel())


def report_of(tests: Sequence[GaussianTest], count: int) -> str:
    """The tests of one noise of `count` values in words, and what to do where some fail."""
    low, high = usual_norms(count)
    by_name = {test.name: test for test in tests}
    ratio = by_name["norm"].value
    lines = [f"norm ratio {ratio:.3f} (draws of a seed: {low:.3f} to {high:.3f})"]
    wrong = [FAULTS[test.name].format(test.value) for test in tests if not test.passes]
    if not wrong:
        lines.append("passes as Gaussian noise: norm, values, neighbours and channels")
        return "\n".join(lines)
    lines.append("not quite Gaussian noise: " + "; ".join(wrong))
    if abs(ratio - 1) > TRUSTED:
        lines.append("Mixes will not look right. Raise steps or refinements.")
    else:
        lines.append(
            "The image itself comes back. If mixes look flat or blurred, raise steps or "
            "refinements, or describe the image more closely."
        )
    return "\n".join(lines)


class InverseSampler(Sampler):
    """A sampler that goes upwards, from σ = 0 to noise.

    flow: whether the model is a flow model. refinements: corrections of each step.
    """

    def __init__(self, flow: bool, refinements: int) -> None:
        self.flow = flow
        self.refinements = refinements

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,  # noqa: ARG002
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,  # noqa: ARG002
        disable_pbar: bool = False,  # noqa: ARG002
    ) -> Tensor:
        """The latent [B, C, ...] carried from sigmas[0] to sigmas[-1], in the model's own scale."""
        x = latent_image
        scales = NoiseLevel(sigmas, self.flow).model_scale
        for i, (here, there) in enumerate(pairwise(sigmas)):

            def slope(at: Tensor, sigma: Tensor = there) -> tuple[Tensor, Tensor]:
                denoised = model_wrap(at, sigma.expand(len(at)), **extra_args)
                return (at - denoised) / sigma, denoised

            direction, denoised = slope(x * (scales[i + 1] / scales[i]))
            for _ in range(self.refinements):
                direction, denoised = slope(x + (there - here) * direction)
            x = x + (there - here) * direction
            if callback is not None:
                callback(i, denoised, x, len(sigmas) - 1)
        return x


def ascending_sigmas(model: Any, steps: int, noise_level: float) -> Tensor:
    """The σ from 0 up to σ(noise_level), [steps + 1]: BasicScheduler's "normal", reversed."""
    if steps / noise_level > MAX_STEPS:
        raise ValueError(
            f"steps: expected at most {int(MAX_STEPS * noise_level)} at noise_level "
            f"{noise_level:g}, got {steps}. An inversion to noise_level 1 would have more than "
            f"{MAX_STEPS}."
        )
    sigmas = scheduler_sigmas(model, SCHEDULER, int(steps / noise_level))
    return sigmas[-(steps + 1) :].flip(0)


@torch.no_grad()
def invert(
    model: Any,
    conditioning: Any,
    latent: dict[str, Any],
    steps: int,
    noise_level: float,
    refinements: int,
    names: tuple[str, str] = ("latent", "conditioning"),
) -> Inversion:
    """The noise of every image of a LATENT, of unit variance, at guidance 1.

    As many images at once as fit into free memory. At a noise_level below 1 that is
    √ᾱ x_0 + √(1−ᾱ) ε, of
    unit variance too (flow models: their own x_σ). Shows progress and can be cancelled. Raises
    ValueError for latents that hold no image, are not finite, or do not fit the model or the
    conditioning; and for a model that gives NaN or infinity.
    """
    samples = encoded_pictures(model, names[0], latent)
    _check_prompts(names[1], conditioning, len(samples))
    sigmas = ascending_sigmas(model, steps, noise_level)
    sampler = InverseSampler(is_flow(model), refinements)
    images = range(len(samples))
    size = fitting_frames(model, samples.shape[1:], len(samples))
    batches = [list(images[start : start + size]) for start in images[::size]]
    count = len(batches)
    carried = torch.cat(
        [
            run_sampler(model, sampler, rows_of(conditioning, b), samples[b], sigmas, (k, count))
            for k, b in enumerate(batches)
        ]
    )
    inside = model.get_model_object("process_latent_in")(carried)
    noise = inside / NoiseLevel(sigmas[-1], is_flow(model)).model_scale
    ratios = norm_ratios(noise)
    if not all(map(math.isfinite, ratios)):
        raise ValueError(
            "model: expected steps that give finite numbers, got NaN or infinity. Check the model "
            "file, or run it in a higher precision."
        )
    reached = {
        NOISE_LEVEL: noise_level,
        SIGMA: float(sigmas[-1]),
        MODEL: fingerprint(model),
    }
    kept = {key: value for key, value in latent.items() if key != NOISED}
    return Inversion({**kept, "samples": noise, **reached}, ratios)


def _check_prompts(name: str, conditioning: Any, images: int) -> None:
    """Raise ValueError unless there is one prompt for all images, or one for each."""
    if not conditioning:
        raise ValueError(f"{name}: expected at least one entry, got none. Connect a prompt.")
    for rows, _ in conditioning:
        if isinstance(rows, Tensor) and len(rows) not in (1, images):
            raise ValueError(
                f"{name}: expected one prompt, or one for each of the {images} images, "
                f"got {len(rows)}. Invert the images one by one, or with one prompt for all."
            )
