"""Pairs and seeds told apart: a mixed model of the paths' log-ratios.

A pair may have several random couplings (`--random-seeds`). log(other / optimal) of pair i and seed
k is μ + a_i + e_ik: the mean, what belongs to the pair, and what belongs to the seed. Fitted by
restricted maximum likelihood (Laird & Ware 1982), as statsmodels does it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .plan import OPTIMAL, RANDOM
from .resampling import FEWEST


@dataclass(frozen=True)
class Seeds:
    """ratio: exp μ, how many times a random coupling's value is that of optimal transport, with its
    95 % interval. pair, seed: standard deviations of a and e, in logarithms.
    """

    ratio: float
    low: float
    high: float
    pair: float
    seed: float
    pairs: int
    films: int


def several(table: pd.DataFrame) -> bool:
    """Whether enough pairs have several random couplings to tell seeds from pairs."""
    drawn = np.asarray(table["pair"], int)[np.asarray(table["coupling"]) == RANDOM]
    return len(drawn) > len(set(drawn.tolist())) >= FEWEST


def fit(table: pd.DataFrame, measure: str) -> Seeds:
    """The model of a measure that is above 0. table: as in `Measurements`, with that column.

    Raises ValueError where each pair has one random coupling: there pair and seed are one.
    """
    if not several(table):
        raise ValueError(
            f"random-seeds: expected at least 2 for each of {FEWEST} pairs or more, got 1 or fewer "
            "pairs; run with --random-seeds 2."
        )
    import statsmodels.formula.api as formulas
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, SingularMatrixWarning

    pair, value = (np.asarray(table[name]) for name in ("pair", measure))
    of = {name: np.asarray(table["coupling"]) == name for name in (OPTIMAL, RANDOM)}
    optimal = dict(zip(pair[of[OPTIMAL]].tolist(), value[of[OPTIMAL]].tolist(), strict=True))
    drawn = pair[of[RANDOM]].tolist()
    ratios = np.log(value[of[RANDOM]].astype(float) / [optimal[number] for number in drawn])
    data = pd.DataFrame({"ratio": ratios, "pair": drawn})
    with warnings.catch_warnings():
        # Of a variance that is 0: that is an answer too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SingularMatrixWarning)
        fitted = formulas.mixedlm("ratio ~ 1", data, groups=data["pair"]).fit(reml=True)
    low, high = fitted.conf_int().loc["Intercept"]
    return Seeds(
        float(np.exp(fitted.fe_params["Intercept"])),
        float(np.exp(low)),
        float(np.exp(high)),
        float(np.sqrt(fitted.cov_re.iloc[0, 0])),
        float(np.sqrt(fitted.scale)),
        len(optimal),
        len(drawn),
    )
