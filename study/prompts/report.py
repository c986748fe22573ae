"""The report of a run, one Markdown page."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from math import isnan

import numpy as np

from . import evidence
from .measurements import Measurements
from .resampling import LEVEL
from .statistics import COST, OTHERS, PPL, RELATIVE, by_pair, smallest_effect
from .verdicts import verdicts

PAGE, BOXES, EXAMPLES, STANDING = "report.md", "boxes.png", "examples.jpg", "standing.json"
# The size of the paper's experiment, and the number of GPUs for which the time is given.
PAPER_PAIRS, PAPER_COUPLINGS, PAPER_FRAMES, GPUS = 10_000, 3, 11, 8
TITLES = {PPL: "Perceptual path length", COST: "Cost of the coupling"}


def report(results: Measurements, with_examples: bool) -> str:
    """The whole page; its figures are files in the same folder."""
    plan = results.plan
    pairs = by_pair(results.table)
    different = pairs.different
    pictures = f"\n![The same pairs by every coupling]({EXAMPLES})\n" if with_examples else ""
    return f"""# Does the shorter path between two prompts make the smoother morph?

{results.measured} of {results.pairs} pairs of prompts, {plan.couplings} couplings each,
{plan.frames} images per path, {plan.steps} steps, guidance {plan.guidance:g}, on
`{plan.checkpoint}`. After *Which Way from B to A* (arXiv 2511.12757), section 4; written by
`python -m study report`.

## The four hypotheses

Judged on {len(different)} pairs of different scenes.

{verdict_lines(results)}

- ρ is Spearman's rank correlation over pairs; p is two-sided; brackets hold 95 % intervals over
  resampled pairs. n, and the numbers after *of*, count the pairs that were tested: those in which
  the couplings differ. (The cost of a path can be compared in every pair.)
- A part of a claim counts as shown if p < {LEVEL:g}. For 1 it must also hold where word overlap is
  held fixed, for 2 and 4 it must be beyond the range of shuffled differences
  ([why](#what-is-so-by-construction)).
- A percentage is the change of the mean PPL over all pairs of different scenes. *Effect* is the
  matched-pairs rank-biserial correlation: +1 if the first has the smaller PPL in every tested pair,
  −1 if it has the larger one in every such pair.
- In 3 the first coupling is the shorter path. Row order costs less than the random coupling in
  {_cheaper(results)}.

![PPL, cost and gain by similarity and coupling]({BOXES})

*Boxes contain the middle half of the pairs, whiskers nine tenths. Below 0.01 the axis of PPL is
linear. Gain: how much smaller PPL is with optimal transport, as a share of the mean of both. Pairs
that tell one scene in two wordings stand apart, at the right.*

## Not PPL alone

{evidence.compared(different)}

LPIPS is a squared distance: a jump counts more in its mean than the same way in small steps. The
length of a path is the sum of √LPIPS. The unevenness is 0 if all steps are equally long. Medians
and changes are over all {len(different)} pairs of different scenes; *smaller in*, effect and p are
over tested ones. q is p after Benjamini and Hochberg over the table.

## One scene in two wordings

{evidence.one_scene(pairs)}

## What is so by construction

{evidence.mechanical(different)}

## Pairs and seeds

{evidence.seeds(results)}

## Where single pairs stand

{evidence.spread(different)}

Quantiles over the {len(different)} pairs of different scenes. An example that gains much more than
the median pair is a chosen one.

## The paper's tables

{tables(results)}

Pairs of different scenes. The first column of numbers holds medians. In the others is the effect,
the number of pairs in which the first coupling has the smaller value, and that of the tested pairs;
p is Wilcoxon's signed-rank test, two-sided; q is p after Benjamini and Hochberg over the bins of a
table. A bin is named by its edges; the upper one belongs to it. A bin of {plan.per_bin} tested
pairs shows only effects beyond ±{smallest_effect(plan.per_bin):.2f}, so a bin that shows nothing
does not show that there is nothing: see the halves below the bins. Several random couplings of a
pair are averaged first. Optimal transport costs less by construction; the paper tests this too, so
it is included here.
{pictures}
{_pictures_note(results) if with_examples else ""}
## What was left out

{left_out(results)}

## How long it takes

{arithmetic(results)}

## Settings

{settings(results)}

*LPIPS … (scene classifier)* is not the published metric: the weights that LPIPS gives to channels
were calibrated on people's judgements for the published backbone. Here they weigh channels of
another network, for which nobody calibrated them.
"""


def verdict_lines(results: Measurements) -> str:
    """One sentence for each hypothesis."""
    return "\n".join(f"{k}. {v.sentence}" for k, v in enumerate(verdicts(results.table), start=1))


def tables(results: Measurements) -> str:
    """A table for PPL and one for the cost: a row for each bin, then halves and all pairs."""
    pairs = by_pair(results.table).different
    return "\n\n".join(
        f"**{title}**\n\n{evidence.bins(pairs, measure)}" for measure, title in TITLES.items()
    )


def _cheaper(results: Measurements) -> str:
    """In how many pairs row order costs less than the random coupling."""
    pairs = by_pair(results.table).different
    row, random = (pairs.values[COST, other] for other in OTHERS)
    return f"{int((row < random).sum())} of {len(pairs)} of these pairs"


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
