"""The statistics, against scipy and on samples whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, spearmanr, wilcoxon

from study.prompts.pairs import BINS, bin_of
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from study.prompts.statistics import (
    Comparison,
    adjusted,
    by_pair,
    compare,
    comparisons,
    rank_biserial,
    trend,
)
from study.prompts.verdicts import CONTRADICTED, HOLDS, IN_PART, MIXED, OPEN, judge, verdicts

COLUMNS = ["pair", "similarity", "bin", "coupling", "seed", "ppl", "cost", "relative_cost"]


def sample(seed: int, count: int = 40, shift: float = 0.0) -> np.ndarray:
    return 0.05 + shift + 0.01 * np.random.default_rng(seed).normal(size=count)


def wilcoxons(gains: np.ndarray, **options: Any) -> tuple[float, float]:
    """scipy's statistic and p."""
    statistic, p = np.asarray(wilcoxon(gains, **options))
    return float(statistic), float(p)


@pytest.mark.parametrize("shift", [0.0, 0.004, -0.02])
def test_p_and_effect_are_scipys(shift: float) -> None:
    """p is wilcoxon's; the effect is that of its statistic: r = 2·W₊/(n(n+1)/2) − 1."""
    a, b = sample(1), sample(2, shift=shift)
    found = compare(a, b, "ppl", RANDOM, None)
    assert found.p == pytest.approx(wilcoxons(b - a)[1])
    ranks = len(a) * (len(a) + 1) / 2
    upper = wilcoxons(b - a, alternative="greater")[0]
    assert found.effect == pytest.approx(2 * upper / ranks - 1)
    assert found.optimal == pytest.approx(np.median(a))
    assert found.median == pytest.approx(np.median(b))
    assert (found.pairs, found.differ) == (40, 40)


def test_effect_is_bounded_and_antisymmetric() -> None:
    a, b = sample(3), sample(4)
    assert rank_biserial(a - b) == pytest.approx(-rank_biserial(b - a))
    assert rank_biserial(np.array([0.1, 2.0, 0.3])) == 1
    assert rank_biserial(np.array([-0.1, -2.0])) == -1
    assert rank_biserial(np.zeros(3)) == 0


def test_equal_samples_show_nothing() -> None:
    """Equal couplings give equal images up to rounding, which does not count as a difference."""
    a = sample(5)
    for b in (a, a + 1e-8 * sample(6)):
        found = compare(a, b, "ppl", RANDOM, None)
        assert (found.p, found.effect, found.differ) == (1, 0, 0)


def test_pairs_that_do_not_differ_are_left_out() -> None:
    """The exact test of the five that do, not its approximation for samples with ties."""
    a = sample(5, count=20)
    b = a.copy()
    b[:5] += [0.01, 0.02, 0.03, 0.04, -0.005]
    found = compare(a, b, "ppl", RANDOM, None)
    assert found.p == pytest.approx(wilcoxons((b - a)[:5], method="exact")[1])
    assert (found.pairs, found.differ) == (20, 5)


def test_few_pairs_show_no_trend() -> None:
    """A perfect order of three has p = 0 by scipy's formula."""
    found = trend([1, 2, 3], [4, 5, 6])
    assert found.rho == 1
    assert not found.measurable


def test_no_pairs_have_no_p() -> None:
    found = compare([], [], "ppl", RANDOM, 0.5)
    assert found.pairs == 0
    assert np.isnan([found.p, found.effect, found.optimal]).all()


def test_q_is_benjamini_and_hochbergs() -> None:
    """Over the tests that have a p; the others keep none."""
    p = [0.001, float("nan"), 0.04, 0.03, 0.8]
    found = adjusted([Comparison("ppl", RANDOM, 0.5, 9, 9, 1, 1, one, 0) for one in p])
    known = false_discovery_control([one for one in p if one == one])
    assert [one.q for one in found if one.q == one.q] == pytest.approx(known)
    assert np.isnan(found[1].q)
    nothing = adjusted([Comparison("ppl", RANDOM, 0.5, 0, 0, 1, 1, float("nan"), 0)])
    assert np.isnan(nothing[0].q)


def test_trend_is_spearmans() -> None:
    x, y = sample(7), sample(8)
    expected = spearmanr(x[1:], y[1:])
    y[0] = np.nan
    found = trend(x, y)
    assert (found.rho, found.p, found.pairs) == pytest.approx((*expected, 39))
    for flat in (trend(x, np.ones(40)), trend(np.ones(40), sample(8)), trend(x[:2], y[1:3])):
        assert np.isnan(flat.rho)
        assert not flat.measurable


Law = Callable[[float, np.random.Generator], tuple[float, float]]  # similarity → cost, PPL


def table(optimal: Law, row: Law, random: Law, pairs: int = 120) -> pd.DataFrame:
    """A table as `measurements.Measurements` holds it, with two random couplings."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(pairs):
        similarity = round(5 * k / max(pairs - 1, 1), 2)
        w2, ppl = optimal(similarity, rng)
        drawn = {(OPTIMAL, 0): (w2, ppl), (ROW_ORDER, 0): row(similarity, rng)}
        drawn |= {(RANDOM, seed): random(similarity, rng) for seed in (1, 2)}
        for (coupling, seed), (cost, one) in drawn.items():
            relative = cost / w2 if w2 else np.nan
            about = (k, similarity, bin_of(similarity), coupling, seed)
            rows.append((*about, one, cost, relative))
    return pd.DataFrame(rows, columns=COLUMNS)


def law(slope: float, cost: float, ppl: float) -> Law:
    def one(similarity: float, rng: np.random.Generator) -> tuple[float, float]:
        unlike = 1 + slope * (5 - similarity)
        # No two gains in cost are equal: scipy would go through all 2^n signs of tied ones.
        paid = cost + unlike + 0.001 * rng.random()
        return paid, (ppl + 0.01 * unlike) * (1 + 0.01 * rng.normal())

    return one


EXPECTED = table(law(1, 0, 0), law(1, 2, 0.02), law(1, 5, 0.05))
REVERSED = table(law(-0.1, 0, 0.05), law(0, 2, 0.03), law(0, 5, 0.02))


def test_random_couplings_of_a_pair_count_once() -> None:
    pairs = by_pair(EXPECTED)
    drawn = np.asarray(EXPECTED.query("coupling == @RANDOM")["ppl"], float)
    assert pairs.values["ppl", RANDOM] == pytest.approx(drawn.reshape(120, 2).mean(1))
    assert len(pairs.similarity) == 120
    found = comparisons(pairs)
    assert {one.pairs for one in found if one.bin is None} == {120}
    assert sum(one.pairs for one in found if one.bin is not None) == 4 * 120


def test_the_gain_is_bounded_and_knows_rounding() -> None:
    def nothing(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0, 1e-8 * rng.random()

    assert (by_pair(table(nothing, nothing, nothing)).gain(ROW_ORDER) == 0).all()
    gains = by_pair(table(nothing, law(1, 2, 0.02), law(1, 5, 0.05))).gain(ROW_ORDER)
    assert gains == pytest.approx(np.full(120, 2.0), abs=1e-4)


def test_bins_are_compared_by_themselves() -> None:
    own = EXPECTED.query("bin == 2.0")
    a, b = (
        np.asarray(own.query("coupling == @name")["ppl"], float) for name in (OPTIMAL, ROW_ORDER)
    )
    (found,) = (
        one
        for one in comparisons(by_pair(EXPECTED))
        if (one.measure, one.other, one.bin) == ("ppl", ROW_ORDER, 2.0)
    )
    assert found.p == pytest.approx(wilcoxons(b - a)[1])
    assert found.q >= found.p


def test_empty_bins_are_there_and_empty() -> None:
    found = comparisons(by_pair(EXPECTED.query("bin > 1")))
    assert [one.bin for one in found if one.measure == "ppl" and one.other == RANDOM] == [
        *BINS,
        None,
    ]
    assert {one.pairs for one in found if one.bin in (0.5, 1.0)} == {0}


def test_verdicts_hold_where_they_should() -> None:
    found = verdicts(EXPECTED)
    assert [one.judgement for one in found] == [HOLDS] * 4
    assert "n = 120" in found[0].sentence
    assert "by itself in 10 of 10 bins" in found[2].sentence
    assert found[2].sentence.startswith(
        "The shorter of two paths between the same prompts has the lower PPL: **"
    )


def test_verdicts_are_contradicted_where_the_reverse_is_so() -> None:
    assert [one.judgement for one in verdicts(REVERSED)] == [CONTRADICTED] * 4


def test_verdicts_stay_open_where_nothing_is_measurable() -> None:
    def same(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0, 0.05 + 0.001 * rng.normal()

    found = verdicts(table(same, same, same))
    assert [one.judgement for one in found] == [OPEN] * 4


def test_verdicts_of_nothing_say_so() -> None:
    found = verdicts(EXPECTED.query("pair < 0"))
    assert [one.judgement for one in found] == [OPEN] * 4
    assert "no pairs" in found[2].sentence
    assert "nan" not in " ".join(one.sentence for one in found)


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
