"""The page that puts all of a run in one place, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from math import isnan

import numpy as np

from .found import Found
from .pairs import WIDTH
from .plan import OPTIMAL
from .statistics import LEVEL, MEASURES, OTHERS, RELATIVE, Comparison, by_pair, comparisons
from .verdicts import verdicts

PAGE, BOXES, EXAMPLES = "report.md", "boxes.png", "examples.jpg"
# The paper's experiment, and the machine it should fit on for a night.
PAPER_PAIRS, PAPER_COUPLINGS, PAPER_FRAMES, GPUS = 10_000, 3, 11, 8
TITLES = {"ppl": "Perceptual path length", "cost": "Cost of the coupling"}


def report(found: Found, with_examples: bool) -> str:
    """The whole page; figures are files beside it."""
    plan = found.plan
    pictures = f"\n![The same pairs by every coupling]({EXAMPLES})\n" if with_examples else ""
    return f"""# Does the shorter path between two prompts make the smoother morph?

{found.measured} of {found.pairs} pairs of prompts, {plan.couplings} couplings each, {plan.frames}
images a path, guidance {plan.guidance:g}, on `{plan.checkpoint}`. After *Which Way from B to A*
(arXiv 2511.12757), section 4; written by `python -m study report`.

## The four hypotheses

{verdict_lines(found)}

ρ is Spearman's rank correlation over pairs; p is two-sided; a part of a claim counts as shown
below {LEVEL:g}. *Effect* is the matched-pairs rank-biserial correlation: +1 where optimal transport
is the smaller in every pair that differs, −1 where it is the larger in every one.

![PPL, cost and gain by similarity and coupling]({BOXES})

*Boxes hold the middle half of the pairs, whiskers nine tenths. Below 0.01 the axis of the PPL is
linear. Gain: what optimal transport saves, as a share of the mean of both; above 0 it is smoother.*

## The paper's table

{tables(found)}

Medians over all pairs of a bin; p of Wilcoxon's signed-rank test, two-sided, over those pairs in
which the couplings differ (their number is in brackets; where row order is optimal already they
are one coupling); q is p after Benjamini and Hochberg over the bins of a table. Several random
couplings of a pair are averaged first. A bin is named by its edges; the upper one belongs to it.
That optimal transport costs less is so by construction; the paper tests it, so it stands here.
{pictures}
{_pictures_note(found) if with_examples else ""}
## What was left out

{left_out(found)}

## How long it takes

{arithmetic(found)}

## Settings

{settings(found)}
"""


def verdict_lines(found: Found) -> str:
    """One sentence for each hypothesis."""
    return "\n".join(f"{k}. {v.sentence}" for k, v in enumerate(verdicts(found.table), start=1))


def tables(found: Found) -> str:
    """A table for PPL and one for the cost: a row for each bin, then all pairs."""
    every = comparisons(by_pair(found.table))
    return "\n\n".join(
        f"**{TITLES[measure]}**\n\n{_table([c for c in every if c.measure == measure])}"
        for measure in MEASURES
    )


def _table(found: Sequence[Comparison]) -> str:
    heads = [f"{other} | p | q | effect" for other in OTHERS]
    lines = [
        f"| similarity | pairs | {OPTIMAL} | {' | '.join(heads)} |",
        "|---" * (3 + 4 * len(OTHERS)) + "|",
    ]
    for start in range(0, len(found), len(OTHERS)):
        row = found[start : start + len(OTHERS)]
        first = row[0]
        name = "all" if first.bin is None else f"{first.bin - WIDTH:g}–{first.bin:g}"
        cells = [name, str(first.pairs), _number(first.optimal)]
        for one in row:
            effect = "" if isnan(one.effect) else f"{one.effect:+.2f}"
            cells += [f"{_number(one.median)} ({one.differ})", _p(one.p), _p(one.q), effect]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:.3g}"


def _p(value: float) -> str:
    return "" if isnan(value) else f"{value:.2g}"


def _pictures_note(found: Found) -> str:
    return (
        "*The first pair of each bin that was measured. Which pairs keep their images "
        f"(the first {found.plan.kept_per_bin} of each bin) was settled before anything was "
        "measured.*\n"
    )


def left_out(found: Found) -> str:
    """Rows that could not be used, pairs that failed, pairs that wait."""
    lines = [f"- {why}: {_count(n, 'row')} of the file" for why, n in found.excluded_reasons]
    reasons = Counter(found.failures.values())
    lines += [f"- {_count(n, 'pair')} failed: {why}" for why, n in reasons.most_common()]
    if found.waiting:
        lines.append(f"- {_count(found.waiting, 'pair')} not measured yet when this was written")
    apart = by_pair(found.table).values[RELATIVE, OTHERS[0]]
    if one_cloud := int(np.isnan(apart).sum()):
        lines.append(
            f"- {_count(one_cloud, 'pair')} without relative cost: both prompts are one point cloud"
        )
    return "\n".join(lines) or "Nothing: no row was unusable, no pair failed."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def arithmetic(found: Found) -> str:
    """The measured rate, and what it makes of the paper's number of pairs."""
    rate = found.images_per_second
    if isnan(rate):
        return "Nothing was measured yet."
    each = 2 + PAPER_COUPLINGS * (PAPER_FRAMES - 2)
    images = PAPER_PAIRS * each
    devices = " and ".join(sorted(found.table["device"].unique()))
    hours = images / rate / 3600
    total, alone = f"{images:,}", f"{hours:.1f}"
    return (
        f"Measured: {rate:.2f} images a second of one worker ({devices}), all but loading "
        f"included, for this checkpoint, {found.plan.size} pixels and {found.plan.steps} steps. "
        f"{PAPER_PAIRS:,} pairs × {PAPER_COUPLINGS} couplings × {PAPER_FRAMES} images are "
        f"{PAPER_PAIRS:,} × (2 + {PAPER_COUPLINGS} × {PAPER_FRAMES - 2}) = {total} renders, as the "
        f"paths of a pair share their two ends. At this rate {total} / {rate:.2f} / 3600 = "
        f"{alone} hours for one worker, {hours / GPUS:.1f} for {GPUS} of its kind. For another "
        f"machine put its own rate in: {GPUS} workers take {total} / {GPUS} / 3600 / rate = "
        f"{images / GPUS / 3600:.1f} / rate hours."
    )


def settings(found: Found) -> str:
    """All that makes a run repeatable, as a table."""
    about = {f.name.replace("_", "-"): getattr(found.plan, f.name) for f in fields(found.plan)}
    about |= found.environment
    about["LPIPS"] = ", ".join(sorted(found.table["metric"].unique()))
    about["device"] = ", ".join(sorted(found.table["device"].unique()))
    lines = ["| setting | value |", "|---|---|"]
    lines += [
        f"| {name} | {value if value != '' else '(empty)'} |" for name, value in about.items()
    ]
    return "\n".join(lines)
