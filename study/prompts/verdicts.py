"""The paper's four hypotheses (section 3): a sentence with a judgement and numbers for each."""

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
    """A hypothesis of the paper, the judgement, and the numbers behind it."""

    claim: str
    judgement: str
    numbers: str

    @property
    def sentence(self) -> str:
        return f"{self.claim}: **{self.judgement}** ({self.numbers})."


def verdicts(table: pd.DataFrame) -> list[Verdict]:
    """The verdicts on all four hypotheses, over all measured pairs."""
    pairs = by_pair(table)
    cost, ppl = pairs.along("cost", OPTIMAL), pairs.along("ppl", OPTIMAL)
    relative = {other: pairs.along(RELATIVE, other) for other in OTHERS}
    smoother = {other: pairs.compare("ppl", other) for other in OTHERS}
    gains = {other: trend(pairs.similarity, pairs.gain(other)) for other in OTHERS}
    return [
        Verdict(
            "More similar prompts have a shorter geodesic and a lower PPL",
            judge([-_sign(cost), -_sign(ppl)]),
            f"with similarity, W₂: {_trend(cost)}; PPL: {_trend(ppl)}",
        ),
        Verdict(
            "For more similar prompts, other couplings cost relatively more",
            judge([_sign(t) for t in relative.values()]),
            "relative cost with similarity, "
            + "; ".join(f"{name}: {_trend(t)}" for name, t in relative.items()),
        ),
        Verdict(
            "The shorter of two paths between the same prompts has the lower PPL",
            judge([_gain(c) for c in smoother.values()]),
            "; ".join(_against(c, pairs) for c in smoother.values()),
        ),
        Verdict(
            "The more similar the prompts, the larger this gain in PPL",
            judge([_sign(t) for t in gains.values()]),
            "relative gain in PPL with similarity, "
            + "; ".join(f"against {name}: {_trend(t)}" for name, t in gains.items()),
        ),
    ]


def judge(signs: Sequence[int]) -> str:
    """The judgement on a claim from its parts: 1 measurable, −1 measurably reversed, 0 neither."""
    if all(sign == 1 for sign in signs):
        return HOLDS
    if -1 in signs:
        return MIXED if 1 in signs else CONTRADICTED
    return IN_PART if 1 in signs else OPEN


def _sign(t: Trend) -> int:
    return (1 if t.rho > 0 else -1) if t.measurable else 0


def _gain(c: Comparison) -> int:
    return (1 if c.effect > 0 else -1) if c.p < LEVEL else 0


def _trend(t: Trend) -> str:
    if t.rho != t.rho:
        return f"no correlation can be computed from {t.pairs} pairs"
    return f"ρ = {t.rho:+.2f}, {probability(t.p)}, n = {t.pairs}"


def _against(c: Comparison, pairs: Pairs) -> str:
    if not c.pairs:
        return f"against {c.other}: no pairs"
    bins = [b for b in comparisons(pairs) if b.measure == "ppl" and b.other == c.other]
    clear = sum(b.q < LEVEL and b.effect > 0 for b in bins)
    return (
        f"against {c.other}: median PPL {c.optimal:.3g} and {c.median:.3g}, "
        f"effect {c.effect:+.2f}, {probability(c.p)}, n = {c.pairs}; by itself in "
        f"{clear} of {len(BINS)} bins at q < {LEVEL:g}"
    )


def probability(p: float) -> str:
    """p as papers print it."""
    if p != p:
        return "–"
    return "p < 1e-15" if p < 1e-15 else f"p = {p:.2g}"
