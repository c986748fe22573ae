"""∇ log p of ComfyUI's model at one noise level, for the solvers of `geometry.density`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...geometry.density.score import (
    Jitter,
    jittered_noise_difference,
    jittered_true_score,
    noise_difference,
    true_score,
)
from ...geometry.noise_level import NoiseLevel
from ...geometry.path import Path
from ..internals import LoadedModel
from ..latents import InvertedLevel
from ..prompt.batches import FrameBatch, batches_along

NOISE_DIFFERENCE, TRUE_SCORE = "noise difference", "true score"
BOTH_WAYS = "noise difference, both ways"
SCORES = (NOISE_DIFFERENCE, TRUE_SCORE, BOTH_WAYS)
# The jitter draws from JITTER_LEVELS noise levels, up to JITTER (a share of the model's time) above
# a point, or as far to both sides. At LOWEST an image is nearly without noise.
JITTER, JITTER_LEVELS, LOWEST = 0.1, 64, 0.01

# A batch of frames (start, stop) and its prompts as the model takes them.
_Prepared = tuple[int, int, Any]


@dataclass(eq=False)
class ModelAtLevel:
    """The scores of a loaded model at one noise level.

    prompts: one path for each entry of the conditioning, or batches that do not depend on time.
    negative: one CONDITIONING for all points. kind: one of `SCORES`. seed: of the jitter; None
    means no jitter: scores at the points themselves. jittered: whether the true score gets jitter
    too; the noise difference always does.
    """

    loaded: LoadedModel
    level: InvertedLevel
    prompts: tuple[Path, ...] | Sequence[FrameBatch]
    negative: Any
    kind: str
    seed: int | None
    jittered: bool = False

    def __post_init__(self) -> None:
        self._negative = self.loaded.conditions(self.negative, 1, "negative")
        self._jitter = self._new_jitter()
        self._times: tuple[float, ...] | None = None
        self._prepared: list[_Prepared] = []

    def score(self, points: Tensor, times: Sequence[float]) -> Tensor:
        """∇ log p [n, D] of unit-variance points [n, D] at n times on the path.

        Points and scores stay on the CPU, like the path; only the model works on its device.
        """
        z = points.reshape(-1, *self.loaded.like.shape[1:]).to(self.loaded.device)
        score = self._estimate(z, self.level.of(len(z)), self._prompts(times))
        return score.reshape(points.shape).to(points)

    def _estimate(self, z: Tensor, level: NoiseLevel, positive: list[_Prepared]) -> Tensor:
        jitter, denoise, negative = self._jitter, self._denoise, self._negative
        if self.kind == TRUE_SCORE:
            if jitter is None:
                return true_score(denoise, z, level, positive)
            return jittered_true_score(denoise, z, level, positive, jitter)
        if jitter is None:
            return noise_difference(denoise, z, level, positive, negative)
        return jittered_noise_difference(denoise, z, level, positive, negative, jitter)

    def _denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Any]) -> list[Tensor]:
        """`geometry.density.score.Denoiser`: D [F, ...] for each condition.

        The first condition holds prompts in batches of frames, the others one prompt for all.
        """
        batches, *others = conditions
        out = [torch.empty_like(x) for _ in conditions]
        for start, stop, positive in batches:
            part = slice(start, stop)
            batch = self.loaded.denoise(x[part], sigma[part], [positive, *others])
            for whole, denoised in zip(out, batch, strict=True):
                whole[part] = denoised
        return out

    def _prompts(self, times: Sequence[float]) -> list[_Prepared]:
        """The prompts at these times as the model takes them; kept for the next call."""
        wanted = tuple(times) if self._is_path else ()
        if wanted != self._times:
            self._times = wanted
            self._prepared = [
                (batch.start, batch.stop, self.loaded.conditions(batch.conditioning, batch.count))
                for batch in self._batches(times)
            ]
        return self._prepared

    @property
    def _is_path(self) -> bool:
        return isinstance(self.prompts[0], Path)

    def _batches(self, times: Sequence[float]) -> Sequence[Any]:
        if not self._is_path:
            return self.prompts
        paths: Any = self.prompts
        return batches_along(paths, times, self.loaded.fitting(len(times)))

    def _new_jitter(self) -> Jitter | None:
        if self.seed is None or (self.kind == TRUE_SCORE and not self.jittered):
            return None
        generator = torch.Generator("cpu").manual_seed(self.seed)
        if self.kind == BOTH_WAYS:
            sigmas = levels_around(self.loaded.patcher, self.level)
            return Jitter(sigmas, generator, self.level.flow, both_ways=True)
        sigmas = levels_above(self.loaded.patcher, self.level)
        return Jitter(sigmas, generator, self.level.flow)


def levels_above(model: Any, level: InvertedLevel) -> Tensor:
    """The σ [JITTER_LEVELS] of evenly spaced times from a level upwards, none below it."""
    return _levels(model, level.share, level).clamp_min(level.sigma)


def levels_around(model: Any, level: InvertedLevel) -> Tensor:
    """The σ [JITTER_LEVELS] of evenly spaced times from below a level to as far above it."""
    return _levels(model, max(level.share - JITTER, LOWEST), level)


def _levels(model: Any, lowest: float, level: InvertedLevel) -> Tensor:
    sampling = model.get_model_object("model_sampling")
    top = min(level.share + JITTER, 1 - 1e-6)
    shares = np.linspace(min(lowest, top), top, JITTER_LEVELS)
    sigmas = [float(sampling.percent_to_sigma(1 - share)) for share in shares]
    return torch.tensor(sigmas, dtype=torch.float64)
