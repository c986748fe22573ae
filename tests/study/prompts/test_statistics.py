"""The statistics, against scipy and on samples whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control, wilcoxon

from study.prompts.pairs import BINS
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from study.prompts.statistics import (
    COMPARED,
    COST,
    EVENNESS,
    LARGEST,
    LENGTH,
    PPL,
    Comparison,
    adjusted,
    by_bins,
    by_pair,
    change,
    compare,
    rank_biserials,
    smallest_effect,
)

from .tables import EXPECTED, law, table, with_one_scene

NAMES = (PPL, OPTIMAL, RANDOM)


def sample(seed: int, count: int = 40, shift: float = 0.0) -> np.ndarray:
    return 0.05 + shift + 0.01 * np.random.default_rng(seed).normal(size=count)


def compared(a: np.ndarray, b: np.ndarray) -> Comparison:
    """All pairs with a difference are tested."""
    return compare(a, b, a != b, NAMES)


def wilcoxons(gains: np.ndarray, **options: Any) -> tuple[float, float]:
    """scipy's statistic and p."""
    statistic, p = np.asarray(wilcoxon(gains, **options))
    return float(statistic), float(p)


@pytest.mark.parametrize("shift", [0.0, 0.004, -0.02])
def test_p_and_effect_are_scipys(shift: float) -> None:
    """p is wilcoxon's; the effect is that of its statistic: r = 2·W₊/(n(n+1)/2) − 1."""
    a, b = sample(1), sample(2, shift=shift)
    found = compared(a, b)
    assert found.p == pytest.approx(wilcoxons(b - a)[1])
    ranks = len(a) * (len(a) + 1) / 2
    upper = wilcoxons(b - a, alternative="greater")[0]
    assert found.effect == pytest.approx(2 * upper / ranks - 1)
    assert found.medians == pytest.approx((np.median(a), np.median(b)))
    assert found.change == pytest.approx(a.mean() / b.mean() - 1)
    assert (found.pairs, found.tested, found.smaller) == (40, 40, (a < b).sum())


def test_effect_is_bounded_and_antisymmetric() -> None:
    a, b = sample(3), sample(4)
    assert rank_biserials(a - b) == pytest.approx(-rank_biserials(b - a))
    assert rank_biserials(np.array([0.1, 2.0, 0.3])) == 1
    assert rank_biserials(np.array([-0.1, -2.0])) == -1
    assert rank_biserials(np.zeros(3)) == 0


def test_effects_of_rows_are_those_of_each_row() -> None:
    """As the bootstrap needs them, also where some gains are 0."""
    rows = np.stack([sample(k) - sample(k + 9) for k in range(5)])
    rows[2, :7] = 0
    expected = [float(rank_biserials(row[row != 0])) for row in rows]
    assert rank_biserials(rows) == pytest.approx(expected)


def test_n_counts_tested_pairs_alone() -> None:
    """5 of 20 pairs differ: the exact test of those, not its approximation for many ties."""
    a = sample(5, count=20)
    b = a.copy()
    b[:5] += [0.01, 0.02, 0.03, 0.04, -0.005]
    found = compared(a, b)
    assert found.p == pytest.approx(wilcoxons((b - a)[:5], method="exact")[1])
    assert (found.pairs, found.tested, found.smaller) == (20, 5, 4)


def test_equal_couplings_are_not_tested() -> None:
    """Equal couplings give equal images up to rounding, by every measure; there is no p."""

    def nothing(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0, 1e-8 * rng.random()

    pairs = by_pair(table(nothing, nothing, nothing))
    for measure in (PPL, LENGTH, LARGEST, EVENNESS):
        found = pairs.compare(measure, OPTIMAL, ROW_ORDER)
        assert (found.pairs, found.tested, found.sign) == (120, 0, 0)
        assert np.isnan([found.p, found.effect]).all()
    assert (pairs.gain(ROW_ORDER) == 0).all()


def test_no_pairs_have_no_p() -> None:
    found = compared(np.array([]), np.array([]))
    assert found.pairs == 0
    assert np.isnan([found.p, found.effect, found.change, *found.medians]).all()


def test_a_change_of_the_mean_is_antisymmetric_in_ratios() -> None:
    a, b = sample(1), sample(2)
    assert (1 + change(a, b)) * (1 + change(b, a)) == pytest.approx(1)


def test_the_smallest_effect_is_where_p_becomes_small() -> None:
    """By Wilcoxon's normal approximation: a little more is measurable, a little less is not."""
    for count in (12, 25, 200):
        edge = smallest_effect(count)
        for effect, small in ((edge * 1.02, True), (edge * 0.98, False)):
            total = count * (count + 1) / 2
            statistic = total * (1 + effect) / 2
            spread = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
            assert (abs(statistic - total / 2) / spread > 1.96) == small
    assert smallest_effect(25) > smallest_effect(125)


def test_q_is_benjamini_and_hochbergs() -> None:
    """Over the tests that have a p; the others keep none."""
    one = Comparison(*NAMES, 9, 9, 5, (1, 1), 0, 0.5, 0)
    p = [0.001, float("nan"), 0.04, 0.03, 0.8]
    found = adjusted([replace(one, p=value) for value in p])
    known = false_discovery_control([value for value in p if value == value])
    assert [c.q for c in found if c.q == c.q] == pytest.approx(known)
    assert np.isnan(found[1].q)
    assert np.isnan(adjusted([replace(one, p=float("nan"))])[0].q)


def test_random_couplings_of_a_pair_count_once() -> None:
    pairs = by_pair(EXPECTED)
    drawn = np.asarray(EXPECTED.query("coupling == @RANDOM")["ppl"], float)
    assert pairs.values[PPL, RANDOM] == pytest.approx(drawn.reshape(120, 2).mean(1))
    assert len(pairs) == 120
    rows = dict(by_bins(pairs, PPL))
    assert {c.pairs for c in rows["all"]} == {120}
    assert sum(c.pairs for name, row in rows.items() if name in names_of_bins() for c in row) == 360


def names_of_bins() -> list[str]:
    return [f"{edge - 0.5:g}–{edge:g}" for edge in BINS]


def test_lengths_add_up_roots_and_evenness_is_their_variation() -> None:
    """One jump of 0.04 is as long as two steps of 0.01; equal steps have no variation."""
    rows = EXPECTED.copy()
    even, jump = [0.01, 0.01], [0.04, 0.0]
    rows["steps"] = [even if name == OPTIMAL else jump for name in rows["coupling"]]
    rows["ppl"] = [np.mean(steps) for steps in rows["steps"]]
    pairs = by_pair(rows)
    assert pairs.values[LENGTH, OPTIMAL] == pytest.approx(pairs.values[LENGTH, ROW_ORDER])
    assert pairs.values[EVENNESS, OPTIMAL] == pytest.approx(np.zeros(120), abs=1e-9)
    assert pairs.values[EVENNESS, RANDOM] == pytest.approx(np.ones(120))


def test_the_gain_is_bounded() -> None:
    def nothing(_: float, rng: np.random.Generator) -> tuple[float, float]:
        return 3.0, 1e-8 * rng.random()

    gains = by_pair(table(nothing, law(1, 2, 0.02), law(1, 5, 0.05))).gain(ROW_ORDER)
    assert gains == pytest.approx(np.full(120, 2.0), abs=1e-4)


def test_bins_are_compared_by_themselves() -> None:
    own = EXPECTED.query("bin == 2.0")
    a, b = (
        np.asarray(own.query("coupling == @name")["ppl"], float) for name in (OPTIMAL, ROW_ORDER)
    )
    found = dict(by_bins(by_pair(EXPECTED), PPL))["1.5–2"][0]
    assert found.p == pytest.approx(wilcoxons(b - a)[1])
    assert found.q >= found.p


def test_row_order_is_compared_with_random_by_itself() -> None:
    """Not by way of optimal transport: the sign is that of the two of them."""
    pairs = by_pair(EXPECTED)
    found = pairs.compare(PPL, ROW_ORDER, RANDOM)
    a, b = pairs.values[PPL, ROW_ORDER], pairs.values[PPL, RANDOM]
    assert (ROW_ORDER, RANDOM) in COMPARED
    assert found.p == pytest.approx(wilcoxons(b - a)[1])
    assert pairs.compare(PPL, RANDOM, ROW_ORDER).effect == pytest.approx(-found.effect)


def test_bins_without_pairs_are_there_and_halves_pool_them() -> None:
    rows = dict(by_bins(by_pair(EXPECTED.query("bin > 1")), COST))
    assert list(rows) == [*names_of_bins(), "0–2.5", "2.5–5", "all"]
    assert {c.pairs for c in rows["0–0.5"] + rows["0.5–1"]} == {0}
    inside = ["1–1.5", "1.5–2", "2–2.5"]
    assert rows["0–2.5"][0].tested == sum(rows[name][0].tested for name in inside)


def test_pairs_of_one_scene_stand_apart() -> None:
    """Two wordings of one scene are known by their captions and similarity; nothing else is."""
    pairs = by_pair(with_one_scene(EXPECTED, 15))
    assert (len(pairs), len(pairs.different), len(pairs.same)) == (135, 120, 15)
    assert not pairs.different.one_scene.any()
    assert by_pair(EXPECTED).compare(PPL, OPTIMAL, RANDOM) == pairs.different.compare(
        PPL, OPTIMAL, RANDOM
    )
