"""Latents at a noise level: as Invert Image makes them, and as samplers go on from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import comfy.model_sampling
import torch
from torch import Tensor

from ..geometry.density.score import Level
from .noise_path import NOISE_LEVEL, SIGMA

# Set on latents that a sampler goes on from: (noise level, σ, the tensor it says this of). Nodes
# that change the tensor keep the key; the tensor in it tells.
NOISED = "geodesic_noised"


@dataclass(frozen=True)
class NoiseLevel:
    """How far up in noise the points are: a share of the model's time, and its σ there."""

    share: float
    sigma: float
    flow: bool

    def of(self, count: int, device: torch.device) -> Level:
        """The level of `count` points."""
        sigma = torch.full((count,), self.sigma, dtype=torch.float64, device=device)
        return Level(sigma, self.flow)

    @property
    def to_sampler(self) -> float:
        """The factor from unit-variance noise to a LATENT that a sampler starts from."""
        # With no noise added, flow models' samplers multiply the latent by 1 − σ.
        level = self.of(1, torch.device("cpu"))
        return float(level.scale / (level.signal if self.flow else 1))


def ends(
    model: Any, latent_a: dict[str, Any], latent_b: dict[str, Any]
) -> tuple[NoiseLevel, tuple[Tensor, Tensor]]:
    """The noise level of two inverted images and their noises [1, C, ...].

    Raises ValueError for anything but one image each, at one size and one noise level.
    """
    points = []
    for name, latent in (("latent_a", latent_a), ("latent_b", latent_b)):
        points.append(check_noise(model, name, latent))
        if len(points[-1]) != 1:
            raise ValueError(
                f"{name}: expected one inverted image, got a batch of {len(points[-1])}. Pick one "
                "with LatentFromBatch."
            )
    if points[0].shape != points[1].shape:
        raise ValueError(
            f"latent_a and latent_b: expected one size, got {list(points[0].shape[1:])} and "
            f"{list(points[1].shape[1:])}. Scale both images alike before they are encoded."
        )
    levels = [(latent[NOISE_LEVEL], latent[SIGMA]) for latent in (latent_a, latent_b)]
    if not math.isclose(levels[0][1], levels[1][1], rel_tol=1e-3):
        raise ValueError(
            f"latent_a and latent_b: expected one noise level, got {levels[0][0]:g} and "
            f"{levels[1][0]:g} (sigma {levels[0][1]:.4g} and {levels[1][1]:.4g}). Give both Invert "
            "Image nodes the same noise_level and steps."
        )
    return level_of(model, *levels[0]), (points[0].float(), points[1].float())


def level_of(model: Any, share: float, sigma: float) -> NoiseLevel:
    """The noise level of latents for this model. Raises ValueError where no path can be there."""
    space = model.get_model_object("model_sampling")
    level = NoiseLevel(share, sigma, isinstance(space, comfy.model_sampling.CONST))
    if level.flow and sigma > 1 - 1e-4:
        raise ValueError(
            "latent_a and latent_b: at noise_level 1 a flow model's latents are noise alone, and "
            "no sampler can go on from them. Invert both images to a lower level, such as 0.6."
        )
    return level


def check_noise(model: Any, name: str, latent: dict[str, Any]) -> Tensor:
    """The noises [B, C, ...] that Invert Image made. Raises ValueError for anything else."""
    samples = latent["samples"]
    if samples.is_nested:
        raise ValueError(
            f"{name}: this model's latents are nested (picture and sound together), which density "
            "paths can't follow."
        )
    if NOISE_LEVEL not in latent or SIGMA not in latent:
        raise ValueError(
            f"{name}: expected an inverted image, got a latent that Invert Image has not made. "
            "Connect VAE Encode → Invert Image, with noise_level 0.6."
        )
    channels = model.get_model_object("latent_format").latent_channels
    if samples.shape[1] != channels:
        raise ValueError(
            f"{name}: expected {channels} channels as this model has, got {samples.shape[1]}. "
            "Encode and invert the image with the same checkpoint."
        )
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity. Check the model.")
    return samples.detach().clone()


def check_one_prompt(name: str, conditioning: Any) -> None:
    """Raise ValueError unless a CONDITIONING holds one prompt for all frames."""
    if not conditioning:
        raise ValueError(f"{name}: expected a prompt, got an empty conditioning. Connect one.")
    for rows, _ in conditioning:
        if isinstance(rows, Tensor) and len(rows) != 1:
            raise ValueError(f"{name}: expected one prompt for all frames, got {len(rows)}.")
