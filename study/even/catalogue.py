"""The ways that are measured. A renderer of another kind is added here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import ways
from .engine import STEPS, Engine
from .frames import Distance, Film, Render, latent_distance

EQUAL, HALF, WHOLE = "equal times", "placed, half the work", "placed, equal work"
RETIMED, ROOTS = "re-timed: 12, then 24", "re-timed by √LPIPS"
BISECTED, BLENDING = "bisected", "latentblending's scheme"
LATENT, IN_TIME = "placed by latents", "placed at the middle of t"
ONE, FOUR = "placed, one frame a round", "placed, four frames a round"
SHOWN = (EQUAL, RETIMED, HALF, WHOLE)  # whose strips are kept

COMPARED, VARIED, CURVE = "compared", "varied", "curve"  # groups of ways
AT_ONCE = 2
WHOLE_SPARE = 1.0  # of the way that may cost as much as plain renders
LATEST = (4, 8, 10, 12, 14, 16, 17, 18, 19)  # steps of 20 that the curve lets bridges start at
CURVE_EVERY = 2  # pairs: of every second one


@dataclass(frozen=True)
class Way:
    """film: the frames a renderer makes of it. setting: what varies within a group, if numbers."""

    film: Callable[[Render], Film]
    group: str = COMPARED
    setting: float = float("nan")


class Catalogue:
    """All ways for films of so many frames."""

    def __init__(self, engine: Engine, frames: int) -> None:
        self.engine, self.frames = engine, frames

    def ways(self, pair: int) -> dict[str, Way]:
        """Those measured on this pair."""
        found = {**self.compared(), **self.varied()}
        return found | (self.curve() if pair % CURVE_EVERY == 0 else {})

    def compared(self) -> dict[str, Way]:
        engine, frames, lpips = self.engine, self.frames, self.engine.lpips
        plain = {"share": 0.0, "bridge": 0.0, "patience": frames}
        return {
            EQUAL: Way(lambda r: ways.equal_times(r, frames)),
            RETIMED: Way(lambda r: ways.retimed(r, frames, lpips, engine.times)),
            ROOTS: Way(lambda r: ways.retimed(r, frames, lpips, engine.times, 0.5)),
            BISECTED: self.placed(at_once=1, **plain),
            BLENDING: Way(lambda r: ways.latentblending(r, frames, STEPS, lpips)),
            HALF: self.placed(),
            WHOLE: self.placed(spare=WHOLE_SPARE),
        }

    def varied(self) -> dict[str, Way]:
        """One thing changed in what half the work does."""
        return {
            LATENT: self.placed(distance=latent_distance, group=VARIED),
            IN_TIME: self.placed(centred=False, group=VARIED),
            ONE: self.placed(at_once=1, group=VARIED),
            FOUR: self.placed(at_once=4, group=VARIED),
        }

    def curve(self) -> dict[str, Way]:
        """Half the work, by the latest step that a new frame may start at."""
        return {
            f"latest step {k}": self.placed(bridge=k / STEPS, group=CURVE, setting=k)
            for k in LATEST
        }

    def placed(
        self,
        at_once: int = AT_ONCE,
        distance: Distance | None = None,
        group: str = COMPARED,
        setting: float = float("nan"),
        **changes: Any,
    ) -> Way:
        """By the pack's placement with its own defaults, but for `changes`."""
        rules = self.engine.placement.Rules(self.frames, STEPS, **changes)

        def film(render: Render) -> Film:
            by = distance or self.engine.lpips
            return ways.placed(render, rules, at_once, by, self.engine)

        return Way(film, group, setting)
