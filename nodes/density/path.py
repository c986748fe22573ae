"""Paths of noised images (the values of GEODESIC_DENSITY), and how they are found with a model.

arXiv 2504.06675, section 5, on ComfyUI's own models. The points are the unit-variance noise that
Invert Image makes; samplers take them in their own scale and continue from their noise level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...geometry.density import boundary, measure, tangential
from ...geometry.density.curve import Curve, has_equal_ends, line
from ...geometry.density.initial import random_velocity, shoot
from ...geometry.path import Path
from ..internals import LoadedModel, is_flow, with_loaded_model
from ..latents import InvertedLevel, check_channels, inverted_pair, noised
from ..prompt.batches import batches_along, check_one_prompt, check_usable
from .model import ModelAtLevel

PAST_END, PAST_START, RANDOM = "past the end", "back past the start", "random direction"
DIRECTIONS = (PAST_END, PAST_START, RANDOM)
# p^(−2a), by which likely places are near each other; and JᵀJ of the score (`tangential`).
BY_DENSITY, TANGENTIAL = "density", "tangential"
METRICS = (BY_DENSITY, TANGENTIAL)


@dataclass(frozen=True, eq=False)
class DensityPath:
    """A curve of noised images of unit variance at one noise level, and the prompts along it.

    curve: knots [n+1, D]; shape: of one latent, so that D = C·H·W.
    prompts: one path for each entry of the conditioning.
    """

    curve: Curve
    shape: tuple[int, ...]
    level: InvertedLevel
    latent_format: Any
    prompts: tuple[Path, ...]
    strength: float
    score: str

    def frames(
        self, times: Sequence[float], frames_per_batch: int
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Pairs of CONDITIONING and LATENT for a sampler that adds no noise."""
        points = self.curve.at(times)
        return [
            (batch.conditioning, self.latent(points[batch.start : batch.stop]))
            for batch in batches_along(self.prompts, times, frames_per_batch)
        ]

    def latent(self, points: Tensor) -> dict[str, Any]:
        """Points [F, D] as a LATENT from which a sampler continues."""
        inside = points.reshape(-1, *self.shape) * self.level.sampler_scale
        samples = self.latent_format.process_out(inside.to("cpu", torch.float32))
        index = {"batch_index": [0] * len(samples)}
        return {"samples": samples} | index | noised(samples, self.level)


@dataclass(frozen=True)
class Search:
    """Settings of the boundary value problem; see `geometry.density.boundary.solve`.

    metric: one of `METRICS`. strength is that of DENSITY alone.
    """

    strength: float
    levels: int
    iterations: int
    learning_rate: float
    score: str
    seed: int
    metric: str = BY_DENSITY


@dataclass(frozen=True, eq=False)
class SearchResult:
    """A path, and how it was found.

    history: the mean ‖a·G‖ by level and iteration. log_density, log_density_of_arc [n+1]: at the
    knots of the path and of the great arc, relative to image A, integrated from the score that the
    search used.
    """

    path: DensityPath
    history: tuple[tuple[float, ...], ...]
    log_density: np.ndarray
    log_density_of_arc: np.ndarray


def find(
    model: Any,
    prompts: tuple[Path, ...],
    negative: Any,
    latents: tuple[dict[str, Any], dict[str, Any]],
    search: Search,
    show: Callable[[SearchResult], None] | None = None,
) -> SearchResult:
    """The density geodesic between two inverted images. Raises ValueError where it has none.

    show: called after each level but the last, with what has been found so far.
    """
    level, (start, end) = inverted_pair(model, *latents)
    check_one_prompt("negative", negative)
    both = [batch.conditioning for batch in batches_along(prompts, [0.0, 1.0], 1)]
    for conditioning in both:
        check_usable("path", conditioning)

    def work(loaded: LoadedModel) -> SearchResult:
        at_level = ModelAtLevel(loaded, level, prompts, negative, search.score, search.seed)
        a, b = start.flatten(), end.flatten()
        exact = replace(at_level, seed=None)

        def measured(solution: boundary.Solution) -> SearchResult:
            arc = Curve(line(a, b).at(solution.curve.times))
            densities = [
                measure.relative_log_density(curve.knots, exact.score(curve.knots, curve.times))
                for curve in (solution.curve, arc)
            ]
            path = DensityPath(
                solution.curve,
                tuple(start.shape[1:]),
                level,
                model.get_model_object("latent_format"),
                prompts,
                search.strength,
                search.score,
            )
            return SearchResult(path, solution.history, densities[0], densities[1])

        def watch(so_far: boundary.Solution) -> None:
            if show:
                show(measured(so_far))

        own = {} if search.metric == TANGENTIAL else {"strength": search.strength}
        solve: Any = tangential.solve if search.metric == TANGENTIAL else boundary.solve
        solution = solve(
            a,
            b,
            at_level.score,
            levels=search.levels,
            iterations=search.iterations,
            learning_rate=search.learning_rate,
            progress=loaded.progress(),
            watch=watch if show else None,
            **own,
        )
        return measured(solution)

    return with_loaded_model(model, [*both, negative], start, level.sigma, work)


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """A curve that continues a path beyond one of its ends, with the prompt of that end."""

    path: DensityPath
    curve: Curve
    conditioning: Any

    def frames(self, count: int, frames_per_batch: int) -> list[tuple[Any, dict[str, Any]]]:
        """`count` frames without the end of the path itself, as in `DensityPath.frames`."""
        points = self.curve.at([(k + 1) / count for k in range(count)])
        batches = points.split(frames_per_batch or count)
        return [(self.conditioning, self.path.latent(batch)) for batch in batches]


def extrapolate(
    model: Any,
    path: DensityPath,
    negative: Any,
    *,
    direction: str,
    distance: float,
    steps: int,
    seed: int,
) -> Extrapolation:
    """The geodesic that continues a path beyond one of its ends.

    distance: as a multiple of the path's length. Raises ValueError for a path between equal images.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction: expected one of {', '.join(DIRECTIONS)}, got '{direction}'.")
    check_one_prompt("negative", negative)
    check_channels(model, "state", path.shape[0])
    if is_flow(model) != path.level.flow:
        raise ValueError("model: expected the model of the path, got one of another kind.")
    curve = path.curve.reversed() if direction == PAST_START else path.curve
    (prompt,) = batches_along(path.prompts, [0.0 if direction == PAST_START else 1.0], 1)
    start, speed = curve.knots[-1], curve.speed()
    if has_equal_ends(curve):
        raise ValueError(
            "state: expected a path between two different images, got one between equal images: "
            "without a length and a direction it cannot be continued."
        )
    end_velocity = curve.end_velocity()
    velocity = random_velocity(start, speed, seed) if direction == RANDOM else end_velocity

    def work(loaded: LoadedModel) -> Curve:
        at_level = ModelAtLevel(loaded, path.level, [prompt], negative, path.score, seed)
        return shoot(
            start,
            velocity,
            at_level.score,
            strength=path.strength,
            duration=distance,
            steps=steps,
            progress=loaded.progress(),
        )

    like = start.reshape(1, *path.shape)
    conditionings = [prompt.conditioning, negative]
    curve = with_loaded_model(model, conditionings, like, path.level.sigma, work)
    return Extrapolation(path, curve, prompt.conditioning)
