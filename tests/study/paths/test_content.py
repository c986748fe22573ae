"""What counts as a stray, a colour off the segment, a switch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scenes import classifier
from scenes.language import COLORS
from study.paths import content


def film(*frames: tuple[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    """Of frames' shapes, and colours with the background's first."""
    return {
        "things": [len(shapes) for shapes, _ in frames],
        "shapes": json.dumps([list(shapes) for shapes, _ in frames]),
        "colors": json.dumps([list(colors) for _, colors in frames]),
    }


STAR = ("star",), ("white", "red")
RING = ("ring",), ("white", "yellow")


def test_a_film_of_what_its_ends_show_has_no_strays() -> None:
    row = film(STAR, STAR, RING, RING)
    assert (content.strays(row), content.off_colours(row), content.switches(row)) == (0, 0, 1)


@pytest.mark.parametrize(
    "stray", [(("heart",), ("white", "red")), (("star", "ring"), ("white", "red", "yellow"))]
)
def test_another_shape_or_number_is_a_stray(
    stray: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    """One of four inner frames; it comes and goes, which is two switches."""
    row = film(STAR, STAR, stray, STAR, STAR, STAR)
    assert content.strays(row) == 1 / 4
    assert content.switches(row) == 2


def test_colours_between_those_of_both_ends_are_on_the_segment() -> None:
    """Orange lies between red and yellow, blue does not; both ends always count."""
    assert "orange" in content.between("red", "yellow")
    assert "blue" not in content.between("red", "yellow")
    for first in COLORS:
        for last in COLORS:
            assert {first, last} <= content.between(first, last)
            assert content.between(first, last) == content.between(last, first)
    orange, blue = ((("star",), ("white", name)) for name in ("orange", "blue"))
    row = film(STAR, orange, blue, RING)
    assert content.off_colours(row) == 1 / 2
    assert content.strays(film(STAR, orange, blue, STAR)) == 0  # colours are no strays


def test_the_judge_finds_planted_shapes_and_few_others() -> None:
    """On drawn pictures of known scenes; the committed page has the numbers of 60 pairs."""
    judge = classifier.load()
    rows = [row for number in range(4) for row in content.calibration(judge, number)]
    kinds = (content.ALONE, content.FADED, content.PLANTED)
    found = {
        kind: sum(content.strays(row) for row in rows if row["path"] == kind) / 4 for kind in kinds
    }
    assert found[content.ALONE] < 0.05
    assert found[content.PLANTED] > 0.9
    assert found[content.ALONE] <= found[content.FADED] < found[content.PLANTED]
