"""Intervals, partial correlations and nulls, against libraries and on known samples."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as models
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from study.prompts.resampling import (
    FEWEST,
    interval,
    partial,
    shuffled,
    spearman,
    trend,
    trend_given,
)
from study.prompts.statistics import change, rank_biserials, relative_gain


def draw(seed: int, count: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


@given(st.integers(0, 1000), st.floats(-1, 1))
def test_intervals_contain_the_estimate(seed: int, shift: float) -> None:
    """Of an effect, of a correlation and of a change, on any sample."""
    a, b = draw(seed, 30), draw(seed + 1, 30) + shift
    for estimate, (low, high) in (
        (rank_biserials(b - a), interval(rank_biserials, b - a)),
        (spearman(a, a + b), interval(spearman, a, a + b)),
        (change(np.exp(a), np.exp(b)), interval(change, np.exp(a), np.exp(b))),
    ):
        assert low <= float(estimate) <= high


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """A change of −20 % in 60 samples of 50 pairs; binomial noise allows 51 to 60 of 60."""
    inside = 0
    for seed in range(60):
        base = np.exp(0.3 * draw(seed, 50))
        low, high = interval(change, 0.8 * base * np.exp(0.2 * draw(seed + 500, 50)), base)
        inside += low <= 0.8 * np.exp(0.02) - 1 <= high
    assert inside >= 51


def test_more_pairs_make_narrower_intervals() -> None:
    few, many = (interval(rank_biserials, draw(3, n) + 0.3) for n in (20, 500))
    assert many[1] - many[0] < few[1] - few[0]


def test_few_pairs_have_no_interval() -> None:
    assert np.isnan(interval(rank_biserials, draw(1, FEWEST - 1))).all()
    assert not np.isnan(interval(rank_biserials, draw(1, FEWEST))).any()


def test_correlations_are_scipys_row_by_row() -> None:
    x, y = draw(1).reshape(4, 20), draw(2).reshape(4, 20)
    expected = [spearmanr(a, b)[0] for a, b in zip(x, y, strict=True)]
    assert spearman(x, y) == pytest.approx(expected)


def test_trend_is_spearmans() -> None:
    x, y = draw(7), draw(8)
    expected = spearmanr(x[1:], y[1:])
    y[0] = np.nan
    found = trend(x, y)
    assert (found.rho, found.p, found.pairs) == pytest.approx((*expected, 79))
    for flat in (trend(x, np.ones(80)), trend(np.ones(80), x), trend(x[:2], y[1:3])):
        assert np.isnan(flat.rho)
        assert flat.sign == 0


def test_few_pairs_show_no_trend() -> None:
    """A perfect order of three has p = 0 by scipy's formula."""
    found = trend([1, 2, 3], [4, 5, 6])
    assert found.rho == 1
    assert found.sign == 0


def test_a_partial_correlation_is_the_regressions() -> None:
    """p is that of the coefficient in statsmodels' regression of the ranks; so is ρ's sign."""
    z = draw(1)
    x, y = draw(2) + z, 0.4 * draw(3) + 0.3 * draw(2) - z
    ranks = [rankdata(v) for v in (x, y, z)]
    fitted = models.OLS(ranks[1], models.add_constant(np.column_stack([ranks[0], ranks[2]]))).fit()
    found = trend_given(x, y, z)
    assert found.p == pytest.approx(float(fitted.pvalues[1]))
    t = float(fitted.tvalues[1])
    assert found.rho == pytest.approx(t / np.sqrt(t**2 + fitted.df_resid))


def test_what_a_third_quantity_explains_is_gone() -> None:
    """Two that follow a third correlate; given the third, they do not."""
    z = draw(1, 400)
    x, y = z + 0.3 * draw(2, 400), z + 0.3 * draw(3, 400)
    assert float(spearman(x, y)) > 0.8
    assert abs(float(partial(x, y, z))) < 0.15


@given(st.integers(0, 1000))
def test_a_shuffled_gain_correlates_as_its_null_says(seed: int) -> None:
    """Gains that know nothing of x: their share's correlation with x lies about in the null's range
    (widened by a third, as 5 % may lie outside)."""
    x = np.linspace(0, 5, 150)
    base = 1.2 - 0.2 * x + 0.02 * np.random.default_rng(seed).random(150)
    gains = 0.3 * np.random.default_rng(seed + 1).random(150)
    null = shuffled(x, base, gains, relative_gain)
    rho = float(spearman(x, relative_gain(base, base + gains)))
    assert abs(rho - null.mean) < 1.34 * max(null.high - null.mean, null.mean - null.low)
    assert null.mean > 0.3  # by division alone


def test_a_gain_that_grows_lies_beyond_its_null() -> None:
    x = np.linspace(0, 5, 150)
    base = 1.2 - 0.2 * x
    null = shuffled(x, base, 0.02 * x**2, relative_gain)
    assert null.beyond(float(spearman(x, relative_gain(base, base + 0.02 * x**2)))) == 1
    assert null.beyond(null.mean) == 0
    assert null.beyond(null.low - 0.1) == -1
