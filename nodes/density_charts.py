"""Charts of density paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from .charts import COLOURS, INK, figure, image_of, legend


def search_chart(
    log_density: np.ndarray,
    log_density_of_arc: np.ndarray,
    history: Sequence[Sequence[float]],
    score: str,
) -> Tensor:
    """Density by the search's own score, along the path and the great arc; how the search went."""
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
    """Density along a clip, and the residual of its variants."""
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
            "needs three frames that differ",
            color=INK,
            ha="center",
            transform=right.transAxes,
        )
    right.set_ylabel("mean norm of the functional gradient")
    return image_of(fig)
