"""Frames that start from noised images, those of a density path or of photos; no noise is added."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...geometry.placement import Insertion
from ...geometry.times import LOOP
from ..density.path import DensityPath
from ..internals import is_flow, latent_factor, noise_factor
from ..latents import InvertedLevel
from ..noise.images import ImagePath

# The first σ and the path's may differ by this part: schedulers round to the model's times.
NEAR = 0.05


@dataclass(frozen=True, eq=False)
class Starts:
    """Where the frames of a path of noised images start.

    name: of the path, for errors. at: times → the images [F, C, ...] of unit variance at `level`.
    shape: of one of them, [C, ...]. sigmas: those that the sampler runs, [steps + 1]. Raises
    ValueError where the sampler's first σ is not the path's, or the model is of another kind than
    the path's.
    """

    name: str
    model: Any
    level: InvertedLevel
    shape: tuple[int, ...]
    at: Callable[[Sequence[float]], Tensor]
    latent_format: Any
    sigmas: Tensor

    def __post_init__(self) -> None:
        level, first = self.level, float(self.sigmas[0])
        if is_flow(self.model) != level.flow:
            raise ValueError(f"model: expected the model of {self.name}, got another kind.")
        if not math.isclose(first, level.sigma, rel_tol=NEAR):
            raise ValueError(
                f"denoise: expected the noise level of {self.name}, {level.share:g} (sigma "
                f"{level.sigma:.3g}), got steps that begin at sigma {first:.3g}. Set denoise to "
                f"{level.share:g} and scheduler to 'normal'."
            )

    def latents(self, times: Sequence[float]) -> Tensor:
        """What the sampler takes for its latents [F, C, ...]."""
        inside = self.at(times) * self.level.sampler_scale
        return self.latent_format.process_out(inside.to("cpu", torch.float32))

    def missing(self, insertion: Insertion, left: float, right: float) -> Tensor:
        """What a mean of two neighbours' states lacks, before each step: [steps, C, ...].

        The path bends, and the mean of two points is on its chord. The difference at the path's
        noise level falls with the noise.
        """
        own, a, b = self.at([insertion.t, left, right]) * self.level.sampler_scale
        away = (own - torch.lerp(a, b, insertion.mix)) * latent_factor(self.model, self.sigmas[0])
        factors = [noise_factor(self.model, sigma) for sigma in self.sigmas[:-1]]
        return torch.stack([away.float() * (factor / factors[0]) for factor in factors])


def density_starts(model: Any, path: DensityPath, sigmas: Tensor, ending: str) -> Starts:
    """The starts on a density path, which has no way back of its own. Raises ValueError."""
    if ending == LOOP:
        raise ValueError(
            "ending: expected 'stop' or 'ping-pong', got 'loop'. A density path has no second "
            "way back from image B to image A."
        )

    def at(times: Sequence[float]) -> Tensor:
        return path.curve.at(times).reshape(len(times), *path.shape)

    name = "the density path"
    return Starts(name, model, path.level, path.shape, at, path.latent_format, sigmas)


def photo_starts(model: Any, path: ImagePath, sigmas: Tensor, ending: str) -> Starts:
    """The starts on a path of photos. Raises ValueError."""

    def at(times: Sequence[float]) -> Tensor:
        return path.at(times, ending)

    latent_format = model.get_model_object("latent_format")
    return Starts("the image path", model, path.level, path.shape, at, latent_format, sigmas)
