"""The paper's tests: Wilcoxon's signed-rank test over pairs, for several measures of a path.

Which Way from B to A, sections 3 and 4.3. Numbers of several random couplings of one pair are
averaged first, so that every pair counts once. Pairs in which two couplings are the same are not
tested, and never counted in n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, rankdata, wilcoxon

from ..even.quality import evenness
from .pairs import BINS, Pair
from .plan import OPTIMAL, RANDOM, ROW_ORDER
from .resampling import LEVEL, Values, interval
from .scene_pairs import same_scene

OTHERS = (ROW_ORDER, RANDOM)
# Each against the one that costs more. Row order costs less than a random coupling.
COMPARED = ((OPTIMAL, ROW_ORDER), (OPTIMAL, RANDOM), (ROW_ORDER, RANDOM))
PPL, LENGTH, LARGEST, EVENNESS, COST = "ppl", "length", "largest", "cv", "cost"
MEASURES, RELATIVE = (PPL, LENGTH, LARGEST, EVENNESS), "relative_cost"
# Two couplings may be equal; batches then render the same frame with other rounding (2e-8 in PPL).
ROUNDING = 1e-6
# The two halves of all similarities, in which bins are pooled.
HALVES = (BINS[: len(BINS) // 2], BINS[len(BINS) // 2 :])


@dataclass(frozen=True)
class Comparison:
    """A coupling compared with another one, over pairs.

    pairs: their number; tested: the number of those in which the two couplings differ; smaller: of
    these, in which the first has the smaller value. medians and change (mean of the first / mean of
    the other − 1) are over all pairs. p: two-sided; NaN without pairs. q: p after Benjamini and
    Hochberg over the tests of one table. effect: matched-pairs rank-biserial correlation, 1 if the
    first is smaller in every tested pair, −1 if it is larger in every one.
    """

    measure: str
    first: str
    other: str
    pairs: int
    tested: int
    smaller: int
    medians: tuple[float, float]
    change: float
    p: float
    effect: float
    q: float = float("nan")

    @property
    def sign(self) -> int:
        """1 or −1 if the first is measurably smaller or larger, otherwise 0."""
        if not self.p < LEVEL:
            return 0
        return 1 if self.effect > 0 else -1


@dataclass(frozen=True, eq=False)
class Pairs:
    """Arrays with an entry for each pair.

    overlap: the share of words that both captions have in common, in order, 0 to 1. one_scene:
    whether both captions tell one scene in other words. values: by measure and coupling.
    """

    similarity: np.ndarray
    bin: np.ndarray
    overlap: np.ndarray
    one_scene: np.ndarray
    values: Mapping[tuple[str, str], np.ndarray]

    def __len__(self) -> int:
        return len(self.bin)

    def only(self, chosen: np.ndarray) -> Pairs:
        """The pairs where a mask [n] is true."""
        return Pairs(
            self.similarity[chosen],
            self.bin[chosen],
            self.overlap[chosen],
            self.one_scene[chosen],
            {key: values[chosen] for key, values in self.values.items()},
        )

    @property
    def different(self) -> Pairs:
        """The pairs of different scenes, which alone are judged."""
        return self.only(~self.one_scene)

    @property
    def same(self) -> Pairs:
        """The pairs that tell one scene in two wordings: there is nothing to morph."""
        return self.only(self.one_scene)

    def tested(self, first: str, other: str) -> np.ndarray:
        """In which pairs two couplings render different frames: a mask [n]."""
        return np.abs(self.values[PPL, first] - self.values[PPL, other]) > ROUNDING

    def compare(self, measure: str, first: str, other: str) -> Comparison:
        """Compare two couplings."""
        a, b = self.values[measure, first], self.values[measure, other]
        return compare(a, b, self.tested(first, other), (measure, first, other))

    def effect_interval(self, measure: str, first: str, other: str) -> tuple[float, float]:
        """The 95 % interval of the effect, over the tested pairs."""
        here = self.tested(first, other)
        gains = self.values[measure, other] - self.values[measure, first]
        return interval(rank_biserials, gains[here])

    def change_interval(self, measure: str, first: str, other: str) -> tuple[float, float]:
        """The 95 % interval of the change, over all pairs."""
        return interval(change, self.values[measure, first], self.values[measure, other])

    def gain(self, other: str) -> np.ndarray:
        """The relative gain in PPL by optimal transport, 0 where the couplings are the same."""
        a, b = self.values[PPL, OPTIMAL], self.values[PPL, other]
        return np.where(self.tested(OPTIMAL, other), relative_gain(a, b), 0)


def by_pair(table: pd.DataFrame) -> Pairs:
    """The measured pairs of a table as in `measurements.Measurements`."""
    table = table.assign(
        **{
            LENGTH: [float(np.sqrt(steps).sum()) for steps in table["steps"]],
            EVENNESS: [evenness(steps)["cv"] for steps in table["steps"]],
        }
    )
    first = table.drop_duplicates("pair").sort_values("pair")
    couplings = [OPTIMAL, *OTHERS]
    values = {}
    for measure in (*MEASURES, COST, RELATIVE):
        wide = table.pivot_table(values=measure, index="pair", columns="coupling", aggfunc="mean")
        wide = wide.reindex(index=first["pair"], columns=couplings)
        values |= {(measure, name): np.asarray(wide[name], float) for name in couplings}
    pairs = [
        Pair(*row)
        for row in first[["caption_a", "caption_b", "similarity"]].itertuples(index=False)
    ]
    return Pairs(
        np.asarray(first["similarity"], float),
        np.asarray(first["bin"], float),
        np.array([overlap(pair) for pair in pairs]),
        np.array([same_scene(pair) for pair in pairs], bool),
        values,
    )


def overlap(pair: Pair) -> float:
    """The share of words that two captions have in common, in order: 2 · matches / all words."""
    words = pair.caption_a.split(), pair.caption_b.split()
    return SequenceMatcher(None, *words, autojunk=False).ratio()


def compare(
    first: Values, other: Values, tested: np.ndarray, names: tuple[str, str, str]
) -> Comparison:
    """Wilcoxon's signed-rank test of paired samples [n], over the pairs that are tested, [n] bool.

    names: of the measure and of both samples. Without a tested pair p and the effect are NaN;
    without any difference in tested pairs p is 1 and the effect 0.
    """
    a, b = np.asarray(first, float), np.asarray(other, float)
    nan = float("nan")
    if not len(a):
        return Comparison(*names, 0, 0, 0, (nan, nan), nan, nan, nan)
    gains = (b - a)[tested]
    differ = gains[gains != 0]
    p = float(np.asarray(wilcoxon(differ))[1]) if len(differ) else 1.0
    known = len(gains) > 0
    return Comparison(
        *names,
        len(a),
        len(gains),
        int((gains > 0).sum()),
        (float(np.median(a)), float(np.median(b))),
        float(change(a, b)),
        p if known else nan,
        float(rank_biserials(gains)) if known else nan,
    )


def change(first: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
    """mean of the first / mean of the other − 1; below 0 where the first is smaller."""
    whole = other.sum(axis=axis)
    ones = np.ones_like(whole, dtype=float)
    return np.divide(first.sum(axis=axis), whole, out=ones, where=whole > 0) - 1


def relative_gain(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(other − first) / mean of both, −2 to 2; 0 where both are 0."""
    mean = (first + other) / 2
    return np.divide(other - first, mean, out=np.zeros_like(mean), where=mean > 0)


def rank_biserials(gains: np.ndarray, axis: int = -1) -> np.ndarray:
    """(W₊ − W₋)/(W₊ + W₋) of the signed ranks (Kerby 2014); 0 where nothing differs."""
    # Gains of 0 take no rank: the others' ranks are those among themselves.
    zeros = (gains == 0).sum(axis=axis, keepdims=True)
    ranks = np.where(gains != 0, rankdata(np.abs(gains), axis=axis) - zeros, 0)
    whole = ranks.sum(axis=axis)
    difference = (np.sign(gains) * ranks).sum(axis=axis)
    return np.divide(difference, whole, out=np.zeros_like(whole, dtype=float), where=whole > 0)


def smallest_effect(tested: int) -> float:
    """The effect from which on a test of this many pairs has p < 0.05: 1.96 standard errors."""
    if not tested:
        return float("nan")
    spread = np.sqrt(tested * (tested + 1) * (2 * tested + 1) / 6)
    return min(1.0, float(1.96 * spread / (tested * (tested + 1) / 2)))


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with q, after Benjamini and Hochberg, over those that have a p."""
    known = [k for k, c in enumerate(comparisons) if not np.isnan(c.p)]
    if not known:
        return list(comparisons)
    q = false_discovery_control([comparisons[k].p for k in known])
    by_place = dict(zip(known, map(float, q), strict=True))
    return [replace(c, q=by_place.get(k, float("nan"))) for k, c in enumerate(comparisons)]


def by_bins(pairs: Pairs, measure: str) -> list[tuple[str, list[Comparison]]]:
    """All comparisons of a measure by bin, with q over the bins; then by halves, and over all."""
    flat = adjusted(
        [pairs.only(pairs.bin == edge).compare(measure, *two) for edge in BINS for two in COMPARED]
    )
    width = BINS[1] - BINS[0]
    rows = [
        (f"{edge - width:g}–{edge:g}", flat[k * len(COMPARED) : (k + 1) * len(COMPARED)])
        for k, edge in enumerate(BINS)
    ]
    for half in HALVES:
        own = pairs.only(np.isin(pairs.bin, half))
        name = f"{half[0] - width:g}–{half[-1]:g}"
        rows.append((name, [own.compare(measure, *two) for two in COMPARED]))
    return [*rows, ("all", [pairs.compare(measure, *two) for two in COMPARED])]
