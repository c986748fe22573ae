"""The paper's four hypotheses (section 3), each judged in one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .pairs import BINS
from .plan import OPTIMAL
from .statistics import (
    LEVEL,
    OTHERS,
    RELATIVE,
    Comparison,
    Pairs,
    Trend,
    by_pair,
    comparisons,
    trend,
)

HOLDS, IN_PART, MIXED = "holds", "holds in part", "mixed"
OPEN, CONTRADICTED = "not shown", "contradicted"


@dataclass(frozen=True)
class Verdict:
    """A hypothesis as the paper puts it, the judgement, and the numbers behind it."""

    claim: str
    judgement: str
    numbers: str

    @property
    def sentence(self) -> str:
        return f"{self.claim}: **{self.judgement}** ({self.numbers})."


def verdicts(table: pd.DataFrame) -> list[Verdict]:
    """All four, over all pairs that were measured."""
    pairs = by_pair(table)
    cost, ppl = pairs.along("cost", OPTIMAL), pairs.along("ppl", OPTIMAL)
    relative = {other: pairs.along(RELATIVE, other) for other in OTHERS}
    smoother = {other: pairs.compare("ppl", other) for other in OTHERS}
    gains = {other: trend(pairs.similarity, pairs.gain(other)) for other in OTHERS}
    return [
        Verdict(
            "More similar prompts have the shorter geodesic and the lower PPL",
            judge([-_sign(cost), -_sign(ppl)]),
            f"with similarity, W₂: {_trend(cost)}; PPL: {_trend(ppl)}",
        ),
        Verdict(
            "Suboptimal couplings are relatively dearer for more similar prompts",
            judge([_sign(one) for one in relative.values()]),
            "relative cost with similarity, "
            + "; ".join(f"{name}: {_trend(one)}" for name, one in relative.items()),
        ),
        Verdict(
            "Of one pair, the shorter path has the lower PPL",
            judge([_gain(one) for one in smoother.values()]),
            "; ".join(_against(one, pairs) for one in smoother.values()),
        ),
        Verdict(
            "That gain is the greater, the more similar the prompts",
            judge([_sign(one) for one in gains.values()]),
            "relative gain in PPL with similarity, "
            + "; ".join(f"against {name}: {_trend(one)}" for name, one in gains.items()),
        ),
    ]


def judge(signs: Sequence[int]) -> str:
    """From parts of a claim: 1 measurably so, −1 measurably the reverse, 0 not measurable."""
    if all(sign == 1 for sign in signs):
        return HOLDS
    if -1 in signs:
        return MIXED if 1 in signs else CONTRADICTED
    return IN_PART if 1 in signs else OPEN


def _sign(found: Trend) -> int:
    return (1 if found.rho > 0 else -1) if found.measurable else 0


def _gain(found: Comparison) -> int:
    return (1 if found.effect > 0 else -1) if found.p < LEVEL else 0


def _trend(found: Trend) -> str:
    if found.rho != found.rho:
        return f"no correlation to be had of {found.pairs} pairs"
    return f"ρ = {found.rho:+.2f}, {probability(found.p)}, n = {found.pairs}"


def _against(found: Comparison, pairs: Pairs) -> str:
    if not found.pairs:
        return f"against {found.other}: no pairs"
    bins = [one for one in comparisons(pairs) if one.measure == "ppl" and one.other == found.other]
    clear = sum(one.q < LEVEL and one.effect > 0 for one in bins)
    return (
        f"against {found.other}: median PPL {found.optimal:.3g} and {found.median:.3g}, "
        f"effect {found.effect:+.2f}, {probability(found.p)}, n = {found.pairs}; by itself in "
        f"{clear} of {len(BINS)} bins at q < {LEVEL:g}"
    )


def probability(p: float) -> str:
    """p as papers print it."""
    if p != p:
        return "–"
    return "p < 1e-15" if p < 1e-15 else f"p = {p:.2g}"
