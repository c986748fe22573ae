"""The paper's figures: PPL and cost by similarity and coupling, and example trajectories."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from dev.pictures.sheets import BACKGROUND, MARGIN, filmstrip, stack, write

from . import store
from .pairs import BINS, WIDTH, Pair
from .plan import OPTIMAL, RANDOM, ROW_ORDER
from .statistics import OTHERS, by_pair

# Okabe & Ito's colours, which colour-blind people can tell apart.
COLOURS = {OPTIMAL: "#0072B2", ROW_ORDER: "#E69F00", RANDOM: "#9aa0a6"}
LABELS = {
    "ppl": "PPL (mean LPIPS step)",
    "cost": "cost of the coupling",
}
COLUMNS, SIZE, LINE, WRAP = 11, 96, 24, 100


def boxes(table: pd.DataFrame) -> Image.Image:
    """Box plots by bin and coupling (the paper's figure 3), and the gain by optimal transport."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = by_pair(table)
    groups = [(pairs.bin == edge) & ~pairs.one_scene for edge in BINS]
    names = [f"{edge - WIDTH:g}–{edge:g}" for edge in BINS]
    if pairs.one_scene.any():
        groups.append(pairs.one_scene)
        names.append("one scene,\ntwo wordings")
    fig = Figure(figsize=(11, 12), dpi=100, layout="constrained")
    axes = fig.subplots(3, 1)
    for ax, measure in zip(axes, LABELS, strict=False):
        _grouped(ax, {coupling: pairs.values[measure, coupling] for coupling in COLOURS}, groups)
        ax.set_ylabel(LABELS[measure])
    axes[0].set_yscale("symlog", linthresh=0.01)  # similar prompts differ by little
    axes[0].set_ylim(bottom=0)
    _grouped(axes[2], {other: pairs.gain(other) for other in OTHERS}, groups)
    axes[2].axhline(0, color="black", linewidth=0.8)
    axes[2].set_ylabel("gain in PPL by optimal transport,\n(other − optimal) / mean")
    ticks = [f"{name}\nn = {group.sum()}" for name, group in zip(names, groups, strict=True)]
    for ax in axes:
        ax.set_xticks(range(len(groups)), ticks)
        ax.axvline(len(BINS) - 0.5, color="#dddddd", linewidth=0.6)
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
    axes[2].set_xlabel("similarity of the prompts; pairs of different scenes")
    file = io.BytesIO()
    FigureCanvasAgg(fig).print_png(file)
    return Image.open(file).convert("RGB")


def _grouped(ax: Any, values: Mapping[str, np.ndarray], groups: Sequence[np.ndarray]) -> None:
    """Boxes of several series beside each other in every group of pairs; whiskers 5 to 95 %."""
    from matplotlib.patches import Patch

    width = 0.8 / len(values)
    for k, (name, series) in enumerate(values.items()):
        for place, group in enumerate(groups):
            own = series[group]
            if not len(own):
                continue
            ax.boxplot(
                own,
                positions=[place - 0.4 + width * (k + 0.5)],
                widths=width * 0.85,
                whis=(5, 95),
                manage_ticks=False,
                patch_artist=True,
                boxprops={"facecolor": COLOURS[name], "linewidth": 0.8},
                medianprops={"color": "black", "linewidth": 1.4},
                flierprops={"marker": ".", "markersize": 3, "markeredgecolor": COLOURS[name]},
            )
    patches = [Patch(facecolor=COLOURS[name], label=name) for name in values]
    ax.legend(
        handles=patches,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(values),
        frameon=False,
        borderaxespad=0.2,
    )


def examples(folder: Path) -> Image.Image | None:
    """Trajectories of the first pair of each bin whose images were kept, one coupling in each row.

    These pairs were chosen before anything was measured. None if no images were kept.
    """
    kept = store.open_run(folder)
    try:
        panels = []
        shown: set[float] = set()
        for number, pair in sorted(kept.pairs.items(), key=lambda item: item[1].bin):
            films = kept.images(number) if pair.bin not in shown else {}
            if films:
                shown.add(pair.bin)
                panels.append(_panel(pair, films))
    finally:
        kept.close()
    return stack(panels) if panels else None


def _panel(pair: Pair, films: Mapping[tuple[str, int], Sequence[bytes]]) -> Image.Image:
    named = {
        coupling if coupling != RANDOM else f"{coupling}, seed {seed}": [
            Image.open(io.BytesIO(file)).convert("RGB") for file in files
        ]
        for (coupling, seed), files in films.items()
    }
    strip = filmstrip(named, COLUMNS, SIZE)
    captions = f"Similarity {pair.similarity:g}. From: {pair.caption_a}", f"To: {pair.caption_b}"
    lines = [line for text in captions for line in textwrap.wrap(text, WRAP)]
    sheet = Image.new("RGB", (strip.width, strip.height + LINE * len(lines) + MARGIN), BACKGROUND)
    for k, line in enumerate(lines):
        write(sheet, (MARGIN, MARGIN + LINE * k), line)
    sheet.paste(strip, (0, LINE * len(lines) + MARGIN))
    return sheet
