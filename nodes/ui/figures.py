"""Charts as ComfyUI images: matplotlib figures without its global state, for a dark canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...geometry.music import BeatTimes
from ...geometry.onsets import RATE
from ...geometry.perceptual import Steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours, which colour-blind people can tell apart, in an order that also keeps
# neighbours apart in brightness; black and the darkest blue are left out on a dark ground.
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")
GROUND, INK, FAINT = "#1e1f22", "#e6e6e6", "#3a3c40"
MAX_PANELS = 6


def figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A dark figure of width×height inches at 100 dots per inch, and its axes side by side."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), dpi=100, facecolor=GROUND)
    axes = list(np.atleast_1d(fig.subplots(1, columns)))
    # Margins in inches: matplotlib's own layout draws everything twice to find them.
    fig.subplots_adjust(
        left=0.8 / width,
        right=1 - 0.2 / width,
        bottom=0.6 / height,
        top=1 - 0.6 / height,
        wspace=0.32,
    )
    for ax in axes:
        ax.set_facecolor(GROUND)
        ax.tick_params(colors=INK)
        ax.grid(color=FAINT, linewidth=0.6)
        ax.set_axisbelow(True)
        for spine in ax.spines.values():
            spine.set_color(FAINT)
        for part in (ax.xaxis.label, ax.yaxis.label, ax.title):
            part.set_color(INK)
    return fig, axes


def image_of(fig: Figure) -> Tensor:
    """The figure as an IMAGE, [1, H, W, 3] in [0, 1]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return torch.from_numpy(pixels.astype(np.float32) / 255)[None]


def legend(ax: Axes, **options: Any) -> None:
    ax.legend(facecolor=GROUND, edgecolor=FAINT, labelcolor=INK, **options)


def legend_above_data(ax: Axes) -> None:
    """A legend with room made for it, so that it covers no bar and no curve."""
    columns = 3
    handles, _ = ax.get_legend_handles_labels()
    rows = -(-len(handles) // columns)
    ax.set_ylim(bottom=0, top=(1.12 + 0.1 * rows) * ax.dataLim.ymax or 1)
    legend(ax, loc="upper center", ncols=columns, fontsize=8, columnspacing=1)


def steps_chart(steps: Steps) -> Tensor:
    """The perceptual distance of every step, their mean, and the statistics in words."""
    fig, (ax,) = figure(6, 4)
    number = np.arange(1, len(steps.distances) + 1)
    ax.bar(number, steps.distances, width=0.82, color=COLOURS[0], label="step")
    worst = int(np.argmax(steps.distances))
    ax.bar(
        number[worst],
        steps.largest,
        width=0.82,
        color=COLOURS[3],
        label=f"largest {steps.largest:.4f}",
    )
    ax.axhline(steps.mean, color=COLOURS[1], linewidth=1.6, label=f"mean (PPL) {steps.mean:.4f}")
    _step_axes(ax, steps.metric, len(number))
    ax.set_title(
        f"sum {steps.total:.4f}   PDV {steps.variance:.2e}   smoothness {steps.smoothness:.3f}",
        fontsize=11,
    )
    legend_above_data(ax)
    return image_of(fig)


def compare_chart(paths: Sequence[tuple[str, Steps]], warnings: Sequence[str] = ()) -> Tensor:
    """Several paths: steps over the position on the path; mean and largest step as bars.

    warnings: sentences that stand above everything else.
    """
    height = 4.2 + 0.22 * len(warnings)
    fig, (left, right) = figure(9, height, 2)
    if warnings:
        fig.subplots_adjust(top=3.6 / height, bottom=0.6 / height)
        fig.suptitle("\n".join(warnings), fontsize=9.5, color=COLOURS[1], y=1 - 0.1 / height)
    for (label, steps), colour in zip(paths, COLOURS, strict=False):
        # Middle of each step as a share of the path, so that paths of any length compare.
        middle = (np.arange(len(steps.distances)) + 0.5) / len(steps.distances)
        left.plot(
            middle, steps.distances, color=colour, marker="o", markersize=3, label=_plain(label)
        )
    _step_axes(left, _shared_metric(paths), 0)
    left.set_xlabel("position on the path (0 = first frame, 1 = last)")
    left.set_xlim(0, 1)
    left.set_title("distance of consecutive frames", fontsize=10)
    legend_above_data(left)
    place = np.arange(len(paths))
    shown = (
        (-0.2, 1.0, [steps.mean for _, steps in paths]),
        (0.2, 0.5, [steps.largest for _, steps in paths]),
    )
    for shift, alpha, values in shown:
        bars = right.bar(place + shift, values, 0.38, color=COLOURS[: len(paths)], alpha=alpha)
        right.bar_label(bars, fmt="%.3f", color=INK, padding=2, fontsize=8)
    right.set_xticks(place, [_plain(label) for label, _ in paths])
    right.set_ylabel(_shared_metric(paths))
    right.margins(y=0.15)
    right.set_title("mean step (PPL), and the largest step in pale", fontsize=10)
    return image_of(fig)


def _plain(label: str) -> str:
    """A person's text, which matplotlib must not read as a formula or as a hidden label."""
    return label.replace("$", r"\$").lstrip("_") or " "


def _shared_metric(paths: Sequence[tuple[str, Steps]]) -> str:
    return " / ".join(dict.fromkeys(steps.metric for _, steps in paths))


def _step_axes(ax: Axes, metric: str, count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("step (frame to next frame)")
    ax.set_ylabel(f"distance per step, {metric}" if len(metric) < 30 else metric)
    ax.set_ylim(bottom=0)
    if count:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(0.4, count + 0.6)


def search_chart(
    log_density: np.ndarray,
    log_density_of_arc: np.ndarray,
    history: Sequence[Sequence[float]],
    score: str,
) -> Tensor:
    """Density along the path and the great arc, by the score of the search; and its progress."""
    fig, (left, right) = figure(9, 4.2, 2)
    t = np.linspace(0, 1, len(log_density))
    left.plot(t, log_density_of_arc, color=COLOURS[1], label="great arc", linestyle="--")
    left.plot(t, log_density, color=COLOURS[0], marker="o", markersize=3, label="this path")
    left.set_xlabel("position on the path (0 = image A, 1 = image B)")
    left.set_ylabel(f"log density by the {score}, relative to A")
    left.set_title("density along the path", fontsize=10)
    left.set_xlim(0, 1)
    legend(left, loc="best")
    right.set_title("how far from a geodesic", fontsize=10)
    right.set_xlabel("iteration, all levels")
    right.set_ylabel("mean norm of the functional gradient (times a)")
    done = 0
    for level, norms in enumerate(history, start=1):
        place = np.arange(done, done + len(norms))
        colour = COLOURS[(level - 1) % len(COLOURS)]
        points = 2**level - 1
        label = f"{points} point{'s' if points > 1 else ''}"
        right.plot(place, norms, color=colour, label=label)
        done += len(norms)
    if done:
        right.set_yscale("log")
        right.tick_params(which="both", colors=INK)
        legend(right, loc="best")
    return image_of(fig)


def analysis_chart(log_density: np.ndarray, norms: Mapping[str, float]) -> Tensor:
    """The density along a clip, and the gradient norms of the clip and its variants."""
    fig, (left, right) = figure(9, 4.2, 2)
    frames = np.arange(1, len(log_density) + 1)
    left.plot(frames, log_density, color=COLOURS[0], marker="o", markersize=3)
    left.set_xlabel("frame")
    left.set_ylabel("log density, relative to the first frame")
    left.set_title("density along the path", fontsize=10)
    right.set_title("how far from a geodesic", fontsize=10)
    if norms:
        place = np.arange(len(norms))
        bars = right.bar(place, list(norms.values()), color=COLOURS[: len(norms)])
        right.bar_label(bars, fmt="%.3g", color=INK, padding=2)
        right.set_xticks(place, list(norms))
        right.margins(y=0.15)
    else:
        right.text(
            0.5,
            0.5,
            "needs three different frames",
            color=INK,
            ha="center",
            transform=right.transAxes,
        )
    right.set_ylabel("mean norm of the functional gradient")
    return image_of(fig)


def music_chart(onsets: np.ndarray, schedule: BeatTimes, fps: float) -> Tensor:
    """The onsets of the music, its beats, and the place on the path at every frame.

    onsets: [n], what `onset_strength` returns. schedule: one time for each frame, `fps` a second.
    """
    fig, (ax,) = figure(7, 3.9)
    loudest = max(float(onsets.max()), 1e-12)
    # One value for each pixel of the chart, so that no attack is lost between two.
    together = -(-len(onsets) // 600)
    padded = np.pad(onsets, (0, -len(onsets) % together))
    heights = padded.reshape(-1, together).max(axis=1) / loudest
    seconds = np.arange(len(heights)) * together / RATE
    ax.fill_between(seconds, heights, color=COLOURS[0], alpha=0.45, linewidth=0, label="onsets")
    if schedule.beats:
        places = np.array(schedule.beats) / fps
        low = np.full(len(places), 0.025)
        ax.plot(places, low, "|", color=INK, markersize=9, label="beats")
    t = np.array(schedule.times.values)
    frames = np.arange(len(t)) / fps
    ax.plot(frames, t, color=COLOURS[1], linewidth=1.8, label="place on the path")
    if schedule.keyframes:
        stops = np.array(schedule.keyframes)
        ax.scatter(stops / fps, t[stops], s=36, color=COLOURS[3], zorder=3, label="keyframes")
    ax.set_xlim(0, max(len(onsets) / RATE, len(t) / fps))
    ax.set_ylim(0, 1.04)
    ax.set_xlabel("seconds")
    ax.set_ylabel("place on the path (0 = first keyframe)")
    ax.grid(axis="x", visible=False)
    # Above the axes, where it hides nothing.
    legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1.01), ncols=4, fontsize=9)
    return image_of(fig)
