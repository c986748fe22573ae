"""The report of a run, one Markdown page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from math import isnan

import numpy as np

from .measurements import Measurements
from .pairs import WIDTH
from .plan import OPTIMAL
from .statistics import LEVEL, MEASURES, OTHERS, RELATIVE, Comparison, by_pair, comparisons
from .verdicts import verdicts

PAGE, BOXES, EXAMPLES = "report.md", "boxes.png", "examples.jpg"
# The size of the paper's experiment, and the number of GPUs for which the time is given.
PAPER_PAIRS, PAPER_COUPLINGS, PAPER_FRAMES, GPUS = 10_000, 3, 11, 8
TITLES = {"ppl": "Perceptual path length", "cost": "Cost of the coupling"}


def report(results: Measurements, with_examples: bool) -> str:
    """The whole page; its figures are files in the same folder."""
    plan = results.plan
    pictures = f"\n![The same pairs by every coupling]({EXAMPLES})\n" if with_examples else ""
    return f"""# Does the shorter path between two prompts make the smoother morph?

{results.measured} of {results.pairs} pairs of prompts, {plan.couplings} couplings each,
{plan.frames} images per path, guidance {plan.guidance:g}, on `{plan.checkpoint}`. After *Which Way
from B to A* (arXiv 2511.12757), section 4; written by `python -m study report`.

## The four hypotheses

{verdict_lines(results)}

ρ is Spearman's rank correlation over pairs; p is two-sided. A part of a claim counts as shown
if p < {LEVEL:g}. *Effect* is the matched-pairs rank-biserial correlation: +1 if optimal transport
is smaller in every pair with a difference, −1 if it is larger in every such pair.

![PPL, cost and gain by similarity and coupling]({BOXES})

*Boxes contain the middle half of the pairs, whiskers nine tenths. Below 0.01 the axis of PPL is
linear. Gain: how much smaller PPL is with optimal transport, as a share of the mean of both.*

## The paper's tables

{tables(results)}

Medians over all pairs of a bin; p of Wilcoxon's signed-rank test, two-sided, over those pairs in
which the couplings differ (their number is in brackets; where row order is already optimal, both
are the same coupling); q is p after Benjamini and Hochberg over the bins of a table. Several random
couplings of a pair are averaged first. A bin is named by its edges; the upper one belongs to it.
Optimal transport costs less by construction; the paper tests this too, so it is included here.
{pictures}
{_pictures_note(results) if with_examples else ""}
## What was left out

{left_out(results)}

## How long it takes

{arithmetic(results)}

## Settings

{settings(results)}
"""


def verdict_lines(results: Measurements) -> str:
    """One sentence for each hypothesis."""
    return "\n".join(f"{k}. {v.sentence}" for k, v in enumerate(verdicts(results.table), start=1))


def tables(results: Measurements) -> str:
    """A table for PPL and one for the cost: a row for each bin, then all pairs."""
    all_comparisons = comparisons(by_pair(results.table))
    return "\n\n".join(
        f"**{TITLES[measure]}**\n\n{_table([c for c in all_comparisons if c.measure == measure])}"
        for measure in MEASURES
    )


def _table(results: Sequence[Comparison]) -> str:
    heads = [f"{other} | p | q | effect" for other in OTHERS]
    lines = [
        f"| similarity | pairs | {OPTIMAL} | {' | '.join(heads)} |",
        "|---" * (3 + 4 * len(OTHERS)) + "|",
    ]
    for start in range(0, len(results), len(OTHERS)):
        row = results[start : start + len(OTHERS)]
        first = row[0]
        name = "all" if first.bin is None else f"{first.bin - WIDTH:g}–{first.bin:g}"
        cells = [name, str(first.pairs), _number(first.optimal)]
        for comparison in row:
            effect = "" if isnan(comparison.effect) else f"{comparison.effect:+.2f}"
            cells.append(f"{_number(comparison.median)} ({comparison.differ})")
            cells += [_p(comparison.p), _p(comparison.q), effect]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:.3g}"


def _p(value: float) -> str:
    return "" if isnan(value) else f"{value:.2g}"


def _pictures_note(results: Measurements) -> str:
    return (
        "*The first pair of each bin that was measured. Which pairs keep their images "
        f"(the first {results.plan.kept_per_bin} of each bin) was chosen before anything was "
        "measured.*\n"
    )


def left_out(results: Measurements) -> str:
    """The rows that could not be used, the pairs that failed, and the pairs that wait."""
    lines = [f"- {why}: {_count(n, 'row')} of the file" for why, n in results.excluded_reasons]
    reasons = Counter(results.failures.values())
    lines += [f"- {_count(n, 'pair')} failed: {why}" for why, n in reasons.most_common()]
    if results.waiting:
        lines.append(
            f"- {_count(results.waiting, 'pair')} not yet measured when this page was written"
        )
    relative = by_pair(results.table).values[RELATIVE, OTHERS[0]]
    if one_cloud := int(np.isnan(relative).sum()):
        lines.append(
            f"- {_count(one_cloud, 'pair')} without relative cost: both prompts are one point cloud"
        )
    return "\n".join(lines) or "Nothing: no row was unusable, no pair failed."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def arithmetic(results: Measurements) -> str:
    """The measured rate, and the time that the paper's number of pairs takes at this rate."""
    rate = results.images_per_second
    if isnan(rate):
        return "Nothing was measured yet."
    per_pair = 2 + PAPER_COUPLINGS * (PAPER_FRAMES - 2)
    images = PAPER_PAIRS * per_pair
    devices = " and ".join(sorted(results.table["device"].unique()))
    hours = images / rate / 3600
    total, alone = f"{images:,}", f"{hours:.1f}"
    return (
        f"Measured: {rate:.2f} images per second and worker ({devices}), including everything but "
        f"loading, for this checkpoint, {results.plan.size} pixels and {results.plan.steps} steps. "
        f"{PAPER_PAIRS:,} pairs × {PAPER_COUPLINGS} couplings × {PAPER_FRAMES} images are "
        f"{PAPER_PAIRS:,} × (2 + {PAPER_COUPLINGS} × {PAPER_FRAMES - 2}) = {total} renders, as all "
        f"paths of a pair share their two ends. At this rate {total} / {rate:.2f} / 3600 = "
        f"{alone} hours for one worker, {hours / GPUS:.1f} for {GPUS} of its kind. For another "
        f"machine insert its own rate: {GPUS} workers take {total} / {GPUS} / 3600 / rate = "
        f"{images / GPUS / 3600:.1f} / rate hours."
    )


def settings(results: Measurements) -> str:
    """A table of everything that is needed to repeat a run."""
    about = {f.name.replace("_", "-"): getattr(results.plan, f.name) for f in fields(results.plan)}
    about |= results.environment
    about["LPIPS"] = ", ".join(sorted(results.table["metric"].unique()))
    about["device"] = ", ".join(sorted(results.table["device"].unique()))
    lines = ["| setting | value |", "|---|---|"]
    lines += [
        f"| {name} | {value if value != '' else '(empty)'} |" for name, value in about.items()
    ]
    return "\n".join(lines)
