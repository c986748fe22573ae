"""The density and length of a clip, and is it a geodesic? (arXiv 2504.06675, section 6)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...geometry.density import measure
from ...geometry.density.boundary import relax, residual
from ...geometry.density.curve import Curve
from ..internals import LoadedModel, with_loaded_model
from ..latents import (
    NOISE_LEVEL,
    SIGMA,
    InvertedLevel,
    check_channels,
    inverted_noise,
    level_if_noised,
    level_of,
    plain_samples,
    same_level,
)
from ..noise.inversion import invert
from ..prompt.batches import FrameBatch, batches_of, check_one_prompt, pick, split
from .model import TRUE_SCORE, ModelAtLevel

# The inversion of pictures: as in the paper, plus one refinement of every step.
INVERSION_STEPS, INVERSION_LEVEL, INVERSION_REFINEMENTS = 30, 0.6, 1
INVERSION_BATCH = 8
# Learning rate of the optimised path. Implicit steps allow more than the paper's 0.1.
RATE = 1.0
GIVEN, OPTIMISED, PERTURBED, SMOOTHED = "given", "optimised", "perturbed", "smoothed"


@dataclass(frozen=True)
class Settings:
    """draws: noise draws over which a score is averaged; 0 takes scores at the frames."""

    draws: int
    perturbation: float
    smoothing: float
    seed: int
    strength: float
    iterations: int
    score: str


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result for one clip.

    log_density [F], relative to the first frame, and log_length use the true score. norms, lengths:
    mean ‖G‖ and log length of the clip and its variants, by the chosen score; empty for fewer than
    three different frames.
    """

    log_density: np.ndarray
    log_length: float
    norms: dict[str, float]
    lengths: dict[str, float]
    level: InvertedLevel
    settings: Settings

    @property
    def is_near_geodesic(self) -> bool:
        """The paper's criterion: the norm is nearer to the optimised path's than to the others'."""
        given, best = self.norms[GIVEN], self.norms[OPTIMISED]
        others = min(self.norms[PERTURBED], self.norms[SMOOTHED])
        return given - best < others - given

    @property
    def verdict(self) -> str:
        if not self.norms:
            return "Three different frames are needed to tell whether this is a geodesic."
        given = self.norms[GIVEN]
        ratios = ", ".join(
            f"{given / max(self.norms[name], 1e-30):.2f} times that of the {name} path"
            for name in (OPTIMISED, PERTURBED, SMOOTHED)
        )
        if self.is_near_geodesic:
            return f"Nearly a geodesic: its gradient norm is {ratios}."
        return f"Not a geodesic: its gradient norm is {ratios}."

    @property
    def drawn(self) -> dict[str, Any]:
        """What the node's panel shows."""
        return {
            "log_density": self.log_density.tolist(),
            "log_length": self.log_length,
            "variants": [(name, self.norms[name], self.lengths[name]) for name in self.norms],
            "near": self.is_near_geodesic if self.norms else None,
            "noise_level": self.level.share,
            "strength": self.settings.strength,
            "draws": self.settings.draws,
            "score": self.settings.score,
        }

    @property
    def table(self) -> str:
        """Markdown."""
        s = self.settings
        draws = f"over {s.draws} noise draws" if s.draws else "at the frames themselves"
        rows = [
            f"| {name} | {self.norms[name]:.4g} | {self.lengths[name]:.4f} |" for name in self.norms
        ]
        lowest = int(self.log_density.argmin())
        lines = [
            f"{len(self.log_density)} frames at noise level {self.level.share:g} (sigma "
            f"{self.level.sigma:.3f}); strength a = {s.strength:g}; scores {draws}.",
            "",
            f"Log geodesic distance: {self.log_length:.4f}. Log density of the last frame "
            f"relative to the first: {self.log_density[-1]:.3f}; lowest "
            f"{self.log_density[lowest]:.3f} at frame {lowest + 1}.",
            "",
            f"| path | mean norm of G, by {s.score} | log length, by {s.score} |",
            "|---|---|---|",
            *(rows or ["| given | needs three different frames | |"]),
            "",
            self.verdict,
        ]
        return "\n".join(lines)


def analyse(
    model: Any,
    positives: Sequence[Any],
    negative: Any,
    latents: Sequence[dict[str, Any]],
    settings: Settings,
) -> Analysis:
    """The analysis of all frames, in order. Raises ValueError for frames that form no path."""
    check_one_prompt("negative", negative)
    prompts = batches_of(positives, [len(plain_samples("latents", latent)) for latent in latents])
    level, points = frames_at_level(model, prompts, latents)
    if len(points) < 2:
        raise ValueError("latents: expected a path of at least two frames, got one.")
    curve = Curve(points.flatten(1))

    def work(loaded: LoadedModel) -> Analysis:
        return Analyst(loaded, level, prompts, negative, settings).analyse(curve)

    conditionings = [batch.conditioning for batch in prompts]
    return with_loaded_model(model, [*conditionings, negative], points[:1], level.sigma, work)


class Analyst:
    """Analyses curves with a loaded model and the prompts of all frames, and shows progress."""

    def __init__(
        self,
        loaded: LoadedModel,
        level: InvertedLevel,
        prompts: Sequence[FrameBatch],
        negative: Any,
        settings: Settings,
    ) -> None:
        self.loaded, self.level, self.negative = loaded, level, negative
        self.prompts, self.settings = prompts, settings
        self.report = loaded.progress()
        self.passes = max(settings.draws, 1)
        self.total = 5 * self.passes + settings.iterations
        self.done = 0

    def analyse(self, curve: Curve) -> Analysis:
        """Density and length of the frames, and how the path compares with its variants."""
        s = self.settings
        scores = self._scores(curve, range(curve.legs + 1), TRUE_SCORE)
        log_density = measure.relative_log_density(curve.knots, scores)
        length = measure.log_length(curve.knots, log_density, s.strength)
        analysis = Analysis(log_density, length, {}, {}, self.level, s)
        kept = distinct_frames(curve)
        if len(kept) < 3:
            return analysis
        path = replace(curve, knots=curve.knots[kept])
        norms, lengths = {}, {}
        for name, variant in self._variants(path, kept).items():
            scores = self._scores(variant, kept, s.score)
            norms[name] = residual(variant, scores[1:-1], s.strength).mean_norm / (s.strength or 1)
            density = measure.relative_log_density(variant.knots, scores)
            lengths[name] = measure.log_length(variant.knots, density, s.strength)
        return replace(analysis, norms=norms, lengths=lengths)

    def _variants(self, path: Curve, kept: Sequence[int]) -> dict[str, Curve]:
        s = self.settings
        score = self._model(kept[1:-1], s.score).score
        rates = [RATE * (1 - i / s.iterations) / (path.legs - 1) for i in range(s.iterations)]
        optimised, _ = relax(path, score, s.strength, rates, lambda *_: self._count())
        return {
            GIVEN: path,
            OPTIMISED: optimised,
            PERTURBED: measure.perturbed(path, s.perturbation, s.seed),
            SMOOTHED: measure.smoothed(path, s.smoothing),
        }

    def _scores(self, curve: Curve, frames: Sequence[int], kind: str) -> Tensor:
        """∇ log p [n+1, D], the mean over noise draws that are the same for every curve."""
        model = self._model(frames, kind)
        mean = torch.zeros_like(curve.knots)
        for _ in range(self.passes):
            self._count()
            mean += model.score(curve.knots, curve.times) / self.passes
        return mean

    def _model(self, frames: Sequence[int], kind: str) -> ModelAtLevel:
        """The model with the prompts of these frames, in batches that fit into memory."""
        batches = [
            part
            for batch in pick(self.prompts, frames)
            for part in split(batch, self.loaded.fitting(batch.count))
        ]
        seed = self.settings.seed if self.settings.draws else None
        return ModelAtLevel(
            self.loaded, self.level, batches, self.negative, kind, seed, jittered=True
        )

    def _count(self) -> None:
        self.report(self.done, self.total)
        self.done += 1


def distinct_frames(curve: Curve) -> list[int]:
    """The first frame, and all that differ from the frame before."""
    steps = (curve.knots[1:] - curve.knots[:-1]).norm(dim=1)
    return [0, *(int(k) + 1 for k in torch.nonzero(steps > 1e-5 * curve.knots[0].norm()))]


def frames_at_level(
    model: Any, prompts: Sequence[FrameBatch], latents: Sequence[dict[str, Any]]
) -> tuple[InvertedLevel, Tensor]:
    """All frames as unit-variance noise [F, C, ...] of one level.

    Latents of Invert Image and of density paths are used as they are; those of pictures are
    inverted.
    """
    noises = [_noise(model, part, latent) for part, latent in zip(prompts, latents, strict=True)]
    shapes = {tuple(points.shape[1:]) for _, points in noises}
    if len(shapes) != 1:
        raise ValueError(f"latents: expected frames of one size, got {sorted(map(list, shapes))}.")
    level = noises[0][0]
    for part_level, _ in noises:
        if not same_level(level.sigma, part_level.sigma):
            raise ValueError(
                f"latents: expected frames at one noise level, got sigmas {level.sigma:.4g} and "
                f"{part_level.sigma:.4g}. Invert all of them with the same noise_level and steps."
            )
    return level, torch.cat([points for _, points in noises]).float()


def _noise(model: Any, prompt: FrameBatch, latent: dict[str, Any]) -> tuple[InvertedLevel, Tensor]:
    samples = latent["samples"]
    if (of_path := level_if_noised(latent)) is not None:
        check_channels(model, "latents", samples.shape[1])
        level = level_of(model, "latents", *of_path)
        inside = model.get_model_object("process_latent_in")(samples)
        return level, (inside / level.sampler_scale).cpu()
    if NOISE_LEVEL not in latent:
        latent = _inverted(model, prompt, samples)
    points = inverted_noise(model, "latents", latent)
    return level_of(model, "latents", latent[NOISE_LEVEL], latent[SIGMA]), points


def _inverted(model: Any, prompt: FrameBatch, samples: Tensor) -> dict[str, Any]:
    """Invert the latents of pictures, in small batches because a clip may be long."""
    settings = INVERSION_STEPS, INVERSION_LEVEL, INVERSION_REFINEMENTS
    inversions = []
    for part in split(replace(prompt, start=0, stop=len(samples)), INVERSION_BATCH):
        batch = {"samples": samples[part.start : part.stop]}
        names = ("latents", "positive")
        inversions.append(invert(model, part.conditioning, batch, *settings, names).latent)
    return inversions[0] | {"samples": torch.cat([inverted["samples"] for inverted in inversions])}
