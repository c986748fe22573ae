"""How far a number may be due to the pairs that were drawn, or to the way it is computed.

Percentile intervals over resampled pairs (Efron & Tibshirani 1993, chapter 13), rank correlations
with and without a third quantity, and the correlation that a ratio has by construction: its null,
from shuffled absolute differences (Kronmal 1993 on spurious correlations of ratios).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, rankdata, spearmanr, t

Values = Sequence[float] | np.ndarray
LEVEL = 0.05
FEWEST = 10  # with fewer pairs neither p of Spearman's ρ nor an interval is reliable
RESAMPLES, SEED = 1000, 0
UNKNOWN = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Null:
    """What a correlation is if only the way of computing it makes it: mean and 95 % range."""

    mean: float
    low: float
    high: float

    def beyond(self, rho: float) -> int:
        """1 or −1 if a correlation lies above or below the range, otherwise 0."""
        return int(rho > self.high) - int(rho < self.low)


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation over pairs, its 95 % interval; NaN where it is undefined."""

    rho: float
    p: float
    pairs: int
    interval: tuple[float, float] = UNKNOWN

    @property
    def sign(self) -> int:
        """1 or −1 if the correlation is measurable, otherwise 0."""
        if not (self.p < LEVEL and self.pairs >= FEWEST):
            return 0
        return 1 if self.rho > 0 else -1


def interval(statistic: Callable[..., np.ndarray], *samples: Values) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over resampled pairs; NaN below `FEWEST`.

    statistic: takes arrays [..., n] of the samples and `axis`. The same pairs are drawn of each.
    """
    if len(samples[0]) < FEWEST:
        return UNKNOWN
    found = bootstrap(
        [np.asarray(sample, float) for sample in samples],
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def spearman(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Spearman's ρ along an axis; NaN where one of both is constant."""
    a, b = (rankdata(v, axis=axis) for v in (x, y))
    a, b = (v - v.mean(axis=axis, keepdims=True) for v in (a, b))
    size = np.sqrt(np.square(a).sum(axis=axis) * np.square(b).sum(axis=axis))
    return np.divide((a * b).sum(axis=axis), size, out=np.full_like(size, np.nan), where=size > 0)


def partial(x: np.ndarray, y: np.ndarray, given: np.ndarray, axis: int = -1) -> np.ndarray:
    """Spearman's ρ of x and y where a third quantity is held fixed."""
    xy, xz, yz = spearman(x, y, axis), spearman(x, given, axis), spearman(y, given, axis)
    return (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))


def trend(x: Values, y: Values) -> Trend:
    """Spearman's correlation. Pairs whose y is not finite are left out."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
        return Trend(float("nan"), float("nan"), len(x))
    rho, p = np.asarray(spearmanr(x, y))
    return Trend(float(rho), float(p), len(x), interval(spearman, x, y))


def trend_given(x: Values, y: Values, given: Values) -> Trend:
    """The partial correlation, with p of Student's t of n − 3 degrees of freedom."""
    x, y, z = (np.asarray(v, float) for v in (x, y, given))
    finite = np.isfinite(y)
    x, y, z = x[finite], y[finite], z[finite]
    if len(x) < 4 or not (np.ptp(x) and np.ptp(y) and np.ptp(z)):
        return Trend(float("nan"), float("nan"), len(x))
    rho = float(partial(x, y, z))
    freedom = len(x) - 3
    p = 2 * float(t.sf(abs(rho) * np.sqrt(freedom / max(1 - rho**2, 1e-15)), freedom))
    return Trend(rho, p, len(x), interval(partial, x, y, z))


def shuffled(
    x: Values,
    base: Values,
    differences: Values,
    ratio: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Null:
    """The null of the correlation of x with ratio(base, base + difference).

    Every pair gets the absolute difference of another one, drawn at random; base and x stay. What
    correlation is left comes from dividing by base. Sums below 0 become 0, as no length is less.
    """
    x, b, d = (np.asarray(v, float) for v in (x, base, differences))
    if len(x) < FEWEST or not np.ptp(x) or not np.ptp(ratio(b, b + d)):
        return Null(float("nan"), *UNKNOWN)
    rng = np.random.default_rng(SEED)
    others = np.maximum(b + rng.permuted(np.tile(d, (RESAMPLES, 1)), axis=1), 0)
    found = spearman(np.broadcast_to(x, others.shape), ratio(b, others))
    low, high = np.nanquantile(found, [LEVEL / 2, 1 - LEVEL / 2])
    return Null(float(np.nanmean(found)), float(low), float(high))
