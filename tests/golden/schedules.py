"""`python -m tests.golden.schedules`: write the numbers that Python and the browser must share.

tests/geometry/test_golden_times.py holds Python to times.json, tests/js/times.test.js JavaScript.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from geodesic_morph.geometry.easing import CURVE, EASINGS, easing_function
from geodesic_morph.geometry.times import ENDINGS, PING_PONG, times

FILE = Path(__file__).with_name("times.json")
CURVES = (
    "[[0, 0], [1, 1]]",
    "[[0, 0.2], [1, 0.7]]",
    "[[0, 0], [0.4, 0.5], [0.6, 0.5], [1, 1]]",
    "[[0, 0], [0.1, 0.02], [0.5, 0.9], [0.7, 0.9], [1, 1]]",
    "[[0, 1], [0.3, 0], [0.31, 0.95], [0.8, 0.1], [1, 0]]",
    "[[0, 0], [0.001, 1], [0.999, 0], [1, 1]]",
)
SHARES = (*(k / 64 for k in range(65)), 0.0005, 0.3051, 0.9995, 1 / 3)


def curves() -> list[dict[str, Any]]:
    """Every curve, and its t at many u."""
    u = np.array(SHARES)
    functions = {curve: easing_function(CURVE, curve) for curve in CURVES}
    return [{"curve": k, "u": SHARES, "t": f(u).tolist()} for k, f in functions.items()]


def schedules() -> list[dict[str, Any]]:
    """Every easing with every ending, for odd, even and least numbers of frames."""
    return [
        {
            "frames": frames,
            "easing": easing,
            "ending": ending,
            "curve": CURVES[2],
            "times": times(frames, easing, ending, CURVES[2]).values,
        }
        for easing in EASINGS
        for ending in ENDINGS
        for frames in (1, 2, 3, 4, 15, 16)
        if frames > 2 or ending != PING_PONG
    ]


if __name__ == "__main__":
    FILE.write_text(json.dumps({"curves": curves(), "schedules": schedules()}, indent=1) + "\n")
