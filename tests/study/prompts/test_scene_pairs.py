"""Scored pairs of the scene language."""

from __future__ import annotations

import zlib
from collections import Counter

import pytest

from scenes.language import Scene, Thing
from study.prompts.pairs import BINS
from study.prompts.scene_pairs import generate, shared, similarity

STAR, HEART = Thing("star", "red"), Thing("heart", "blue")
PAIR = Scene("white", (STAR, HEART), relation="left of")
LONE = Scene("white", (Thing("star", "red", "small"),), "left")


def test_every_bin_is_full_of_different_pairs() -> None:
    pairs = generate(8, seed=3)
    assert Counter(pair.bin for pair in pairs) == dict.fromkeys(BINS, 8)
    assert len({(pair.caption_a, pair.caption_b) for pair in pairs}) == len(pairs)
    assert all(pair.caption_a != pair.caption_b for pair in pairs)


def test_a_seed_gives_the_same_pairs_everywhere() -> None:
    assert generate(3, seed=1) == generate(3, seed=1)
    assert generate(3, seed=1) != generate(3, seed=2)
    assert zlib.crc32(repr(generate(3, seed=0)).encode()) == 2783652271


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (PAIR, 1.0),
        # Both things, background; they changed places.
        (Scene("white", (HEART, STAR), relation="left of"), 5 / 6),
        (Scene("white", (STAR, HEART), relation="above"), 5 / 6),
        (Scene("black", (STAR, HEART), relation="left of"), 5 / 6),
        (Scene("white", (STAR, Thing("ring", "blue")), relation="left of"), 5 / 6),
        (Scene("white", (Thing("star", "red", "small"),)), 3 / 6),
        (Scene("black", (Thing("ring", "green"), Thing("circle", "pink")), relation="above"), 0),
    ],
)
def test_shared_attributes_of_two_things(other: Scene, expected: float) -> None:
    assert shared(PAIR, other) == pytest.approx(expected)
    assert shared(other, PAIR) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (LONE, 1.0),
        (Scene("white", (Thing("star", "red", "large"),), "left"), 4 / 5),
        (Scene("white", (Thing("star", "red", "small"),), "top"), 4 / 5),
        (Scene("black", (Thing("ring", "pink", "large"),), "top"), 0),
    ],
)
def test_shared_attributes_of_one_thing(other: Scene, expected: float) -> None:
    assert shared(LONE, other) == pytest.approx(expected)


def test_wording_is_a_fifth_of_the_score() -> None:
    """The same scene in the same words scores 5; without any shared word 4."""
    assert similarity(LONE, LONE, "a b", "a b") == 5
    assert similarity(LONE, LONE, "a b", "c d") == 4
    assert similarity(LONE, LONE, "a b", "a c") == 4.5


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="per-bin: expected at least 1 pair, got 0"):
        generate(0, seed=0)
