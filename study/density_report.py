"""The table and the verdicts of the study of paths between images."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from .density import (
    ARC,
    BOTH_WAYS,
    DIFFERENCE,
    FILE,
    LEVEL,
    METHODS,
    PLACED,
    PROMPT,
    RETIMED,
    STRENGTHS,
    TANGENTIAL,
    TRUE,
    StudyResult,
)

Values = Sequence[float] | np.ndarray
TESTED = ("ppl", "length", "density")
LARGEST_IN_PIXELS = "largest in pixels"
NAN = float("nan")


def values(result: StudyResult, path: str, measure: str) -> list[float]:
    """A measure of a path, one number for each pair.

    ppl: mean LPIPS of the steps; largest; length: sum of √LPIPS; cv: coefficient of variation of
    √LPIPS. largest in pixels: the largest root mean square difference. density: mean log density
    above the straight line between the values of both ends. gradient, ends, inversion: as in the
    table. NaN where it was not measured.
    """
    rows = pd.DataFrame(result.table[result.table["path"] == path]).sort_values(by="pair")
    laws = {
        "ppl": lambda row: np.mean(row["steps"]),
        "largest": lambda row: np.max(row["steps"]),
        "length": lambda row: np.sqrt(row["steps"]).sum(),
        "cv": lambda row: np.std(np.sqrt(row["steps"])) / np.mean(np.sqrt(row["steps"])),
        LARGEST_IN_PIXELS: lambda row: np.max(row["pixels"]) if len(row["pixels"]) else NAN,
        "density": lambda row: above_chord(row["log_density"]) if len(row["log_density"]) else NAN,
    }
    law = laws.get(measure, lambda row: row[measure])
    return [float(law(row)) for _, row in rows.iterrows()]


def above_chord(log_density: Values) -> float:
    """The mean of a log density above the straight line between its first and its last value."""
    given = np.asarray(log_density, float)
    return float((given - np.linspace(given[0], given[-1], len(given))).mean())


def report(result: StudyResult) -> str:
    """A Markdown page."""
    plan = result.plan
    inversion = values(result, ARC, "inversion")
    lost = max(
        before - after
        for method in (DIFFERENCE, BOTH_WAYS, TRUE, TANGENTIAL, ARC, RETIMED)
        for before, after in zip(inversion, values(result, method, "ends"), strict=True)
    )
    return f"""# From image to image: is the density geodesic better?

Written by `python -m study density`, on a {result.device}: {plan.pairs} pairs of held-out scenes on
the small checkpoint, inverted with their captions to noise level {LEVEL:g} in {plan.steps} steps
with one refinement, {plan.frames} frames per path, rendered without guidance. Density paths:
{plan.levels} levels of {plan.iterations} iterations, learning rate {plan.learning_rate:g}, strength
{STRENGTHS[DIFFERENCE]:g} (noise difference) and {STRENGTHS[TRUE]:g} (true score). *{TANGENTIAL}*:
the metric JᵀJ of the true score (Saito & Matsubara), {plan.tangential_iterations} iterations
in all, with {2**plan.levels} legs. *{RETIMED}*: once, by the LPIPS of its own {plan.frames} frames.
*{PLACED}*: the same two images through Image Keyframe, frames placed by LPIPS; its frames take over
and bridge steps, so there is no log density of theirs.

{table(result)}

- *PPL*: mean LPIPS of consecutive frames; *largest*: the largest of them; *length*: the sum of
  √LPIPS, because LPIPS is a squared distance. LPIPS is that of this project's scene classifier:
  the published weights of channels, on channels for which they were not calibrated.
- *Log density*: the model's log density above the straight line between the values of both ends,
  mean along the path. *Gradient*: mean norm of the functional gradient, by the noise difference.
- All are medians over the pairs; p is Wilcoxon's signed-rank against the great arc.
- *Ends*: PSNR of the first and the last frame against the encoded and decoded images, median of
  the worse one. By inversion alone: {median(inversion):.1f} dB; no path is more than
  {max(0.0, lost):.2f} dB below its own inversion. The prompt path does not lead to the images.
- Steps and log densities of every frame are in `{FILE}`; `python -m study density --report` writes
  this page from it.

![The first pairs by every method](density.jpg)

## What holds

{verdicts(result)}

## The tangential path by its own metric

{tangential(result)}

## Placement, judged by what it was not placed by

{placement(result)}

## What the log density does not show

- *{TRUE}* is optimised by the same score that the log density is summed up from. That it is denser
  says that the optimiser works, not that its images are better.
- The prompt changes along all of these paths, and the model has another density for each prompt.
  What is summed up from frame to frame is the change under that frame's prompt. So there is no one
  density of which it were the height, and *denser* only holds between paths that have the same
  prompts at the same times, as these have.
"""


def table(result: StudyResult) -> str:
    lines = [
        "| path | PPL | p | length | p | largest | log density | p | gradient | ends |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = {m: values(result, method, m) for m in (*TESTED, "largest", "gradient", "ends")}
        p = {
            m: "" if method == ARC else f"{p_value(own[m], values(result, ARC, m)):.2g}"
            for m in TESTED
        }
        cells = [
            method,
            f"{median(own['ppl']):.4f}",
            p["ppl"],
            f"{median(own['length']):.3f}",
            p["length"],
            f"{median(own['largest']):.4f}",
            "" if method == PLACED else f"{median(own['density']):+.1f}",
            "" if method == PLACED else p["density"],
            "" if method == PLACED else f"{median(own['gradient']):.3f}",
            "" if method == PROMPT else f"{median(own['ends']):.1f} dB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def tangential(result: StudyResult) -> str:
    """How much shorter the tangential path is than the great arc, by its own metric."""
    rows = result.table[result.table["path"] == TANGENTIAL]
    ratios = [found / arc for arc, found in rows["lengths"]]
    shorter = sum(ratio < 1 for ratio in ratios)
    return (
        f"It is shorter than the great arc in {shorter} of {len(ratios)} pairs: by its own metric "
        f"{median(ratios):.2f} times as long in the median ({min(ratios):.2f} to "
        f"{max(ratios):.2f}). So what the other measures say of it, they say of a path that was "
        "found; whether it is the shortest is not known."
    )


def placement(result: StudyResult) -> str:
    """The great arc, re-timed or not, beside Morph Sampler: by LPIPS, and by pixels."""
    measures = ("largest", "cv", LARGEST_IN_PIXELS, "length")
    head = ("largest step", "CV of √LPIPS", "largest step in pixels", "length")
    lines = [f"| path | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for method in (ARC, RETIMED, PLACED):
        numbers = [median(values(result, method, measure)) for measure in measures]
        lines.append(f"| {method} | {' | '.join(f'{number:.3f}' for number in numbers)} |")
    tests = []
    for path, against in ((RETIMED, ARC), (PLACED, RETIMED)):
        for measure, name in zip(measures[:3], head, strict=False):
            one, other = values(result, path, measure), values(result, against, measure)
            wins = sum(a < b for a, b in zip(one, other, strict=True))
            tests.append(
                f"- *{path}* against *{against}*, {name}: smaller in {wins} of {len(one)} "
                f"(p = {p_value(one, other):.2g})."
            )
    note = (
        "LPIPS places the frames of the last two paths, so that it also judges them is kind to "
        "both. The root mean square difference of pixels (of 1) placed none of them."
    )
    return "\n".join([*lines, "", *tests, "", note])


def p_value(a: Values, b: Values) -> float:
    """p of Wilcoxon's signed-rank test over pairs; 1 where all are equal."""
    gains = np.subtract(a, b)
    return float(np.asarray(wilcoxon(gains))[1]) if gains.any() else 1.0


def verdicts(result: StudyResult) -> str:
    """One sentence for each method, with its numbers."""
    words = {
        "ppl": ("smoother", "less smooth", True),
        "length": ("shorter", "longer", True),
        "density": ("denser", "less dense", False),
    }
    lines = []
    for method in (m for m in METHODS if m != ARC):
        parts = [
            _comparison(
                values(result, method, measure),
                values(result, ARC, measure),
                better,
                worse,
                smaller=smaller,
            )
            for measure, (better, worse, smaller) in words.items()
            if (method, measure) != (PLACED, "density")
        ]
        lines.append(f"- *{method}* against the great arc: {'; '.join(parts)}.")
    return "\n".join(lines)


def _comparison(
    values: Values, reference: Values, better: str, worse: str, *, smaller: bool
) -> str:
    gains = np.subtract(reference, values) if smaller else np.subtract(values, reference)
    wins = int((gains > 0).sum())
    p = p_value(values, reference)
    if p > 0.05:
        return f"no measurable difference in being {better} ({wins} of {len(gains)}, p = {p:.2g})"
    return f"{better if np.median(gains) > 0 else worse} ({wins} of {len(gains)}, p = {p:.2g})"
