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
from .evaluation import Evaluator, evaluate
from .frames import Prompts
from .inversion import invert
from .model_score import TRUE_SCORE, Asked, preview
from .noise_path import NOISE_LEVEL, SIGMA
from .noised import NOISED, NoiseLevel, check_noise, check_one_prompt, level_of

# How frames that are not inverted yet are: as in the paper, with one refinement for 60 dB.
INVERSION_STEPS, INVERSION_LEVEL, INVERSION_REFINEMENTS = 30, 0.6, 1
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
    prompts = frame_prompts(positives, latents)
    level, points = frames_at_level(model, prompts, latents)
    curve = Curve(points.flatten(1))
    if len(points) < 2:
        raise ValueError("latents: expected a path of at least two frames, got one.")
    kept = moving(curve)

    def work(evaluator: Evaluator) -> Analysis:
        every = [evaluator.prepared(part) for part in cut(prompts, evaluator)]
        away = [evaluator.prepared(Prompts(0, 1, negative))]
        true = Asked(evaluator, model, level, TRUE_SCORE, settings.seed, jittered=True)
        whole = replace(curve, knots=curve.knots.to(evaluator.device))
        scores = averaged(true, every, away, settings.draws)(whole.knots)
        log_density = measure.relative_log_density(whole.knots, scores)
        length = measure.log_length(whole.knots, log_density, settings.strength)
        found = Analysis(log_density, length, {}, {}, level, settings)
        if len(kept) < 3:
            return found
        asked = replace(true, score=settings.score)
        path = replace(whole, knots=whole.knots[kept])
        beside = [evaluator.prepared(part) for part in cut(pick(prompts, kept), evaluator)]
        between = [evaluator.prepared(part) for part in cut(pick(prompts, kept[1:-1]), evaluator)]
        report = preview(model, evaluator)
        variants = {
            GIVEN: path,
            OPTIMISED: optimised(path, asked, between, away, settings, report),
            PERTURBED: measure.perturbed(path, settings.perturbation, settings.seed),
            SMOOTHED: measure.smoothed(path, settings.smoothing),
        }
        ask = averaged(asked, beside, away, settings.draws)
        norms, lengths = {}, {}
        for name, one in variants.items():
            s = ask(one.knots)
            rest = residual(one, s[1:-1], settings.strength)
            norms[name] = rest.mean_norm / (settings.strength or 1.0)
            density = measure.relative_log_density(one.knots, s)
            lengths[name] = measure.log_length(one.knots, density, settings.strength)
        return replace(found, norms=norms, lengths=lengths)

    conditionings = [part.conditioning for part in prompts]
    return evaluate(model, [*conditionings, negative], points, work)


def averaged(asked: Asked, prompts: list[Prompts], negative: list[Prompts], draws: int) -> Any:
    """A score [n, D] of points [n, D], the mean over noise draws that are the same every time."""

    def score(points: Tensor) -> Tensor:
        times = [0.0] * len(points)
        once = asked if draws else replace(asked, seed=None)
        ask = once.of(lambda _: prompts, negative)
        return torch.stack([ask(points, times) for _ in range(max(draws, 1))]).mean(dim=0)

    return score


def optimised(
    path: Curve,
    asked: Asked,
    prompts: list[Prompts],
    negative: list[Prompts],
    settings: Settings,
    report: Any,
) -> Curve:
    """The path relaxed towards a geodesic between its ends, from where it is."""
    once = asked if settings.draws else replace(asked, seed=None)
    score = once.of(lambda _: prompts, negative)
    count = settings.iterations
    rates = [RATE * (1 - i / count) / (path.legs - 1) for i in range(count)]
    return relax(path, score, settings.strength, rates, report)[0]


def moving(curve: Curve) -> list[int]:
    """The frames that differ from the one before, the first included."""
    steps = (curve.knots[1:] - curve.knots[:-1]).norm(dim=1)
    return [0, *(int(k) + 1 for k in torch.nonzero(steps > 1e-5 * curve.knots[0].norm()))]


def frame_prompts(positives: Sequence[Any], latents: Sequence[dict[str, Any]]) -> list[Prompts]:
    """The prompt of every frame: one for all, one a batch of latents, or one a frame."""
    counts = [len(latent["samples"]) for latent in latents]
    if len(positives) not in (1, len(latents)):
        raise ValueError(
            f"positive: expected one conditioning, or one for each of the {len(latents)} batches "
            f"of latents, got {len(positives)}. Connect both outputs of one node."
        )
    each = positives if len(positives) == len(latents) else list(positives) * len(latents)
    found, start = [], 0
    for number, (conditioning, count) in enumerate(zip(each, counts, strict=True), start=1):
        if not conditioning:
            raise ValueError("positive: expected a prompt, got an empty conditioning.")
        for rows, _ in conditioning:
            if isinstance(rows, Tensor) and len(rows) not in (1, count):
                raise ValueError(
                    f"positive: expected one prompt, or one for each of the {count} frames of "
                    f"batch {number}, got {len(rows)}."
                )
        found.append(Prompts(start, start + count, conditioning))
        start += count
    return found


def pick(prompts: Sequence[Prompts], frames: Sequence[int]) -> list[Prompts]:
    """The prompts of some frames alone, numbered anew."""
    found, start = [], 0
    for part in prompts:
        inside = [frame - part.start for frame in frames if part.start <= frame < part.stop]
        if inside:
            stop = start + len(inside)
            found.append(Prompts(start, stop, rows_of(part.conditioning, inside)))
            start = stop
    return found


def cut(prompts: Sequence[Prompts], evaluator: Evaluator) -> list[Prompts]:
    """The same in batches that fit into memory."""
    found = []
    for part in prompts:
        count = part.stop - part.start
        size = evaluator.fitting(count)
        for start in range(0, count, size):
            stop = min(start + size, count)
            rows = rows_of(part.conditioning, list(range(start, stop)))
            found.append(Prompts(part.start + start, part.start + stop, rows))
    return found


def rows_of(conditioning: Any, frames: Sequence[int]) -> Any:
    """The conditioning of some frames of a batch; one prompt for all frames stays as it is."""
    found = []
    for rows, extras in conditioning:
        if not isinstance(rows, Tensor) or len(rows) == 1:
            found.append([rows, extras])
            continue
        kept = {
            key: value[list(frames)]
            if isinstance(value, Tensor) and len(value) == len(rows)
            else value
            for key, value in extras.items()
        }
        found.append([rows[list(frames)], kept])
    return found


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
    levels = {round(level.sigma, 4) for level, _ in found}
    if len(levels) != 1:
        raise ValueError(
            f"latents: expected frames at one noise level, got sigmas {sorted(levels)}. Invert all "
            "of them with the same noise_level and steps."
        )
    return found[0][0], torch.cat([points for _, points in found]).float()


def _noise(model: Any, prompt: Prompts, latent: dict[str, Any]) -> tuple[NoiseLevel, Tensor]:
    if NOISED in latent and latent[NOISED][2] is latent["samples"]:
        share, sigma, samples = latent[NOISED]
        level = level_of(model, share, sigma)
        inside = model.get_model_object("process_latent_in")(samples)
        return level, inside / level.to_sampler
    if NOISED in latent:
        raise ValueError(
            "latents: these came from a density path and were changed since. Connect the path's "
            "latents directly; for rendered frames, go through VAE Decode and VAE Encode."
        )
    if NOISE_LEVEL not in latent:
        conditioning = prompt.conditioning
        inverted = invert(
            model,
            conditioning,
            latent,
            INVERSION_STEPS,
            INVERSION_LEVEL,
            INVERSION_REFINEMENTS,
        )
        latent = inverted.latent
    points = check_noise(model, "latents", latent)
    return level_of(model, latent[NOISE_LEVEL], latent[SIGMA]), points
