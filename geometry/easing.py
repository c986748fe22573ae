"""Easings: how time runs from 0 to 1, by a formula or along a curve that a person has drawn.

js/lib/easing.js computes the same numbers in the browser; tests compare both with golden ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, CURVE = (
    "linear",
    "ease in",
    "ease out",
    "ease in-out",
    "curve",
)
EASINGS = (LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, CURVE)

DEFAULT_CURVE = "[[0, 0], [1, 1]]"


def easing_function(easing: str, curve: str = DEFAULT_CURVE) -> Callable[[np.ndarray], np.ndarray]:
    """The function u → t of an easing: exact at 0 and 1, and always in [0, 1]."""
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        LINEAR: lambda u: u,
        EASE_IN: lambda u: u * u,
        EASE_OUT: lambda u: 1 - (1 - u) ** 2,
        EASE_IN_OUT: lambda u: u * u * (3 - 2 * u),
    }
    if easing == CURVE:
        return curve_function(curve)
    if easing not in functions:
        raise ValueError(f"easing: expected one of {', '.join(EASINGS)}, got '{easing}'.")
    return functions[easing]


def curve_function(curve: str) -> Callable[[np.ndarray], np.ndarray]:
    """A monotone cubic (PCHIP: Fritsch & Butland 1984) through JSON points [[u, t], ...].

    Between two points it stays between their values, so it cannot leave [0, 1].
    """
    u, t = _curve_points(curve)
    from scipy.interpolate import PchipInterpolator

    interpolate = PchipInterpolator(u, t, extrapolate=False)

    def evaluate(x: np.ndarray) -> np.ndarray:
        nearest = np.minimum(np.searchsorted(u, x), len(u) - 1)
        # At a given point exactly its value, which the polynomial would round.
        return np.where(u[nearest] == x, t[nearest], np.clip(interpolate(x), 0.0, 1.0))

    return evaluate


def _curve_points(curve: str) -> tuple[np.ndarray, np.ndarray]:
    expected = f"curve: expected JSON points [[u, t], ...] such as {DEFAULT_CURVE}"
    try:
        points = json.loads(curve)
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"{expected}, got text that is not JSON ({error}).") from None
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        raise ValueError(f"{expected}, got {curve[:80]}. Every point is a pair of numbers.")
    if len(points) < 2:
        raise ValueError(f"{expected}, at least two of them, got {len(points)}.")
    u, t = np.array(points, dtype=np.float64).T
    if u[0] != 0 or u[-1] != 1 or (np.diff(u) <= 0).any():
        raise ValueError(
            f"{expected}, with u rising from 0 to 1 without repeats, got u = {u.tolist()}."
        )
    if t.min() < 0 or t.max() > 1:
        raise ValueError(f"{expected}, with every t in [0, 1], got t = {t.tolist()}.")
    return u, t


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in point)
        and all(abs(x) < 1e300 for x in point)  # neither NaN nor beyond float64
    )
