"""The paper's four hypotheses (section 3): a sentence with a judgement and numbers for each.

Judged on pairs of different scenes alone. Two wordings of one scene show one picture, so that the
shortest path stands still, and such pairs are the most similar ones of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .plan import OPTIMAL
from .resampling import Null, Trend, shuffled, trend, trend_given
from .statistics import COMPARED, COST, OTHERS, PPL, RELATIVE, Pairs, by_pair, relative_gain

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


@dataclass(frozen=True)
class Scaled:
    """A correlation of a ratio with similarity, and what of it the division makes by itself.

    absolute: the correlation of the difference that is not divided by anything.
    """

    found: Trend
    null: Null
    absolute: Trend

    @property
    def sign(self) -> int:
        """1 or −1 if the correlation is measurable and beyond its null, otherwise 0."""
        return self.found.sign if self.found.sign == self.null.beyond(self.found.rho) else 0


def verdicts(table: pd.DataFrame) -> list[Verdict]:
    """The verdicts on all four hypotheses, over all measured pairs of different scenes."""
    pairs = by_pair(table).different
    plain = {measure: nearness(pairs, measure) for measure in (COST, PPL)}
    given = {measure: nearness_given_words(pairs, measure) for measure in (COST, PPL)}
    costs = {other: relative_cost(pairs, other) for other in OTHERS}
    gains = {other: relative_gains(pairs, other) for other in OTHERS}
    smoother = [pairs.compare(PPL, *two) for two in COMPARED]
    return [
        Verdict(
            "More similar prompts have a shorter geodesic and a lower PPL",
            # Wording is a part of some scores, and of W₂: both must agree.
            judge([-plain[m].sign if plain[m].sign == given[m].sign else 0 for m in plain]),
            "with similarity, "
            + "; ".join(
                f"{name}: {numbers(plain[m])}; given word overlap {short(given[m])}"
                for name, m in (("W₂", COST), ("PPL", PPL))
            ),
        ),
        Verdict(
            "For more similar prompts, other couplings cost relatively more",
            judge([one.sign for one in costs.values()]),
            "relative cost with similarity, "
            + "; ".join(f"{name}: {scaled(one)}" for name, one in costs.items()),
        ),
        Verdict(
            "The shorter of two paths between the same prompts has the lower PPL",
            judge([c.sign for c in smoother]),
            "; ".join(_against(pairs, *two) for two in COMPARED),
        ),
        Verdict(
            "The more similar the prompts, the larger this gain in PPL",
            judge([one.sign for one in gains.values()]),
            "relative gain in PPL with similarity, "
            + "; ".join(f"against {name}: {scaled(one)}" for name, one in gains.items()),
        ),
    ]


def nearness(pairs: Pairs, measure: str) -> Trend:
    """The correlation of a measure of the optimal path with similarity."""
    return trend(pairs.similarity, pairs.values[measure, OPTIMAL])


def nearness_given_words(pairs: Pairs, measure: str) -> Trend:
    """The same where the share of common words is held fixed."""
    return trend_given(pairs.similarity, pairs.values[measure, OPTIMAL], pairs.overlap)


def relative_cost(pairs: Pairs, other: str) -> Scaled:
    """Relative cost with similarity; the null shuffles what another coupling costs more."""
    finite = pairs.only(np.isfinite(pairs.values[RELATIVE, other]))
    least, cost = finite.values[COST, OPTIMAL], finite.values[COST, other]
    x = finite.similarity
    return Scaled(
        trend(x, finite.values[RELATIVE, other]),
        shuffled(x, least, cost - least, lambda a, b: b / a),
        trend(x, cost - least),
    )


def relative_gains(pairs: Pairs, other: str) -> Scaled:
    """The relative gain with similarity, over tested pairs; the null shuffles absolute gains."""
    own = pairs.only(pairs.tested(OPTIMAL, other))
    a, b = own.values[PPL, OPTIMAL], own.values[PPL, other]
    x = own.similarity
    return Scaled(
        trend(x, relative_gain(a, b)), shuffled(x, a, b - a, relative_gain), trend(x, b - a)
    )


def judge(signs: Sequence[int]) -> str:
    """The judgement on a claim from its parts: 1 measurable, −1 measurably reversed, 0 neither."""
    if all(sign == 1 for sign in signs):
        return HOLDS
    if -1 in signs:
        return MIXED if 1 in signs else CONTRADICTED
    return IN_PART if 1 in signs else OPEN


def numbers(t: Trend) -> str:
    """ρ with its interval, p and n."""
    if t.rho != t.rho:
        return f"no correlation can be computed from {t.pairs} pairs"
    return f"ρ = {t.rho:+.2f}{span(t.interval)}, {probability(t.p)}, n = {t.pairs}"


def short(t: Trend) -> str:
    """ρ with its interval."""
    return "none can be computed" if t.rho != t.rho else f"{t.rho:+.2f}{span(t.interval)}"


def scaled(one: Scaled) -> str:
    """ρ, its null, and that of absolute differences."""
    if one.null.mean != one.null.mean:
        return numbers(one.found)
    null = f"{one.null.mean:+.2f} ({one.null.low:+.2f} to {one.null.high:+.2f})"
    return f"{numbers(one.found)}; shuffled {null}"


def _against(pairs: Pairs, first: str, other: str) -> str:
    c = pairs.compare(PPL, first, other)
    if not c.tested:
        return f"{first} against {other}: no pairs"
    share = span(pairs.change_interval(PPL, first, other), 100, "+.0f", " %")
    return (
        f"{first} against {other}: {100 * c.change:+.0f} %{share}, smaller in {c.smaller} of "
        f"{c.tested}, effect {c.effect:+.2f}{span(pairs.effect_interval(PPL, first, other))}, "
        f"{probability(c.p)}"
    )


def span(
    interval: tuple[float, float], factor: float = 1, digits: str = "+.2f", unit: str = ""
) -> str:
    """An interval in brackets; nothing if it is unknown."""
    low, high = (factor * end for end in interval)
    return "" if low != low else f" ({low:{digits}} to {high:{digits}}{unit})"


def probability(p: float) -> str:
    """p as papers print it."""
    if p != p:
        return "–"
    return "p < 1e-15" if p < 1e-15 else f"p = {p:.2g}"
