"""Latents at a noise level: as Invert Image makes them, and as samplers go on from them."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import Any

import comfy.model_sampling
import torch
from torch import Tensor

from ..geometry.density.score import Level
from .noise_path import NOISE_LEVEL, NOISED, SIGMA

OPPOSITE = 1e-6


@dataclass(frozen=True)
class NoiseLevel:
    """How far up in noise the points are: a share of the model's time, and its σ there."""

    share: float
    sigma: float
    flow: bool

    def of(self, count: int) -> Level:
        """The level of `count` points."""
        return Level(torch.full((count,), self.sigma, dtype=torch.float64), self.flow)

    @property
    def to_sampler(self) -> float:
        """The factor from unit-variance noise to a LATENT that a sampler starts from."""
        # With no noise added, flow models' samplers multiply the latent by 1 − σ.
        level = self.of(1)
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
    if not same_level(levels[0][1], levels[1][1]):
        raise ValueError(
            f"latent_a and latent_b: expected one noise level, got {levels[0][0]:g} and "
            f"{levels[1][0]:g} (sigma {levels[0][1]:.4g} and {levels[1][1]:.4g}). Give both Invert "
            "Image nodes the same noise_level and steps."
        )
    a, b = points[0].float(), points[1].float()
    if float((a / a.norm() + b / b.norm()).norm()) < OPPOSITE:
        raise ValueError(
            "latent_a and latent_b: expected images with one shortest arc between them, got exact "
            "opposites. Change one of them a little."
        )
    return level_of(model, "latent_a and latent_b", *levels[0]), (a, b)


def same_level(one: float, other: float) -> bool:
    """Whether two σ are one noise level."""
    return math.isclose(one, other, rel_tol=1e-3)


def is_flow(model: Any) -> bool:
    """Whether a model's x_σ is (1−σ) x_0 + σ ε."""
    return isinstance(model.get_model_object("model_sampling"), comfy.model_sampling.CONST)


def level_of(model: Any, name: str, share: float, sigma: float) -> NoiseLevel:
    """The noise level of latents for this model. Raises ValueError where no path can be there."""
    level = NoiseLevel(share, sigma, is_flow(model))
    if level.flow and sigma > 1 - 1e-4:
        raise ValueError(
            f"{name}: at noise_level 1 a flow model's latents are noise alone, and "
            "no sampler can go on from them. Invert images to a lower level, such as 0.6."
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
    check_channels(model, name, samples.shape[1])
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity. Check the model.")
    if not bool(samples.flatten(1).any(dim=1).all()):
        raise ValueError(f"{name}: expected the noise of an image, got zeros. Check the model.")
    return samples.detach().cpu()


def check_channels(model: Any, name: str, channels: int) -> None:
    """Raise ValueError unless latents have as many channels as the model's."""
    expected = model.get_model_object("latent_format").latent_channels
    if channels != expected:
        raise ValueError(
            f"{name}: expected {expected} channels as this model has, got {channels}. Use one "
            "checkpoint for all of a path."
        )


def noised(samples: Tensor, level: NoiseLevel) -> dict[str, Any]:
    """What says of a LATENT that a sampler goes on from it, and from where."""
    return {NOISED: (level.share, level.sigma, weakref.ref(samples))}


def level_if_noised(latent: dict[str, Any]) -> tuple[float, float] | None:
    """Share and σ of latents that a density path made; None for others.

    Raises ValueError for latents that were one and have been changed since.
    """
    if NOISED not in latent:
        return None
    share, sigma, samples = latent[NOISED]
    if samples() is not latent["samples"]:
        raise ValueError(
            "latents: these came from a density path and were changed since. Connect the path's "
            "latents directly; for rendered frames, go through VAE Decode and VAE Encode."
        )
    return share, sigma
