"""Times on a chain of keyframes, of prompts or of noises: on which leg a time lies.

The knots are the times of the keyframes, from 0 to 1; a leg's share of [0, 1] is proportional to
its weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Two times closer than this count as equal: thirds and sevenths are not exact in binary.
SAME_TIME = 1e-9


def knots(weights: Sequence[float]) -> np.ndarray:
    """The times of the keyframes, from the weights of the legs: [legs + 1] float64 from 0 to 1."""
    ends = np.concatenate([[0.0], np.cumsum(weights)])
    return ends / ends[-1] if len(ends) > 1 else ends


def locate(knots: np.ndarray, t: float) -> tuple[int, float]:
    """The leg k on which time t lies, and the time within it, in [0, 1); at knot k (k, 0.0).

    Raises ValueError for t outside [0, 1].
    """
    check_time(t)
    near = int(np.argmin(np.abs(knots - t)))
    if abs(knots[near] - t) <= SAME_TIME:
        return near, 0.0
    k = int(np.searchsorted(knots, t)) - 1
    return k, float((t - knots[k]) / (knots[k + 1] - knots[k]))


def check_time(t: float) -> None:
    if not 0 <= t <= 1:
        raise ValueError(
            f"t: expected a time in [0, 1], got {t}. 0 is the first keyframe, 1 the last."
        )


def check_weight(weight: float) -> None:
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(
            f"weight: expected a positive number, the relative length of a leg, got {weight}."
        )
