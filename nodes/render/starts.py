"""Frames of a density path: each starts from its own noised image, and no noise is added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...geometry.placement import Insertion
from ..density.path import DensityPath
from ..internals import is_flow, latent_factor, noise_factor

# The first σ and the path's may differ by this part: schedulers round to the model's times.
NEAR = 0.05


@dataclass(frozen=True, eq=False)
class DensityStarts:
    """Where the frames of a density path start. sigmas: those that the sampler runs, [steps + 1].

    Raises ValueError where the sampler's first σ is not the path's, or the model is of another kind
    than the path's.
    """

    model: Any
    path: DensityPath
    sigmas: Tensor

    def __post_init__(self) -> None:
        level, first = self.path.level, float(self.sigmas[0])
        if is_flow(self.model) != level.flow:
            raise ValueError("model: expected the model of the density path, got another kind.")
        if not math.isclose(first, level.sigma, rel_tol=NEAR):
            raise ValueError(
                f"denoise: expected the noise level of the density path, {level.share:g} (sigma "
                f"{level.sigma:.3g}), got steps that begin at sigma {first:.3g}. Set denoise to "
                f"{level.share:g} and scheduler to 'normal'."
            )

    def latents(self, times: Sequence[float]) -> Tensor:
        """What the sampler takes for its latents [F, C, ...]."""
        return self.path.latent(self.path.curve.at(times))["samples"]

    def missing(self, insertion: Insertion, left: float, right: float) -> Tensor:
        """What a mean of two neighbours' states lacks, before each step: [steps, C, ...].

        The path bends, and the mean of two points is on its chord. The difference at the path's
        noise level falls with the noise.
        """
        points = self.path.curve.at([insertion.t, left, right])
        own, a, b = points.reshape(3, *self.path.shape) * self.path.level.sampler_scale
        away = (own - torch.lerp(a, b, insertion.mix)) * latent_factor(self.model, self.sigmas[0])
        factors = [noise_factor(self.model, sigma) for sigma in self.sigmas[:-1]]
        return torch.stack([away.float() * (factor / factors[0]) for factor in factors])
