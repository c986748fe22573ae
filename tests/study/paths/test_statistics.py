"""Ratios and the crossed model, on films whose numbers are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from study.paths.statistics import (
    CV,
    LARGEST,
    LENGTH,
    MEASURES,
    PPL,
    crossed,
    one_random,
    only,
    paired,
    with_measures,
)
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER


def films(ratio: float, pair: float, seed: float, rest: float, pairs: int = 60) -> pd.DataFrame:
    """Films of 5 noise seeds and 4 random couplings; a random one is `ratio` times optimal."""
    rng = np.random.default_rng(0)
    of_pair, of_seed = pair * rng.normal(size=pairs), seed * rng.normal(size=5)
    rows = []
    for i in range(pairs):
        for s in range(5):
            optimal = float(np.exp(rng.normal()))
            rows.append((i, s, OPTIMAL, optimal))
            for k in range(4):
                log = of_pair[i] + of_seed[s] + rest * rng.normal()
                rows.append((i, s, f"{RANDOM} {k + 1}", optimal * ratio * math.exp(log)))
    return pd.DataFrame(rows, columns=["pair", "noise_seed", "path", LENGTH])


def test_measures_are_those_of_the_steps() -> None:
    table = with_measures(pd.DataFrame({"steps": [[0.01, 0.09], np.array([0.04, 0.04])]}))
    np.testing.assert_allclose(table[LENGTH], [0.4, 0.4])
    np.testing.assert_allclose(table[LARGEST], [0.09, 0.04])
    np.testing.assert_allclose(table[CV], [0.5, 0])
    np.testing.assert_allclose(table[PPL], [0.05, 0.04])


def test_the_crossed_model_tells_pairs_seeds_and_the_rest_apart() -> None:
    found = crossed(films(1.5, 0.4, 0.2, 0.1), LENGTH, RANDOM, OPTIMAL)
    assert found.ratio.low < 1.5 < found.ratio.high
    assert found.pair == pytest.approx(0.4, rel=0.25)
    assert found.rest == pytest.approx(0.1, rel=0.05)
    assert 0.05 < found.seed < 0.5  # five seeds say little about their spread
    assert 0.7 < found.smaller < 1


def test_what_the_noise_seed_does_widens_the_interval() -> None:
    """However many pairs there are; five seeds remain five."""

    def width(seed: float) -> float:
        found = crossed(films(1.0, 0.1, seed, 0.1), LENGTH, RANDOM, OPTIMAL).ratio
        return math.log(found.high / found.low)

    assert width(0.3) > 3 * width(0.0)


def test_without_several_seeds_there_is_a_ratio_and_no_interval() -> None:
    table = films(2.0, 0.0, 0.0, 0.0)
    one = crossed(only(table, table["noise_seed"] == 0), LENGTH, RANDOM, OPTIMAL)
    assert one.ratio.value == pytest.approx(2)
    assert math.isnan(one.ratio.low)
    assert one.ratio.side == 0


def test_paired_ratios_are_of_the_pairs_that_both_have() -> None:
    first = pd.DataFrame({"pair": range(30), LENGTH: [2.0] * 30})
    other = pd.DataFrame({"pair": range(29, -1, -2), LENGTH: [1.0] * 15})
    found = paired(first, other, LENGTH)
    assert (found.value, found.pairs, found.side) == (2, 15, 1)
    assert paired(other, first, LENGTH).side == -1
    assert paired(first, first, LENGTH).side == 0


def test_random_couplings_come_under_one_name() -> None:
    table = pd.DataFrame({"path": [OPTIMAL, ROW_ORDER, f"{RANDOM} 1", f"{RANDOM} 4"]})
    assert one_random(table)["path"].tolist() == [OPTIMAL, ROW_ORDER, RANDOM, RANDOM]
    assert len(MEASURES) == 4
