"""The ways that are measured. A renderer of another kind is added here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import ways
from .engine import Engine
from .frames import Distance, Film, Render, latent_distance

EQUAL, PLACED, MORE = "equal times", "placed", "placed, more to choose from"
LATENT, IN_TIME = "placed by latents", "placed at the middle of t"
RETIMED, ROOTS = "re-timed: 12, then 24", "re-timed by √LPIPS"
BISECTED, BLENDING = "bisected", "latentblending's scheme"
ONE, MANY = "placed, one frame a round", "placed, up to eight a round"
SHOWN = (EQUAL, PLACED, MORE)  # whose strips are kept

# Groups of ways, in the order in which they are measured: each on all pairs before the next.
GOALS, PEERS, CURVE, VARIED, SHARES, FIRST = "goals", "peers", "curve", "varied", "shares", "first"
GROUPS = (GOALS, PEERS, CURVE, FIRST, SHARES, VARIED)
AT_ONCE = 4  # frames a round, as many as are worth it
LATEST = (10, 12, 14, 16, 17, 18, 19)  # steps of 20 that the curve lets frames start at
SHARED = (0.0, 0.25, 0.5, 0.65, 0.8)
BETWEEN = (0, 1, 3)  # frames of the first round between the two keyframes
FEWER = 4  # the curve, the shares and the first rounds are measured on every so many pairs
# Of the way that may cost as much as plain renders: changes of the placement's own rules.
MORE_WORK: dict[str, Any] = {"spare": 2.0}


def on(pair: int, group: str) -> bool:
    """Whether a group is measured on this pair."""
    return group not in (CURVE, SHARES, FIRST) or pair % FEWER == 0


@dataclass(frozen=True)
class Way:
    """film: the frames a renderer makes of it. setting: what varies within a group, if numbers."""

    film: Callable[[Render], Film]
    setting: float = float("nan")


class Catalogue:
    """All ways for films of so many frames."""

    def __init__(self, engine: Engine, frames: int) -> None:
        self.engine, self.frames = engine, frames

    def ways(self, group: str) -> dict[str, Way]:
        return {
            GOALS: self.goals,
            PEERS: self.peers,
            VARIED: self.varied,
            CURVE: self.curve,
            SHARES: self.shares,
            FIRST: self.first_rounds,
        }[group]()

    def goals(self) -> dict[str, Way]:
        return {
            EQUAL: Way(lambda r: ways.equal_times(r, self.frames)),
            PLACED: self.placed(),
            MORE: self.placed(**MORE_WORK),
            LATENT: self.placed(distance=latent_distance),
        }

    def peers(self) -> dict[str, Way]:
        engine, frames, lpips = self.engine, self.frames, self.engine.lpips
        plain = {"share": 0.0, "bridge": 0.0, "patience": frames, "spare": 0.0, "centred": False}
        return {
            RETIMED: Way(lambda r: ways.retimed(r, frames, lpips, engine.times)),
            ROOTS: Way(lambda r: ways.retimed(r, frames, lpips, engine.times, 0.5)),
            BISECTED: self.placed(at_once=1, **plain),
            BLENDING: Way(lambda r: ways.latentblending(r, frames, engine.settings.steps, lpips)),
        }

    def varied(self) -> dict[str, Way]:
        """One thing changed in what Morph Sampler does."""
        return {
            IN_TIME: self.placed(centred=False),
            ONE: self.placed(at_once=1),
            MANY: self.placed(at_once=8, worth=0.0),
        }

    def curve(self) -> dict[str, Way]:
        """By the latest step that a new frame may start at."""
        return {
            f"latest step {k}": self.placed(bridge=k / self.engine.settings.steps, setting=k)
            for k in LATEST
        }

    def shares(self) -> dict[str, Way]:
        """By the share of the steps that all new frames take over."""
        return {f"share {part:g}": self.placed(share=part, setting=part) for part in SHARED}

    def first_rounds(self) -> dict[str, Way]:
        """By the number of frames that are rendered from the first step on."""
        return {f"{n} between at first": self.placed(between=n, setting=n) for n in BETWEEN}

    def placed(
        self,
        at_once: int = AT_ONCE,
        distance: Distance | None = None,
        setting: float = float("nan"),
        **changes: Any,
    ) -> Way:
        """By the pack's placement with its own defaults, but for `changes`."""
        rules = self.engine.placement.Rules(self.frames, self.engine.settings.steps, **changes)

        def film(render: Render) -> Film:
            by = distance or self.engine.lpips
            return ways.placed(render, rules, at_once, by, self.engine)

        return Way(film, setting)
