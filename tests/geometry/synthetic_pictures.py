"""Films of pictures that are vectors, placed round by round.

A plain render at t is f(t). One that starts at step k of n has taken over part of what its
neighbours show, the more the later it starts: (1 − w)·f(t) + w·mix with w = k/n, which is how
states of early steps decide and those of late ones blend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from geodesic_morph.geometry.placement import Placement, Rules
from geodesic_morph.geometry.times import LOOP, STOP

Picture = Callable[[float], np.ndarray]
ENDS = (0.0, 1.0)


def ruled(frames: int, steps: int, ending: str = STOP, **changes: Any) -> Rules:
    """Settings that these tests count on, whatever the defaults are."""
    settled = {"share": 0.2, "bridge": 0.9, "fail": 0.7, "worth": 0.0, "spare": 0.0}
    settled |= {"between": 3}
    return Rules(frames, steps, ending, **{**settled, **changes})


def line(t: float) -> np.ndarray:
    return np.array([t, 2 * t])


def jump(t: float, at: float = 0.37) -> np.ndarray:
    return np.array([0.1 * t, float(t > at)])


def two_jumps(t: float) -> np.ndarray:
    return np.array([0.1 * t, float(t > 0.22), float(t > 0.81)])


def plateau(t: float) -> np.ndarray:
    return np.array([min(t, 0.2) + max(t, 0.8)])


def still(_: float) -> np.ndarray:
    return np.zeros(3)


def circle(t: float) -> np.ndarray:
    return np.array([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)])


PICTURES = {f.__name__: f for f in (line, jump, two_jumps, plateau, still, circle)}


def squared(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a - b) ** 2).sum())


def around(rules: Rules, pictures: Sequence[np.ndarray]) -> list[float]:
    """Distances of consecutive pictures, and of a loop's last to its first."""
    after = [*pictures[1:], *([pictures[0]] if rules.ending == LOOP else [])]
    return [squared(a, b) for a, b in zip(pictures, after, strict=False)]


def rounds(
    f: Picture, rules: Rules, knots: Sequence[float] = ENDS, at_once: int = 2
) -> list[tuple[Placement, list[np.ndarray]]]:
    """The placement and its pictures after each round."""
    pictures = [f(t) for t in rules.first_times(knots)]
    placement = Placement.start(rules, knots, around(rules, pictures))
    found = [(placement, pictures)]
    while insertions := placement.next(at_once):
        new, parts = [], []
        for one in insertions:
            a, b, w = pictures[one.left], pictures[one.right], one.start_step / rules.steps
            picture = (1 - w) * f(one.t) + w * ((1 - one.mix) * a + one.mix * b)
            new.append((one.left, picture))
            parts.append((squared(a, picture), squared(picture, b)))
        placement = placement.add(insertions, parts)
        for left, picture in reversed(new):
            pictures = [*pictures[: left + 1], picture, *pictures[left + 1 :]]
        found.append((placement, pictures))
    return found


def film(
    f: Picture, rules: Rules, knots: Sequence[float] = ENDS, at_once: int = 2
) -> tuple[Placement, list[np.ndarray]]:
    return rounds(f, rules, knots, at_once)[-1]


@st.composite
def walks(draw: st.DrawFn) -> Picture:
    """A path through random points, with jumps where two of them stand at one time."""
    n = draw(st.integers(2, 6))
    at = sorted(draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    heights = st.lists(st.floats(-1, 1), min_size=n, max_size=n)
    columns = [draw(heights) for _ in range(2)]
    return lambda t: np.array([np.interp(t, at, column) for column in columns])
