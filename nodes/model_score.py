"""∇ log p of ComfyUI's model at one noise level, for the solvers of `geometry.density`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management as management
import latent_preview
import numpy as np
import torch
from torch import Tensor

from ..geometry.density.boundary import Score
from ..geometry.density.score import (
    Jitter,
    Level,
    jittered_noise_difference,
    jittered_true_score,
    noise_difference,
    true_score,
)
from ..geometry.path import Path
from .evaluation import Evaluator, Prepared
from .noised import NoiseLevel

NOISE_DIFFERENCE, TRUE_SCORE = "noise difference", "true score"
SCORES = (NOISE_DIFFERENCE, TRUE_SCORE)
# How far above a point its noise is drawn, as a share of the model's time; from how many levels.
JITTER, JITTER_LEVELS = 0.1, 64

# From points [F, C, ...], their noise level and their prompts to a score [F, C, ...].
Estimate = Callable[[Tensor, Level, list[Prepared]], Tensor]


@dataclass(frozen=True, eq=False)
class Asked:
    """A model asked for scores at one noise level.

    jittered: whether the true score is averaged over noise above the points too; the noise
    difference always is, unless there is no seed.
    """

    evaluator: Evaluator
    model: Any
    level: NoiseLevel
    score: str
    seed: int | None
    jittered: bool = False

    def along(self, prompts: tuple[Path, ...], negative: list[Prepared]) -> Score:
        """The score of points on a path with these prompts beside it."""
        return self.of(lambda times: self.evaluator.along(prompts, times), negative)

    def of(
        self, prompts: Callable[[Sequence[float]], list[Prepared]], negative: list[Prepared]
    ) -> Score:
        """∇ log p of unit-variance points [n, D] as `geometry.density` takes it.

        Points and scores stay where the path is, on the CPU; only the model works on its device.
        """
        shape, device = self.evaluator.like.shape[1:], self.evaluator.device
        estimate = self._true() if self.score == TRUE_SCORE else self._difference(negative)

        def score(points: Tensor, times: Sequence[float]) -> Tensor:
            z = points.reshape(-1, *shape).to(device)
            found = estimate(z, self.level.of(len(z)), prompts(times))
            return found.reshape(points.shape).to(points)

        return score

    def _true(self) -> Estimate:
        if self.seed is None or not self.jittered:
            return lambda z, level, prompts: true_score(self.evaluator, z, level, prompts)
        jitter = self._jitter(self.seed)
        return lambda z, level, prompts: jittered_true_score(
            self.evaluator, z, level, prompts, jitter
        )

    def _difference(self, negative: list[Prepared]) -> Estimate:
        if self.seed is None:
            return lambda z, level, prompts: noise_difference(
                self.evaluator, z, level, prompts, negative
            )
        jitter = self._jitter(self.seed)
        return lambda z, level, prompts: jittered_noise_difference(
            self.evaluator, z, level, prompts, negative, jitter
        )

    def _jitter(self, seed: int) -> Jitter:
        generator = torch.Generator("cpu").manual_seed(seed)
        return Jitter(levels_above(self.model, self.level), generator, self.level.flow)


def preview(model: Any, evaluator: Evaluator) -> Callable[[int, int], None]:
    """Progress with a picture of the middle of what was evaluated last."""
    shown: list[Any] = []

    def report(done: int, most: int) -> None:
        management.throw_exception_if_processing_interrupted()
        if not shown:
            shown.append(latent_preview.prepare_callback(model, most))
        if evaluator.denoised is not None:
            middle = len(evaluator.denoised) // 2
            with torch.no_grad():
                shown[0](done - 1, evaluator.denoised[middle : middle + 1], None, most)

    return report


def levels_above(model: Any, level: NoiseLevel) -> Tensor:
    """The σ of evenly spaced times from a level on, none below it, [JITTER_LEVELS]."""
    space = model.get_model_object("model_sampling")
    top = min(level.share + JITTER, 1 - 1e-6)
    shares = np.linspace(min(level.share, top), top, JITTER_LEVELS)
    sigmas = [float(space.percent_to_sigma(1 - share)) for share in shares]
    return torch.tensor(sigmas, dtype=torch.float64).clamp_min(level.sigma)
