"""The tables of a report: what the paths differ in, by which pairs, and how much of it is by
construction.
"""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pandas as pd

from .measurements import Measurements
from .plan import OPTIMAL, RANDOM
from .resampling import trend
from .seeds import fit, several
from .statistics import (
    COMPARED,
    COST,
    EVENNESS,
    LARGEST,
    LENGTH,
    OTHERS,
    PPL,
    Comparison,
    Pairs,
    adjusted,
    by_bins,
    by_pair,
)
from .verdicts import (
    nearness,
    nearness_given_words,
    probability,
    relative_cost,
    relative_gains,
    short,
    span,
)

NAMES = {
    PPL: "PPL (mean LPIPS)",
    LENGTH: "√LPIPS length",
    LARGEST: "largest step (LPIPS)",
    EVENNESS: "unevenness (CV of √LPIPS)",
}
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
Standing = dict[str, list[float]]


def compared(pairs: Pairs) -> str:
    """Every measure of every two couplings, with q over the whole table."""
    tests = adjusted([pairs.compare(measure, *two) for measure in NAMES for two in COMPARED])
    lines = [
        "| measure | | medians | change of the mean | smaller in | effect | p | q |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in tests:
        two = c.measure, c.first, c.other
        cells = [
            NAMES[c.measure],
            f"{c.first} against {c.other}",
            " and ".join(number(value) for value in c.medians),
            percent(c.change) + span(pairs.change_interval(*two), 100, "+.0f", " %"),
            f"{c.smaller} of {c.tested}",
            signed(c.effect) + span(pairs.effect_interval(*two)),
            p_of(c.p),
            p_of(c.q),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def one_scene(pairs: Pairs) -> str:
    """The pairs that tell one scene twice, apart from all others."""
    same, different = pairs.same, pairs.different
    if not len(same):
        return "No pair of this run tells one scene of the scene language in two wordings."
    near, far = (np.mean(p.values[COST, OPTIMAL]) for p in (same, different))
    least = np.min(same.similarity)
    return f"""{len(same)} of {len(pairs)} pairs tell one scene in two wordings; their similarity is
{least:g} and more. There is nothing to morph: both prompts mean one picture. They are left out of
all judgements. As clouds of rows they are hardly nearer to each other than other pairs are: their
mean W₂ is {near:.1f}, that of different scenes {far:.1f}.

{compared(same)}"""


def mechanical(pairs: Pairs) -> str:
    """Correlations with similarity beside what the way of computing them makes by itself."""
    lines = [
        "| with similarity | ρ | given word overlap |",
        "|---|---|---|",
    ]
    for name, measure in (("W₂", COST), ("PPL by optimal transport", PPL)):
        given = nearness_given_words(pairs, measure)
        lines.append(f"| {name} | {short(nearness(pairs, measure))} | {short(given)} |")
    lines += [
        "",
        "| with similarity | n | ρ | ρ of shuffled differences | ρ of the difference itself |",
        "|---|---|---|---|---|",
    ]
    for what, law in (("relative cost", relative_cost), ("relative gain in PPL", relative_gains)):
        for other in OTHERS:
            one = law(pairs, other)
            null = short_null(one.null.mean, (one.null.low, one.null.high))
            cells = [f"{what}, {other}", str(one.found.pairs), short(one.found), null]
            lines.append(f"| {' | '.join([*cells, short(one.absolute)])} |")
    words = trend(pairs.overlap, pairs.values[COST, OPTIMAL])
    random, least = (variation(pairs.values[COST, name]) for name in (RANDOM, OPTIMAL))
    return "\n".join(
        [
            *lines,
            "",
            f"W₂ with word overlap: ρ = {short(words)}. The similarity of scene pairs contains "
            "word overlap, and W₂ is a distance of words. So the first line is partly circular; "
            "what it says beyond wording is in its last column. Relative cost and relative gain "
            "divide a difference by W₂ and by PPL. Where those fall with similarity, a ratio rises "
            "even if the difference does not: the third column gives every pair "
            "the difference of another pair (mean and 95 % range of "
            "shuffles). A part of a hypothesis counts as shown only above that range. A random "
            f"coupling costs about the same in all pairs (its cost varies by {random}, W₂ by "
            f"{least}), so its relative cost says what W₂ says, and nothing more.",
        ]
    )


def variation(values: np.ndarray) -> str:
    """Standard deviation / mean, in per cent."""
    return f"{100 * values.std() / values.mean():.0f} %" if len(values) else "–"


def seeds(results: Measurements) -> str:
    """What the mixed model over pairs and seeds says, or why there is nothing for it to say."""
    plan = results.plan
    noise = (
        f"All images come from one noise (seed {plan.seed}), so how the results change with the "
        "noise is not measured here."
    )
    pairs = by_pair(results.table)
    measured = np.unique(np.asarray(results.table["pair"], int))
    numbers = measured[~pairs.one_scene]
    table = pd.DataFrame(results.table[np.isin(np.asarray(results.table["pair"]), numbers)])
    if not several(table) and plan.random_seeds > 1:
        return f"Only {len(numbers)} pairs: too few for a mixed model. {noise}"
    if not several(table):
        return (
            "Each pair has one random coupling. So differences between pairs can't be told from "
            "differences between seeds, and a mixed model has nothing to estimate: the intervals "
            "above, over pairs, hold both. With `--random-seeds 2` or more it stands here. " + noise
        )
    table = table.assign(
        **{LENGTH: [float(np.sqrt(steps).sum()) for steps in table["steps"]]},
    )
    lines = ["| random / optimal transport | ratio | between pairs | between seeds |"]
    lines.append("|---|---|---|---|")
    for measure in (LENGTH, LARGEST):
        found = fit(table, measure)
        lines.append(
            f"| {NAMES[measure]} | {found.ratio:.2f} ({found.low:.2f} to {found.high:.2f}) | "
            f"{found.pair:.2f} | {found.seed:.2f} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"log(random / optimal transport) of {plan.random_seeds} random couplings of each of "
            f"{len(numbers)} pairs, by a mixed model with a random intercept for each pair: the "
            "ratio with its 95 % interval, and the standard deviations of pairs and of seeds in "
            f"logarithms. {noise}",
        ]
    )


def standing(pairs: Pairs) -> Standing:
    """PPL of another coupling / PPL of optimal transport, sorted, by the coupling's name."""
    optimal = pairs.values[PPL, OPTIMAL]
    ratios = {other: pairs.values[PPL, other] / optimal for other in OTHERS}
    return {name: sorted(round(float(r), 4) for r in own) for name, own in ratios.items()}


def standing_file(results: Measurements) -> str:
    """The same as JSON, with what it was measured at, for those who show one example."""
    plan = results.plan
    about = {"guidance": plan.guidance, "steps": plan.steps, "frames": plan.frames}
    ratios = standing(by_pair(results.table).different)
    return json.dumps({**about, "ratios": ratios}) + "\n"


def spread(pairs: Pairs) -> str:
    """How the ratios of single pairs are distributed."""
    heads = " | ".join("largest" if share == 1 else f"{share:.0%}" for share in SHARES)
    lines = [f"| PPL / that of optimal transport | {heads} |", "|---" * (len(SHARES) + 1) + "|"]
    for name, ratios in standing(pairs).items():
        cells = [number(float(np.quantile(ratios, share))) for share in SHARES] if ratios else []
        lines.append(f"| {' | '.join([name, *cells, *[''] * (len(SHARES) - len(cells))])} |")
    return "\n".join(lines)


def bins(pairs: Pairs, measure: str) -> str:
    """A table of a measure: a row for each bin, for both halves, and for all pairs."""
    heads = [f"{first} against {other} | p | q" for first, other in COMPARED]
    lines = [f"| similarity | pairs | {OPTIMAL} | {' | '.join(heads)} |"]
    lines.append("|---" * (3 + 3 * len(COMPARED)) + "|")
    for name, row in by_bins(pairs, measure):
        cells = [name, str(row[0].pairs), number(row[0].medians[0])]
        for c in row:
            cells += [_effect(c), p_of(c.p), p_of(c.q)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _effect(c: Comparison) -> str:
    return f"{signed(c.effect)} ({c.smaller} of {c.tested})" if c.tested else ""


def short_null(mean: float, limits: tuple[float, float]) -> str:
    return "" if isnan(mean) else f"{mean:+.2f}{span(limits)}"


def number(value: float) -> str:
    return "" if isnan(value) else f"{value:.3g}"


def signed(value: float) -> str:
    return "" if isnan(value) else f"{value:+.2f}"


def percent(value: float) -> str:
    return "" if isnan(value) else f"{100 * value:+.0f} %"


def p_of(value: float) -> str:
    return "" if isnan(value) else probability(value).removeprefix("p = ").removeprefix("p ")
