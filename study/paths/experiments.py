"""What each experiment renders and stores; study/design.md says why.

Each takes an engine and a pair, and gives rows: path, setting, steps (LPIPS of consecutive frames),
and what else the experiment needs. Nothing is computed here that could be computed from these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from ..even import ways
from ..even.engine import Engine, Settings
from ..even.frames import Film, Frame, Remembered, Render, plain
from ..prompts.pairs import Pair
from ..prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from . import content, measures

STEPS = 8
ROUNDING = 1e-9
NOISE_SEEDS = (42, 43, 44, 45, 46)
DRAWS = 4  # random couplings of each pair, where that is asked
FRAMES, CONTENT_FRAMES, PACE_FRAMES, MEASURE_FRAMES = 12, 21, 24, 13
LENGTHS = (9, 17, 33, 65)
FINE_ENOUGH = 0.05  # the smallest largest step that is asked for
GUIDANCES, SAMPLERS, STEP_COUNTS = (1.0, 2.0, 4.0, 7.0), ("euler", "dpmpp_2m"), (8, 20)
EQUAL, RETIMED, BISECTED, SAMPLER = "equal times", "re-timed", "bisected", "Morph Sampler"
COARSE = "12 at equal times"
LPIPS, ROOT = "LPIPS", "√LPIPS"
MIXTURE, UNBALANCED, MOSTLY = "mixture", "unbalanced", "unbalanced, nine tenths move"
HALF, MOST_MASS = 0.5, 0.9  # of the mass, that moves on the unbalanced paths

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A pair that an experiment measures: all its films' couplings are made from here."""

    engine: Engine
    pair: Pair
    number: int

    def couplings(self, draws: int = 1) -> dict[str, Any]:
        """By name; every pair has random couplings of its own."""
        texts = self.pair.caption_a, self.pair.caption_b
        seeds = range(DRAWS * self.number, DRAWS * self.number + draws)
        drawn = {f"{RANDOM} {k + 1}": (RANDOM, seed) for k, seed in enumerate(seeds)}
        named = {OPTIMAL: (OPTIMAL, 0), ROW_ORDER: (ROW_ORDER, 0), **drawn}
        return {name: self.engine.couple(*texts, *how) for name, how in named.items()}


class SharedEnds:
    """Renderers of several paths of one pair. Their ends are the same frames, rendered once."""

    def __init__(self, render: Render) -> None:
        self.ends = dict(zip((0.0, 1.0), plain(render, [0.0, 1.0]), strict=True))

    def film(self, render: Render, times: list[float]) -> list[Frame]:
        between = [t for t in times if t not in self.ends]
        done = dict(zip(between, plain(render, between), strict=True))
        return [(self.ends | done)[t] for t in times]


def equal_times(frames: int) -> list[float]:
    return np.linspace(0, 1, frames).tolist()


def films(
    job: Job, frames: int, settings: Settings, couplings: dict[str, Any]
) -> Iterator[tuple[str, list[Frame]]]:
    """A film at equal times along each coupling."""
    shared = SharedEnds(job.engine.along(couplings[OPTIMAL], settings))
    for name, coupling in couplings.items():
        render = job.engine.along(coupling, settings)
        yield name, shared.film(render, equal_times(frames))


def seeds(job: Job) -> Iterator[Row]:
    """1: couplings × noise seeds. Nothing where row order is optimal: two paths would be one."""
    couplings = job.couplings(DRAWS)
    costs = {name: coupling.cost for name, coupling in couplings.items()}
    if costs[ROW_ORDER] <= costs[OPTIMAL] * (1 + ROUNDING):
        return
    for seed in NOISE_SEEDS:
        settings = replace(job.engine.settings, seed=seed)
        for name, frames in films(job, FRAMES, settings, couplings):
            yield {
                "path": name,
                "noise_seed": seed,
                "cost": costs[name],
                "steps": job.engine.lpips(frames),
            }


def contents(job: Job) -> Iterator[Row]:
    """2: what the judge sees in each frame, and how far each is from both ends."""
    for name, frames in films(job, CONTENT_FRAMES, job.engine.settings, job.couplings()):
        ends = frames[0], frames[-1]
        yield {
            "path": name,
            "steps": job.engine.lpips(frames),
            "to_first": [job.engine.lpips([ends[0], one])[0] for one in frames],
            "to_last": [job.engine.lpips([ends[1], one])[0] for one in frames],
            **content.labels(job.engine.judge, [frame.image for frame in frames]),
        }


def calibration(job: Job) -> Iterator[Row]:
    """2: the judge on drawn pictures. One row for each kind of picture."""
    yield from content.calibration(job.engine.judge, job.number)


def cost(job: Job) -> Iterator[Row]:
    """3: ever longer films, until the largest step is small; four ways to place frames."""
    for name, coupling in job.couplings().items():
        render = Remembered(job.engine.along(coupling))
        for way, film in placings(job.engine, render).items():
            for frames in LENGTHS:
                done = film(frames)
                steps = job.engine.lpips(done.frames)
                yield {
                    "path": name,
                    "way": way,
                    "frames": frames,
                    "evaluations": done.renders,
                    "steps": steps,
                }
                if max(steps) < FINE_ENOUGH:
                    break


def placings(engine: Engine, render: Render) -> dict[str, Callable[[int], Film]]:
    """The ways to place a number of frames."""
    lpips, steps = engine.lpips, engine.settings.steps

    def placed(frames: int, at_once: int, **changes: Any) -> Film:
        rules = engine.placement.Rules(frames, steps, **changes)
        return ways.placed(render, rules, at_once, lpips, engine)

    def bisected(frames: int) -> Film:
        bare = {"share": 0.0, "bridge": 0.0, "patience": frames, "spare": 0.0, "centred": False}
        return placed(frames, 1, **bare)

    return {
        EQUAL: lambda frames: ways.equal_times(render, frames),
        RETIMED: lambda frames: ways.retimed(render, frames, lpips, engine.times, 0.5),
        BISECTED: bisected,
        SAMPLER: lambda frames: placed(frames, 4),
    }


def pace(job: Job) -> Iterator[Row]:
    """4: 12 frames, re-timed to 24 by LPIPS and by its root, once and twice."""
    engine = job.engine
    render = Remembered(engine.renderer(job.pair.caption_a, job.pair.caption_b))
    coarse = engine.times.times(ways.COARSE)

    def measured(times: Any) -> list[float]:
        return engine.lpips(plain(render, times.values))

    first = measured(coarse)
    yield {"path": OPTIMAL, "way": COARSE, "passes": 0, "steps": first}
    equal = engine.times.times(PACE_FRAMES)
    yield {"path": OPTIMAL, "way": EQUAL, "passes": 0, "steps": measured(equal)}
    for way, power in ((LPIPS, 1.0), (ROOT, 0.5)):
        times, steps = coarse, first
        for passes in (1, 2):
            times = engine.times.retime(times, tuple(d**power for d in steps), PACE_FRAMES)
            steps = measured(times)
            yield {"path": OPTIMAL, "way": way, "passes": passes, "steps": steps}


def robustness(job: Job) -> Iterator[Row]:
    """5: guidance × sampler × steps."""
    couplings = job.couplings()
    for guidance, sampler, steps in product(GUIDANCES, SAMPLERS, STEP_COUNTS):
        settings = replace(job.engine.settings, guidance=guidance, sampler=sampler, steps=steps)
        for name, frames in films(job, FRAMES, settings, couplings):
            yield {
                "path": name,
                "guidance": guidance,
                "sampler": sampler,
                "sampling_steps": steps,
                "steps": job.engine.lpips(frames),
            }


def fading(job: Job) -> Iterator[Row]:
    """Paths on which mass fades, beside optimal transport."""
    yield from _beside_optimal(
        job,
        {
            MIXTURE: measures.mixture,
            UNBALANCED: lambda x, y: measures.unbalanced(x, y, HALF),
        },
    )


def more_moves(job: Job) -> Iterator[Row]:
    """The unbalanced path once more, where nearly all mass moves."""
    yield from _beside_optimal(job, {MOSTLY: lambda x, y: measures.unbalanced(x, y, MOST_MASS)})


def _beside_optimal(
    job: Job, paths: dict[str, Callable[[Tensor, Tensor], measures.Measures]]
) -> Iterator[Row]:
    engine = job.engine
    coupling = engine.couple(job.pair.caption_a, job.pair.caption_b)
    optimal = engine.along(coupling)
    x, y = (rows[0] for rows in coupling.points)
    times, shared = equal_times(MEASURE_FRAMES), SharedEnds(optimal)
    yield {"path": OPTIMAL, "steps": engine.lpips(shared.film(optimal, times))}
    for name, between in paths.items():
        render = engine.renders(between(x, y).rows(coupling.source.extras))
        yield {"path": name, "steps": engine.lpips(shared.film(render, times))}


@dataclass(frozen=True)
class Experiment:
    """pairs: how many it measures, from the first on."""

    pairs: int
    rows: Callable[[Job], Iterator[Row]]


EXPERIMENTS = {
    "content": Experiment(60, contents),
    "measures": Experiment(40, fading),
    "more-moves": Experiment(40, more_moves),
    "seeds": Experiment(40, seeds),
    "cost": Experiment(12, cost),
    "robustness": Experiment(10, robustness),
    "pace": Experiment(60, pace),
    "calibration": Experiment(60, calibration),
}
