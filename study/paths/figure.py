"""The picture of the experiment on seeds: a ratio with its interval for each measure."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

from .statistics import MEASURES, crossed, only, with_measures

COLORS = ("#2a6fdb", "#d9822b")


def ratios(table: pd.DataFrame, compared: Sequence[tuple[str, str]]) -> Image.Image:
    """One panel for each two paths; a dot and its interval for each measure and model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(table["model"]))
    films = with_measures(table)
    figure = Figure(figsize=(3.3 * len(compared), 2.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(compared), sharey=True))
    for axis, (path, against) in zip(axes, compared, strict=True):
        for k, model in enumerate(models):
            own = only(films, films["model"] == model)
            found = [crossed(own, measure, path, against).ratio for measure in MEASURES]
            y = np.arange(len(MEASURES)) + 0.16 * (2 * k - len(models) + 1)
            low, high = ([getattr(one, side) for one in found] for side in ("low", "high"))
            axis.hlines(y, low, high, color=COLORS[k % 2], linewidth=2)
            axis.plot([one.value for one in found], y, "o", color=COLORS[k % 2], label=model)
        axis.axvline(1, color="0.6", linewidth=1, zorder=0)
        axis.set_title(f"{path} /\n{against}", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(MEASURES)), MEASURES)
    axes[0].invert_yaxis()
    axes[-1].legend(fontsize=8, frameon=False)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return Image.open(file).convert("RGB")
