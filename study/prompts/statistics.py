"""The paper's tests: Wilcoxon's signed-rank test by bins of similarity, and its four hypotheses.

Which Way from B to A, sections 3 and 4.3. Numbers of several random couplings of one pair are
averaged first, so that every pair counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, rankdata, spearmanr, wilcoxon

from .pairs import BINS
from .plan import OPTIMAL, RANDOM, ROW_ORDER

OTHERS = (ROW_ORDER, RANDOM)
MEASURES, RELATIVE = ("ppl", "cost"), "relative_cost"
Values = Sequence[float] | np.ndarray
LEVEL = 0.05
FEWEST = 10  # with fewer pairs the p of Spearman's ρ is not reliable
# Two couplings may be equal; batches then render the same frame with other rounding (2e-8 in PPL).
ROUNDING = 1e-6


@dataclass(frozen=True)
class Comparison:
    """Optimal transport compared with another coupling, over pairs.

    bin: None for all pairs. differ: number of pairs in which the two differ; only these are tested.
    optimal, median: medians of optimal transport and of the other, over all pairs. p: two-sided,
    NaN without pairs. q: p after Benjamini and Hochberg over the bins of one measure. effect:
    matched-pairs rank-biserial correlation, 1 if optimal transport is smaller in every pair with a
    difference, −1 if it is larger in every such pair.
    """

    measure: str
    other: str
    bin: float | None
    pairs: int
    differ: int
    optimal: float
    median: float
    p: float
    effect: float
    q: float = float("nan")


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation with similarity, over pairs; NaN where it is undefined."""

    rho: float
    p: float
    pairs: int

    @property
    def measurable(self) -> bool:
        return self.p < LEVEL and self.pairs >= FEWEST


@dataclass(frozen=True, eq=False)
class Pairs:
    """Arrays with an entry for each pair: similarity, bin, and values by measure and coupling."""

    similarity: np.ndarray
    bin: np.ndarray
    values: Mapping[tuple[str, str], np.ndarray]

    def compare(self, measure: str, other: str, edge: float | None = None) -> Comparison:
        """Compare optimal transport with another coupling, in one bin or (None) in all."""
        here = np.full(len(self.bin), True) if edge is None else self.bin == edge
        optimal, others = (self.values[measure, name][here] for name in (OPTIMAL, other))
        return compare(optimal, others, measure, other, edge)

    def along(self, measure: str, coupling: str) -> Trend:
        """The correlation of a measure with similarity."""
        return trend(self.similarity, self.values[measure, coupling])

    def gain(self, other: str) -> np.ndarray:
        """The gain in PPL by optimal transport: (other − optimal) / mean of both, −2 to 2.

        0 where they differ by at most `ROUNDING`.
        """
        a, b = self.values["ppl", OPTIMAL], self.values["ppl", other]
        mean = (a + b) / 2
        return np.divide(b - a, mean, out=np.zeros_like(mean), where=np.abs(b - a) > ROUNDING)


def by_pair(table: pd.DataFrame) -> Pairs:
    """The measured pairs of a table as in `measurements.Measurements`."""
    first = table.drop_duplicates("pair").sort_values("pair")
    couplings = [OPTIMAL, *OTHERS]
    values = {}
    for measure in (*MEASURES, RELATIVE):
        wide = table.pivot_table(values=measure, index="pair", columns="coupling", aggfunc="mean")
        wide = wide.reindex(index=first["pair"], columns=couplings)
        values |= {(measure, name): np.asarray(wide[name], float) for name in couplings}
    similarity, bins = (np.asarray(first[name], float) for name in ("similarity", "bin"))
    return Pairs(similarity, bins, values)


def compare(
    optimal: Values, other: Values, measure: str, name: str, edge: float | None
) -> Comparison:
    """Wilcoxon's signed-rank test of paired samples, without the pairs that do not differ.

    Without any pair p is NaN; without any difference p is 1 and the effect 0. Differences up to
    `ROUNDING` count as none.
    """
    a, b = np.asarray(optimal, float), np.asarray(other, float)
    nan = float("nan")
    if not len(a):
        return Comparison(measure, name, edge, 0, 0, nan, nan, nan, nan)
    gains = np.where(np.abs(b - a) > ROUNDING, b - a, 0)
    differ = gains[gains != 0]
    p = float(np.asarray(wilcoxon(differ))[1]) if len(differ) else 1.0
    optimal_median, median = float(np.median(a)), float(np.median(b))
    effect = rank_biserial(differ)
    return Comparison(measure, name, edge, len(a), len(differ), optimal_median, median, p, effect)


def rank_biserial(gains: np.ndarray) -> float:
    """(W₊ − W₋)/(W₊ + W₋) of the signed ranks (Kerby 2014); 0 where nothing differs."""
    nonzero = gains[gains != 0]
    if not len(nonzero):
        return 0.0
    ranks = rankdata(np.abs(nonzero))
    return float((np.sign(nonzero) * ranks).sum() / ranks.sum())


def comparisons(pairs: Pairs) -> list[Comparison]:
    """All comparisons of both measures: by bin, with q over the bins, and then over all pairs."""
    result = []
    for measure in MEASURES:
        bins = [pairs.compare(measure, other, edge) for edge in BINS for other in OTHERS]
        result += adjusted(bins)
        result += [pairs.compare(measure, other) for other in OTHERS]
    return result


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with q, after Benjamini and Hochberg, over those that have a p."""
    known = [k for k, c in enumerate(comparisons) if not np.isnan(c.p)]
    if not known:
        return list(comparisons)
    q = false_discovery_control([comparisons[k].p for k in known])
    by_place = dict(zip(known, map(float, q), strict=True))
    return [replace(c, q=by_place.get(k, float("nan"))) for k, c in enumerate(comparisons)]


def trend(similarity: Values, values: Values) -> Trend:
    """Spearman's correlation of values with similarity. Values that are not finite are left out."""
    x, y = np.asarray(similarity, float), np.asarray(values, float)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < 3 or not np.ptp(x) or not np.ptp(y):
        return Trend(float("nan"), float("nan"), len(x))
    rho, p = np.asarray(spearmanr(x, y))
    return Trend(float(rho), float(p), len(x))
