"""The schedules that the curve editor draws are those that Python computes.

tests/js/times.test.js reads the same numbers. After a wanted change: python -m
tests.golden.schedules.
"""

from __future__ import annotations

import json

import pytest

from tests.golden.schedules import FILE, curves, schedules

GOLDEN = json.loads(FILE.read_text())


def test_curves_are_the_golden_ones() -> None:
    """t at every u, to 1e-9."""
    assert len(GOLDEN["curves"]) == len(curves())
    for mine, golden in zip(curves(), GOLDEN["curves"], strict=True):
        assert mine["curve"] == golden["curve"]
        assert mine["t"] == pytest.approx(golden["t"], abs=1e-9)


def test_schedules_are_the_golden_ones() -> None:
    """Every easing with every ending."""
    for mine, golden in zip(schedules(), GOLDEN["schedules"], strict=True):
        assert list(mine["times"]) == pytest.approx(golden["times"], abs=1e-9)
        assert {**mine, "times": 0} == {**golden, "times": 0}
