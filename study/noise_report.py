"""The table, the chart and the verdicts of the noise study."""

from __future__ import annotations

import io
from collections.abc import Sequence
from statistics import mean, median

import numpy as np
from PIL import Image
from scipy.stats import binomtest, false_discovery_control, wilcoxon

from .noise import (
    BETWEEN,
    CENTROIDS,
    COG,
    FILE,
    GROUPS,
    IMAGES,
    INVERTED,
    PATHS,
    PUBLISHED,
    MethodResult,
    StudyResult,
)

OTHERS = {
    PATHS: ("LERP", "SLERP", "NAO", COG),
    CENTROIDS: ("Euclidean", "standardised", "mode norm", "NAO", COG),
}
IMAGES_PER_MIX = {PATHS: len(BETWEEN), CENTROIDS: 1}  # images of one path or centroid
SIGNIFICANT = 0.05
RESAMPLES = 100


Features = Sequence[np.ndarray] | np.ndarray


def frechet(x: Features, y: Features) -> float:
    """FID on these features [N, D], [M, D]: ‖μ−ν‖² + tr(A + B − 2 (A^½ B A^½)^½).

    With centred features X, Y the last trace is the sum of the singular values of XYᵀ, divided by
    √(NM). This needs no root of a singular matrix, for which libraries return NaN when a feature is
    always 0. With X = Q R the singular values are those of the small matrix R_X R_Yᵀ.
    """
    a, b = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
    gap = np.square(a.mean(0) - b.mean(0)).sum()
    a, b = (z - z.mean(0) for z in (a, b))
    a, b = (z / np.sqrt(len(z)) for z in (a, b))
    small = np.linalg.qr(a)[1] @ np.linalg.qr(b)[1].T
    shared = np.linalg.svd(small, compute_uv=False).sum()
    return float(gap + np.square(a).sum() + np.square(b).sum() - 2 * shared)


def nearer(
    first: MethodResult, second: MethodResult, reference: Features, group: int
) -> tuple[float, float]:
    """The 95 % interval of FID(second) − FID(first), from paired bootstrap samples.

    group: the number of images of one path, which are resampled together.
    """
    x, y, target = (np.array(f) for f in (first.features, second.features, reference))
    rng = np.random.default_rng(0)
    paths = np.arange(len(x)).reshape(-1, group)
    draws = [paths[rng.integers(len(paths), size=len(paths))].ravel() for _ in range(RESAMPLES)]
    gains = [frechet(y[draw], target) - frechet(x[draw], target) for draw in draws]
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def accuracy(method_result: MethodResult) -> tuple[float, float, float]:
    """The share of right images, and its 95 % interval (Wilson)."""
    test = binomtest(sum(method_result.right), len(method_result.right))
    interval = test.proportion_ci(method="wilson")
    return test.statistic, interval.low, interval.high


def better(first: MethodResult, second: MethodResult, group: int) -> tuple[int, int, float]:
    """Paths on which each of two methods has more images right, and Wilcoxon's signed-rank p."""
    right = np.array([first.right, second.right]).reshape(2, -1, group).sum(2)
    gains = right[0] - right[1]
    p = float(np.asarray(wilcoxon(gains))[1]) if gains.any() else 1.0
    return int((gains > 0).sum()), int((gains < 0).sum()), p


def report(result: StudyResult) -> str:
    """A Markdown page."""
    plan, reference = result.plan, result.methods["", IMAGES].features
    norms = np.array(result.inversion_norms)
    groups = ", ".join(map(str, GROUPS))
    return f"""# Travelling through noise: which mix gives the best images?

Written by `python -m study noise`, on a {result.device}: the comparison of *Linear combinations of
latents* (arXiv 2408.08558) on the small checkpoint.

- {plan.classes} classes (a colour and a shape) of {plan.images} images; size, place and
  background vary. Seed {plan.seed}.
- Inverted with the name of their class ("a red star"), guidance 1, {plan.steps} steps with
  {plan.refinements} refinement, and drawn again with as many steps (euler, scheduler normal).
  Norm ratios of the inverted images: {norms.min():.2f} to {norms.max():.2f}, mean
  {norms.mean():.2f}.
- Each class: {plan.images // 2} pairs with three images between them; centroids of {groups}.
- *{PUBLISHED}* divides a mix by √Σw², as the paper does: right for independent noises. Inverted
  images are correlated, so *{COG}*, which the nodes use, measures how much and divides by that.
- Every image's judgement, norm and features are in `{FILE}`; `python -m study noise --report`
  writes this page from it.

{table(result, reference)}

- *Right*: the scene classifier sees one thing of the class's colour and shape; 95 % intervals are
  Wilson's, which treats all images as independent. *FID*: Fréchet distance, on the classifier's
  pooled features, to the images themselves after encoding and decoding; smaller is better. Only
  rows of one task (equally many images) can be compared. *Norm*: ‖z‖/√D of the mixed noises. *Time*
  of one path or centroid: median, on the CPU.
- *{INVERTED}*: without any mixing; no method is expected to do better.
- Of the closed forms only *standardised* and *mode norm* have the norm 1 of noise. {COG} and SLERP
  keep the norm of the images that they mix, {norms.mean():.2f} in the mean. So a mix by {COG} is as
  strong as those images, not as strong as the noise that the model was trained on; LERP's
  {mean(result.methods[PATHS, "LERP"].norms):.3f} compares with {norms.mean():.2f}, not with 1.

![Accuracy and FID of every method](noise.png)

## The paper's claim: is COG better?

The paper's own formula, *{PUBLISHED}*, against every other method.

{comparisons(result, reference)}

- *Better*: paths (or centroids) with more right images by that method than by the other; p is
  Wilcoxon's signed-rank over them, adjusted for all comparisons (Benjamini-Hochberg). *FID gain*:
  FID of the other method minus COG's, 95 % bootstrap interval over paths; if it contains 0, the
  difference is not measurable.
- The images and this model are far simpler than ImageNet and SD2.1. One noise has 256 numbers here
  and tens of thousands there, so its norm is less sharply defined, and a wrong norm does less harm.
"""


def table(result: StudyResult, reference: Features) -> str:
    lines = [
        "| task | method | images | right | 95 % interval | FID | norm | time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (task, method), method_result in result.methods.items():
        share, low, high = accuracy(method_result)
        distance = "" if method == IMAGES else f"{frechet(method_result.features, reference):.1f}"
        cells = [
            task,
            method,
            str(len(method_result.right)),
            f"{100 * share:.1f} %",
            f"{100 * low:.0f} to {100 * high:.0f} %",
            distance,
            f"{mean(method_result.norms):.3f}" if method_result.norms else "",
            duration(median(method_result.seconds)) if method_result.seconds else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def comparisons(result: StudyResult, reference: Features) -> str:
    """The paper's COG compared with every other method in accuracy, FID and time."""
    against = [(task, name) for task, others in OTHERS.items() for name in others]
    counts = [
        better(result.methods[task, PUBLISHED], result.methods[task, name], IMAGES_PER_MIX[task])
        for task, name in against
    ]
    adjusted = false_discovery_control([p for _, _, p in counts])
    lines = [
        "| task | COG against | better with COG | better with the other | p | more accurate | "
        "FID gain | smaller FID | time divided by COG's |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (task, name), (first, second, _), p in zip(against, counts, adjusted, strict=True):
        cog, other = result.methods[task, PUBLISHED], result.methods[task, name]
        low, high = nearer(cog, other, reference, IMAGES_PER_MIX[task])
        cells = [
            task,
            name,
            str(first),
            str(second),
            f"{p:.2g}",
            verdict(first - second, p <= SIGNIFICANT),
            f"{low:+.1f} to {high:+.1f}",
            verdict(low + high, low > 0 or high < 0),
            f"{median(other.seconds) / median(cog.seconds):.2g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(gain: float, measurable: bool) -> str:
    if not measurable:
        return "not measurable"
    return "**yes**" if gain > 0 else "**no, the reverse**"


def chart(result: StudyResult) -> Image.Image:
    """Accuracy with its interval, and FID, of every method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(9, 6.4), dpi=110, layout="constrained")
    axes = fig.subplots(2, 2)
    reference = result.methods["", IMAGES].features
    ceiling = accuracy(result.methods["", INVERTED])[0]
    for row, task in zip(axes, (PATHS, CENTROIDS), strict=True):
        methods = [method for of_task, method in result.methods if of_task == task]
        colours = ["#0072B2" if method in (COG, PUBLISHED) else "#9aa0a6" for method in methods]
        shares = np.array([accuracy(result.methods[task, method]) for method in methods]) * 100
        reach = np.abs(shares[:, 1:] - shares[:, :1]).T
        row[0].bar(methods, shares[:, 0], yerr=reach, color=colours, capsize=4)
        row[0].axhline(100 * ceiling, color="#D55E00", linewidth=1.2, label=INVERTED)
        row[0].set_ylabel("right (%)")
        row[0].set_ylim(0, 105)
        row[0].set_title(f"{task}: colour and shape of the class")
        row[0].legend(loc="lower right", fontsize=8)
        distances = [
            frechet(result.methods[task, method].features, reference) for method in methods
        ]
        bars = row[1].bar(methods, distances, color=colours)
        row[1].bar_label(bars, fmt="%.1f", fontsize=8)
        row[1].set_ylabel("FID, classifier features")
        row[1].set_title(f"{task}: distance to the images")
        row[1].margins(y=0.15)
        for ax in row:
            ax.tick_params(axis="x", labelsize=7)
    file = io.BytesIO()
    FigureCanvasAgg(fig).print_png(file)
    return Image.open(file).convert("RGB")
