"""What a clip is like under the model's density: arXiv 2504.06675, section 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..geometry.density import measure
from ..geometry.density.boundary import relax, residual
from ..geometry.density.curve import Curve
from .evaluation import Evaluator, Prepared, evaluate
from .frame_prompts import check_one_prompt, cut, frame_prompts, pick
from .frames import Prompts
from .inversion import invert
from .model_score import TRUE_SCORE, Asked, preview
from .noise_path import NOISE_LEVEL, SIGMA
from .noised import (
    NoiseLevel,
    check_channels,
    check_noise,
    level_if_noised,
    level_of,
    same_level,
)

# How frames that are not inverted yet are: as in the paper, with one refinement for 60 dB.
INVERSION_STEPS, INVERSION_LEVEL, INVERSION_REFINEMENTS = 30, 0.6, 1
INVERSION_BATCH = 8
# The rate of the optimised path. Steps are implicit, so it may be larger than the paper's 0.1.
RATE = 1.0
GIVEN, OPTIMISED, PERTURBED, SMOOTHED = "given", "optimised", "perturbed", "smoothed"


@dataclass(frozen=True)
class Settings:
    """draws: noise draws a score is averaged over; 0 asks at the frames themselves."""

    draws: int
    perturbation: float
    smoothing: float
    seed: int
    strength: float
    iterations: int
    score: str


@dataclass(frozen=True, eq=False)
class Analysis:
    """log density [F] relative to the first frame and log length, by the true score.

    norms, lengths: mean ‖G‖ and log length by variant, by the chosen score; empty where there are
    fewer than three places to be.
    """

    log_density: np.ndarray
    log_length: float
    norms: dict[str, float]
    lengths: dict[str, float]
    level: NoiseLevel
    settings: Settings

    @property
    def is_near_geodesic(self) -> bool:
        """The paper's criterion: near the optimised path's norm, below the two others'."""
        given, best = self.norms[GIVEN], self.norms[OPTIMISED]
        others = min(self.norms[PERTURBED], self.norms[SMOOTHED])
        return given - best < others - given

    @property
    def verdict(self) -> str:
        if not self.norms:
            return "Whether it is a geodesic can be asked of three frames or more that differ."
        given = self.norms[GIVEN]
        ratios = ", ".join(
            f"{given / max(self.norms[name], 1e-30):.2f} times that of the {name} path"
            for name in (OPTIMISED, PERTURBED, SMOOTHED)
        )
        if self.is_near_geodesic:
            return f"Nearly a geodesic: its gradient norm is {ratios}."
        return f"No geodesic: its gradient norm is {ratios}."

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
            *(rows or ["| given | needs three frames that differ | |"]),
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
    """The analysis of all frames in order. Raises ValueError for frames that make no path."""
    check_one_prompt("negative", negative)
    prompts = frame_prompts(positives, [_count(latent) for latent in latents])
    level, points = frames_at_level(model, prompts, latents)
    if len(points) < 2:
        raise ValueError("latents: expected a path of at least two frames, got one.")
    curve = Curve(points.flatten(1))

    def work(evaluator: Evaluator) -> Analysis:
        asked = Asked(evaluator, model, level, settings.score, settings.seed, jittered=True)
        return Analyst(asked, prompts, negative, settings).analyse(curve)

    conditionings = [part.conditioning for part in prompts]
    return evaluate(model, [*conditionings, negative], points[:1], level.sigma, work)


class Analyst:
    """A model, the prompts of all frames, and how far the work has come."""

    def __init__(
        self, asked: Asked, prompts: Sequence[Prompts], negative: Any, settings: Settings
    ) -> None:
        self.asked, self.prompts, self.settings = asked, prompts, settings
        self.negative = asked.evaluator.negative(negative)
        self.report = preview(asked.model, asked.evaluator)
        self.passes = max(settings.draws, 1)
        self.total = 5 * self.passes + settings.iterations
        self.done = 0

    def analyse(self, curve: Curve) -> Analysis:
        s = self.settings
        every = self._prepared(range(curve.legs + 1))
        scores = self._scores(replace(self.asked, score=TRUE_SCORE), every, curve)
        log_density = measure.relative_log_density(curve.knots, scores)
        length = measure.log_length(curve.knots, log_density, s.strength)
        found = Analysis(log_density, length, {}, {}, self.asked.level, s)
        kept = moving(curve)
        if len(kept) < 3:
            return found
        path = replace(curve, knots=curve.knots[kept])
        prompts = self._prepared(kept)
        norms, lengths = {}, {}
        for name, one in self._variants(path, kept).items():
            scores = self._scores(self.asked, prompts, one)
            rest = residual(one, scores[1:-1], s.strength)
            norms[name] = rest.mean_norm / (s.strength or 1.0)
            density = measure.relative_log_density(one.knots, scores)
            lengths[name] = measure.log_length(one.knots, density, s.strength)
        return replace(found, norms=norms, lengths=lengths)

    def _variants(self, path: Curve, kept: Sequence[int]) -> dict[str, Curve]:
        s = self.settings
        asked = self.asked if s.draws else replace(self.asked, seed=None)
        prompts = self._prepared(kept[1:-1])
        score = asked.of(lambda _: prompts, self.negative)
        rates = [RATE * (1 - i / s.iterations) / (path.legs - 1) for i in range(s.iterations)]
        optimised, _ = relax(path, score, s.strength, rates, lambda *_: self._count())
        return {
            GIVEN: path,
            OPTIMISED: optimised,
            PERTURBED: measure.perturbed(path, s.perturbation, s.seed),
            SMOOTHED: measure.smoothed(path, s.smoothing),
        }

    def _scores(self, asked: Asked, prompts: list[Prepared], curve: Curve) -> Tensor:
        """∇ log p [n+1, D], the mean over noise draws that are the same for every curve."""
        asked = asked if self.settings.draws else replace(asked, seed=None)
        score = asked.of(lambda _: prompts, self.negative)
        found = torch.zeros_like(curve.knots)
        for _ in range(self.passes):
            self._count()
            found += score(curve.knots, curve.times) / self.passes
        return found

    def _prepared(self, frames: Sequence[int]) -> list[Prepared]:
        """The prompts of some frames, in batches that fit into memory."""
        evaluator = self.asked.evaluator
        return [
            evaluator.prepared(batch)
            for part in pick(self.prompts, frames)
            for batch in cut(part, evaluator.fitting(part.stop - part.start))
        ]

    def _count(self) -> None:
        self.report(self.done, self.total)
        self.done += 1


def moving(curve: Curve) -> list[int]:
    """The frames that differ from the one before, the first included."""
    steps = (curve.knots[1:] - curve.knots[:-1]).norm(dim=1)
    return [0, *(int(k) + 1 for k in torch.nonzero(steps > 1e-5 * curve.knots[0].norm()))]


def frames_at_level(
    model: Any, prompts: Sequence[Prompts], latents: Sequence[dict[str, Any]]
) -> tuple[NoiseLevel, Tensor]:
    """All frames as unit-variance noise [F, C, ...] of one level.

    Taken as they are from Invert Image and from density paths; pictures' latents are inverted.
    """
    found = [_noise(model, part, latent) for part, latent in zip(prompts, latents, strict=True)]
    shapes = {tuple(points.shape[1:]) for _, points in found}
    if len(shapes) != 1:
        raise ValueError(f"latents: expected frames of one size, got {sorted(map(list, shapes))}.")
    level = found[0][0]
    for other, _ in found:
        if not same_level(level.sigma, other.sigma):
            raise ValueError(
                f"latents: expected frames at one noise level, got sigmas {level.sigma:.4g} and "
                f"{other.sigma:.4g}. Invert all of them with the same noise_level and steps."
            )
    return level, torch.cat([points for _, points in found]).float()


def _noise(model: Any, prompt: Prompts, latent: dict[str, Any]) -> tuple[NoiseLevel, Tensor]:
    samples = latent["samples"]
    if (of_path := level_if_noised(latent)) is not None:
        check_channels(model, "latents", samples.shape[1])
        level = level_of(model, "latents", *of_path)
        inside = model.get_model_object("process_latent_in")(samples)
        return level, (inside / level.to_sampler).cpu()
    if NOISE_LEVEL not in latent:
        latent = _inverted(model, prompt, samples)
    points = check_noise(model, "latents", latent)
    return level_of(model, "latents", latent[NOISE_LEVEL], latent[SIGMA]), points


def _inverted(model: Any, prompt: Prompts, samples: Tensor) -> dict[str, Any]:
    """Pictures' latents inverted in small batches, as a clip may be long."""
    settings = INVERSION_STEPS, INVERSION_LEVEL, INVERSION_REFINEMENTS
    found = []
    for part in cut(replace(prompt, start=0, stop=len(samples)), INVERSION_BATCH):
        batch = {"samples": samples[part.start : part.stop]}
        names = ("latents", "positive")
        found.append(invert(model, part.conditioning, batch, *settings, names).latent)
    return found[0] | {"samples": torch.cat([one["samples"] for one in found])}


def _count(latent: dict[str, Any]) -> int:
    samples = latent["samples"]
    if samples.is_nested:
        raise ValueError(
            "latents: this model's latents are nested (picture and sound together), which density "
            "paths can't follow."
        )
    return len(samples)
