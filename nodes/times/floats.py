"""Times as plain numbers and back: FLOAT lists of other nodes, and ComfyUI's own curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ...geometry.times import LOOP, STOP, Times, uniform

# A ping-pong is written out in the numbers themselves.
PLAIN_ENDINGS = (STOP, LOOP)
# The most points of a curve: ComfyUI's editor shows each.
MOST_POINTS = 64


def numbers_of(times: Times, low: float, high: float) -> list[float]:
    """The times in the range low ... high."""
    return [low + (high - low) * t for t in times.values]


def curve_of(times: Times) -> Any:
    """The times over the share of the film, as ComfyUI's CURVE; in older versions its plain data.

    Long films get 64 points, both ends among them.
    """
    chosen = np.unique(np.linspace(0, len(times) - 1, min(len(times), MOST_POINTS)).round())
    last = max(len(times) - 1, 1)
    points = [(float(k) / last, times.values[int(k)]) for k in chosen]
    points = points if len(points) > 1 else [points[0], (1.0, points[0][1])]
    plain = {"points": [list(point) for point in points], "interpolation": "linear"}
    curves = getattr(import_module("comfy_api.input"), "CurveInput", None)
    return plain if curves is None else curves.from_raw(plain)


def times_of(given: Sequence[Any], frames: int, stretch: bool, ending: str) -> Times:
    """Times from numbers, lists of numbers, or one curve.

    frames: how many times a curve gives; numbers are one per frame. stretch: map the smallest to 0
    and the largest to 1. Raises ValueError, naming the input `floats`, for what is no number, for
    numbers outside [0, 1] that are not stretched, and for several curves.
    """
    if len(given) == 1 and _is_curve(given[0]):
        values = _along(given[0], uniform(frames, ending))
    else:
        values = [number for entry in given for number in _numbers(entry)]
    if not all(math.isfinite(value) for value in values):
        raise ValueError("floats: expected finite numbers, got NaN or infinity.")
    if stretch:
        values = _stretched(values)
    outside = [value for value in values if not 0 <= value <= 1]
    if outside:
        raise ValueError(
            f"floats: expected numbers from 0 to 1, got {outside[0]:g}. Switch stretch on to map "
            "the smallest to 0 and the largest to 1."
        )
    return Times(tuple(values), ending)


def _is_curve(value: Any) -> bool:
    return hasattr(value, "interp_array") or (isinstance(value, dict) and "points" in value)


def _along(curve: Any, shares: np.ndarray) -> list[float]:
    """The values of a curve at these shares of its range from 0 to 1."""
    if hasattr(curve, "interp_array"):
        return [float(value) for value in curve.interp_array(shares)]
    x, y = np.array(sorted(curve["points"]), dtype=np.float64).T
    return np.interp(shares, x, y).tolist()


def _numbers(entry: Any) -> list[float]:
    entries = entry if isinstance(entry, (list, tuple)) else [entry]
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in entries):
        raise ValueError(
            f"floats: expected numbers, or one curve, got {type(entry).__name__}. Connect a list "
            "of FLOAT with one number for each frame."
        )
    return [float(x) for x in entries]


def _stretched(values: list[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low == high:
        raise ValueError(
            f"floats: expected different numbers to stretch, got {len(values)} times {low:g}."
        )
    return [(value - low) / (high - low) for value in values]
