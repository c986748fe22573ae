"""The verdicts: on tables whose answer is known, and on those that would fool a plain reading."""

from __future__ import annotations

import numpy as np
import pytest

from study.prompts.plan import OPTIMAL
from study.prompts.statistics import OTHERS, by_pair
from study.prompts.verdicts import (
    CONTRADICTED,
    HOLDS,
    IN_PART,
    MIXED,
    OPEN,
    judge,
    relative_cost,
    relative_gains,
    verdicts,
)

from .tables import EXPECTED, REVERSED, law, table, with_one_scene


def test_verdicts_hold_where_they_should() -> None:
    found = verdicts(EXPECTED)
    assert [one.judgement for one in found] == [HOLDS] * 4
    assert "n = 120" in found[0].sentence
    assert found[2].sentence.startswith(
        "The shorter of two paths between the same prompts has the lower PPL: **"
    )
    assert "smaller in 120 of 120" in found[2].sentence


def test_verdicts_are_contradicted_where_the_reverse_is_so() -> None:
    assert [one.judgement for one in verdicts(REVERSED)] == [CONTRADICTED] * 4


def test_verdicts_stay_open_where_nothing_is_measurable() -> None:
    def same(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0, 0.05 + 0.001 * rng.normal()

    assert [one.judgement for one in verdicts(table(same, same, same))] == [OPEN] * 4


def test_verdicts_of_nothing_say_so() -> None:
    found = verdicts(EXPECTED.query("pair < 0"))
    assert [one.judgement for one in found] == [OPEN] * 4
    assert "no pairs" in found[2].sentence
    assert "nan" not in " ".join(one.sentence for one in found)


def test_pairs_of_one_scene_enter_no_verdict() -> None:
    """However many there are, and however much optimal transport gains there."""

    def same(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0 + 0.01 * rng.random(), 0.05 + 0.001 * rng.normal()

    for measured in (EXPECTED, REVERSED, table(same, same, same)):
        assert verdicts(with_one_scene(measured, 60)) == verdicts(measured)


def test_random_against_row_order_is_a_part_of_the_third() -> None:
    """Optimal transport is the smoothest, but the dearest path is smoother than row order."""
    measured = table(law(1, 0, 0), law(1, 2, 0.05), law(1, 5, 0.02))
    third = verdicts(measured)[2]
    assert third.judgement == MIXED
    assert "row order against random: +" in third.sentence


def test_a_gain_that_is_the_same_for_all_is_not_shown_to_grow() -> None:
    """PPL falls with similarity, the absolute gain does not: its share grows by construction."""
    measured = table(law(1, 0, 0), law(1, 2, 0.02), law(1, 5, 0.05))
    pairs = by_pair(measured)
    for other in OTHERS:
        for one in (relative_gains(pairs, other), relative_cost(pairs, other)):
            assert one.found.rho > 0.9
            assert one.found.sign == 1
            assert one.null.mean > 0.9
            assert one.found.rho <= one.null.high
            assert abs(one.absolute.rho) < 0.3
    found = verdicts(measured)
    assert [found[1].judgement, found[3].judgement] == [OPEN, OPEN]


def test_a_distance_of_words_alone_is_not_a_distance_of_meanings() -> None:
    """Similarity that follows word overlap shows nothing of W₂ beyond it."""
    pairs = by_pair(EXPECTED)
    rng = np.random.default_rng(1)
    noise = 0.01 * rng.normal(size=(2, len(pairs)))
    number = np.asarray(EXPECTED["pair"], int)
    is_optimal = np.asarray(EXPECTED["coupling"]) == OPTIMAL
    apart = (9 - pairs.overlap + noise[0])[number]
    measured = EXPECTED.assign(
        similarity=(2 + pairs.overlap + noise[1])[number],
        cost=np.where(is_optimal, apart, np.asarray(EXPECTED["cost"], float)),
    )
    first = verdicts(measured)[0]
    assert "W₂: ρ = -0" in first.numbers
    assert first.judgement not in (HOLDS, CONTRADICTED)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([1, 1], HOLDS),
        ([1, 0], IN_PART),
        ([1, -1], MIXED),
        ([0, 0], OPEN),
        ([0, -1], CONTRADICTED),
    ],
)
def test_judgements(signs: list[int], expected: str) -> None:
    assert judge(signs) == expected
