"""DDIM inversion on ComfyUI's own models: from an image to the noise that makes it.

Song et al. 2020 (arXiv 2010.02502); steps and guidance as in arXiv 2408.08558, appendix D. A
sampler goes from noise to image along dx/dσ = (x − D(x, σ))/σ; inversion goes the other way, so it
needs the slope at the end of a step before it is there. DDIM takes the slope ε_θ(z, t) of the point
it comes from, put at the noise level it goes to. Each refinement takes it again at the point that
was reached (fixed-point iteration; Pan et al. 2023, arXiv 2309.04907).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import comfy.model_management as management
import comfy.model_sampling
import comfy.sample
import comfy.samplers
import latent_preview
import torch
from torch import Tensor

from .noise_path import NOISE_LEVEL, NOISED, SIGMA, norm_ratios

# Equal steps of the model's own time, as DDIM takes them.
SCHEDULER = "normal"
MAX_STEPS = 10_000
TRUSTED = 0.1  # how far from 1 the norm ratio of a good inversion may be


@dataclass(frozen=True)
class Inversion:
    """The noise of a batch of images as a LATENT, and ‖z‖/√D of each."""

    latent: dict[str, Any]
    norm_ratios: list[float]

    @property
    def worst_ratio(self) -> float:
        """The norm ratio furthest from 1."""
        return max(self.norm_ratios, key=lambda ratio: abs(ratio - 1))

    @property
    def report(self) -> str:
        ratio = self.worst_ratio
        if self.latent.get(NOISE_LEVEL, 1.0) < 1:
            return f"norm ratio {ratio:.3f}, which tells something at noise_level 1 only"
        if abs(ratio - 1) <= TRUSTED:
            verdict = "near 1: this is noise as the model knows it"
        else:
            side = "low" if ratio < 1 else "high"
            verdict = f"too {side}: mixes will not look right. Raise steps or refinements"
        return f"norm ratio {ratio:.3f}, {verdict}"


class InverseSampler(comfy.samplers.Sampler):
    """ComfyUI's sampler interface (its only base class here), from σ = 0 upwards."""

    def __init__(self, refinements: int) -> None:
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
        space = model_wrap.inner_model.model_sampling
        x = latent_image
        for i, (here, there) in enumerate(pairwise(sigmas)):

            def slope(at: Tensor, sigma: Tensor = there) -> tuple[Tensor, Tensor]:
                denoised = model_wrap(at, sigma.expand(len(at)), **extra_args)
                return (at - denoised) / sigma, denoised

            direction, denoised = slope(x * (unit_scale(space, there) / unit_scale(space, here)))
            for _ in range(self.refinements):
                direction, denoised = slope(x + (there - here) * direction)
            x = x + (there - here) * direction
            if callback is not None:
                callback(i, denoised, x, len(sigmas) - 1)
        return x


def unit_scale(model_sampling: Any, sigma: Tensor) -> Tensor:
    """The standard deviation of x_σ for data of unit variance, by which noise is made unit again.

    √(1+σ²) where x_σ = x_0 + σε. Flow models mix (1−σ) x_0 + σε and end at the noise itself.
    """
    if isinstance(model_sampling, comfy.model_sampling.CONST):
        return torch.ones_like(sigma)
    return (1 + sigma.square()).sqrt()


def ascending_sigmas(model: Any, steps: int, noise_level: float) -> Tensor:
    """0 … σ(noise_level), [steps + 1]: BasicScheduler's "normal", denoise = level, turned round."""
    space = model.get_model_object("model_sampling")
    if steps / noise_level > MAX_STEPS:
        raise ValueError(
            f"steps: expected at most {int(MAX_STEPS * noise_level)} at noise_level "
            f"{noise_level:g}, got {steps}. A whole inversion would have more than {MAX_STEPS}."
        )
    every = comfy.samplers.calculate_sigmas(space, SCHEDULER, int(steps / noise_level))
    return every[-(steps + 1) :].flip(0)


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

    At a noise_level below 1 that is √ᾱ x_0 + √(1−ᾱ) ε, of unit variance too (flow models: their own
    x_σ). Shows progress and can be cancelled. Raises ValueError for latents that hold no image, are
    not finite, or do not fit the model or the conditioning; and for a model that breaks down.
    """
    samples = check_images(model, conditioning, latent, names)
    sigmas = ascending_sigmas(model, steps, noise_level)
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({"positive": conditioning})  # as BasicGuider: no negative, guidance 1
    carried = guider.sample(
        torch.zeros_like(samples),
        samples,
        InverseSampler(refinements),
        sigmas,
        callback=latent_preview.prepare_callback(model, len(sigmas) - 1),
        disable_pbar=True,
        seed=0,
    ).to(management.intermediate_device())
    inside = model.get_model_object("process_latent_in")(carried)
    noise = inside / unit_scale(model.get_model_object("model_sampling"), sigmas[-1])
    ratios = norm_ratios(noise)
    if not all(map(math.isfinite, ratios)):
        raise ValueError(
            "model: expected steps that give finite numbers, got NaN or infinity. Check the model "
            "file, or run it in a higher precision."
        )
    reached = {NOISE_LEVEL: noise_level, SIGMA: float(sigmas[-1])}
    kept = {key: value for key, value in latent.items() if key != NOISED}
    return Inversion({**kept, "samples": noise, **reached}, ratios)


def check_images(
    model: Any,
    conditioning: Any,
    latent: dict[str, Any],
    names: tuple[str, str] = ("latent", "conditioning"),
) -> Tensor:
    """The samples [B, C, ...] of a LATENT that this model can invert, each with its prompt.

    names: those of the inputs that latent and conditioning came by, for errors.
    """
    images, prompts = names
    samples = latent["samples"]
    if samples.is_nested:
        raise ValueError(
            f"{images}: this model's latents are nested (picture and sound together), which can't "
            "be inverted here."
        )
    samples = comfy.sample.fix_empty_latent_channels(model, samples)
    channels = model.get_model_object("latent_format").latent_channels
    if samples.shape[1] != channels:
        raise ValueError(
            f"{images}: expected {channels} channels as this model has, got {samples.shape[1]}. "
            "Encode the image with the VAE of the same checkpoint."
        )
    if not bool(torch.isfinite(samples).all()):
        raise ValueError("latent: expected finite numbers, got NaN or infinity. Check the VAE.")
    if not bool(samples.flatten(1).any(dim=1).all()):
        raise ValueError(
            f"{images}: expected an encoded image, got an empty latent. Connect VAE Encode."
        )
    if not conditioning:
        raise ValueError(f"{prompts}: expected at least one entry, got none. Connect a prompt.")
    for rows, _ in conditioning:
        if isinstance(rows, Tensor) and len(rows) not in (1, len(samples)):
            raise ValueError(
                f"{prompts}: expected one prompt, or one for each of the {len(samples)} images, "
                f"got {len(rows)}. Invert the images one by one, or with one prompt for all."
            )
    return samples.float()
