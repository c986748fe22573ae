"""Numbers of films, ratios of paths with their intervals, and the model of pairs and seeds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..even.quality import evenness
from ..prompts.plan import RANDOM
from ..prompts.resampling import UNKNOWN, interval

LENGTH, LARGEST, CV, PPL = "√LPIPS length", "largest step", "CV of √LPIPS", "PPL"
MEASURES = (LENGTH, LARGEST, CV, PPL)


def with_measures(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column for each measure of its films."""
    steps = [np.asarray(one, float) for one in table["steps"]]
    return table.assign(
        **{
            LENGTH: [float(np.sqrt(one).sum()) for one in steps],
            LARGEST: [float(one.max()) for one in steps],
            CV: [evenness(one.tolist())["cv"] for one in steps],
            PPL: [float(one.mean()) for one in steps],
        }
    )


def only(table: pd.DataFrame, mask: Any) -> pd.DataFrame:
    """The rows where a mask is true."""
    return pd.DataFrame(table[mask])


def by_pair(table: pd.DataFrame, measure: str) -> pd.Series:
    """One number for each pair, by its number; of one path."""
    return pd.Series(table[measure].to_numpy(float), index=table["pair"].to_numpy(int))


def is_path(table: pd.DataFrame, name: str) -> pd.Series:
    """The rows of a path; RANDOM means all random couplings."""
    return table["path"].astype(str).str.startswith(name)


@dataclass(frozen=True)
class Ratio:
    """exp of a mean of logarithms, with its 95 % interval; over how many pairs."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def side(self) -> int:
        """1 or −1 if the interval lies above or below 1, otherwise 0."""
        return int(self.low > 1) - int(self.high < 1)

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired(first: pd.DataFrame, other: pd.DataFrame, measure: str) -> Ratio:
    """How many times a measure that is above 0 is that of another path: geometric mean over pairs,
    with the interval of resampled pairs. Each table has one film of a pair.
    """
    a, b = by_pair(first, measure).align(by_pair(other, measure), join="inner")
    logs = np.log(a.to_numpy(float) / b.to_numpy(float))
    low, high = interval(np.mean, logs)
    return Ratio(float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high)), len(logs))


def mean(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean over pairs and its interval."""
    found = np.asarray(values, float)
    return float(found.mean()), *interval(np.mean, found)


@dataclass(frozen=True)
class Crossed:
    """ratio; standard deviations, in logarithms, of what belongs to the pair, to the noise seed,
    and of the rest; smaller: the share of films in which the path compared with is smaller.
    """

    ratio: Ratio
    pair: float
    seed: float
    rest: float
    smaller: float


def crossed(table: pd.DataFrame, measure: str, path: str, against: str) -> Crossed:
    """log(path / against) = mean + pair + noise seed + rest, by restricted maximum likelihood.

    Random couplings are films of their own, each compared with the one film of the other path, of
    its pair and noise seed. With fewer than two noise seeds or three pairs there is no interval,
    and the standard deviations are NaN.
    """
    known = {
        (pair, seed): value
        for pair, seed, value in _films(only(table, is_path(table, against)), measure)
    }
    found = [
        (pair, seed, np.log(value / known[pair, seed]))
        for pair, seed, value in _films(only(table, is_path(table, path)), measure)
    ]
    data = pd.DataFrame(found, columns=["pair", "seed", "ratio"])
    logs = np.array([ratio for *_, ratio in found])
    pairs, smaller = len({pair for pair, *_ in found}), float((logs > 0).mean())
    if pairs < 3 or len({seed for _, seed, _ in found}) < 2:
        nan = float("nan")
        return Crossed(Ratio(float(np.exp(logs.mean())), *UNKNOWN, pairs), nan, nan, nan, smaller)
    import statsmodels.formula.api as formulas
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, SingularMatrixWarning

    parts = {"pair": "0 + C(pair)", "seed": "0 + C(seed)"}
    model = formulas.mixedlm("ratio ~ 1", data.assign(all=1), groups="all", vc_formula=parts)
    with warnings.catch_warnings():
        # Of a variance that is 0: that is an answer too.
        for kind in (ConvergenceWarning, SingularMatrixWarning, RuntimeWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        fitted = model.fit(reml=True)
    low, high = fitted.conf_int().loc["Intercept"]
    pair, seed = (float(np.sqrt(max(v, 0))) for v in fitted.vcomp)
    ratio = Ratio(
        float(np.exp(fitted.fe_params["Intercept"])),
        float(np.exp(low)),
        float(np.exp(high)),
        pairs,
    )
    return Crossed(ratio, pair, seed, float(np.sqrt(fitted.scale)), smaller)


def _films(table: pd.DataFrame, measure: str) -> list[tuple[int, int, float]]:
    """Pair, noise seed and number of every film."""
    columns = (table[name].tolist() for name in ("pair", "noise_seed", measure))
    return list(zip(*columns, strict=True))


def one_random(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its random couplings under one name."""
    return table.assign(path=table["path"].where(~is_path(table, RANDOM), RANDOM))
