"""The mixed model, on films whose pairs and seeds vary by known amounts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.prompts.plan import OPTIMAL, RANDOM
from study.prompts.seeds import fit, several


def films(pairs: int, seeds: int, between: float, within: float, ratio: float) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for pair in range(pairs):
        optimal, own = np.exp(rng.normal()), between * rng.normal()
        rows.append((pair, OPTIMAL, 0, optimal))
        rows += [
            (pair, RANDOM, seed, optimal * ratio * np.exp(own + within * rng.normal()))
            for seed in range(seeds)
        ]
    return pd.DataFrame(rows, columns=["pair", "coupling", "seed", "length"])


def test_the_model_finds_what_belongs_to_pairs_and_what_to_seeds() -> None:
    found = fit(films(200, 4, 0.4, 0.1, 1.5), "length")
    assert (found.pairs, found.films) == (200, 800)
    assert found.low < 1.5 < found.high
    assert found.pair == pytest.approx(0.4, rel=0.15)
    assert found.seed == pytest.approx(0.1, rel=0.1)


def test_pairs_that_do_not_vary_have_no_variance_of_their_own() -> None:
    """And more seeds of one pair make the interval narrower; where pairs vary they hardly do."""
    assert fit(films(100, 4, 0.0, 0.3, 1.5), "length").pair < 0.1

    def width(seeds: int, between: float, within: float) -> float:
        found = fit(films(200, seeds, between, within, 1.5), "length")
        return float(np.log(found.high / found.low))

    assert width(8, 0.0, 0.3) < 0.7 * width(2, 0.0, 0.3)
    assert width(8, 0.3, 0.02) > 0.8 * width(2, 0.3, 0.02)


def test_with_one_seed_there_is_nothing_to_tell_apart() -> None:
    one = films(40, 1, 0.2, 0.1, 1.5)
    assert not several(one)
    with pytest.raises(ValueError, match="random-seeds: expected at least 2"):
        fit(one, "length")
