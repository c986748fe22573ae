"""What the browser draws inside our nodes, as plain data.

Every function returns one `ui` entry: a key of ours, and a list with one dictionary per chart. JSON
has no infinity, so a number that is not finite becomes None. Only our JavaScript reads these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from comfy_api.latest import ui
from torch import Tensor

from ...geometry.coupling import Coupling, relative_cost, total_cost
from ...geometry.perceptual import Steps
from ..prompt.tokens import row_labels

# A sheet of thumbnails is one file; browsers and graphics cards take pictures of this size.
SHEET, CELL = 4096, 96
FRAMES_AT_ONCE = 16
# Of a batch with more prompts than this, the rest is counted, not sent.
MAX_PARTS = 64
# A level of a search has up to 10,000 iterations, and its part of a chart about a hundred pixels.
MOST_NORMS = 200

Charts = dict[str, list[dict[str, Any]]]


def steps_chart(steps: Steps, images: Sequence[Tensor], work: float | None = None) -> Charts:
    """The distances of consecutive frames, and a picture with thumbnails of all frames.

    images: the measured frames, batches [F, H, W, C]. work: that of rendering them, as a share of
    plain renders; None where nothing was rendered, or not all yet. Writes one picture to ComfyUI's
    temp folder.
    """
    chart = {**_statistics(steps), "sheet": saved_sheet(images)}
    return {"geodesic_steps": [chart if work is None else {**chart, "work": number(work)}]}


def compare_chart(paths: Sequence[tuple[str, Steps]]) -> Charts:
    """Several measured paths with their names, in one chart."""
    charts = [{"label": label, **_statistics(steps)} for label, steps in paths]
    return {"geodesic_compare": [{"paths": charts}]}


def search_chart(
    log_density: Sequence[float],
    log_density_of_arc: Sequence[float],
    history: Sequence[Sequence[float]],
    score: str,
) -> Charts:
    """A density path beside the great arc, and the norms of its search, a list per level.

    log_density, log_density_of_arc: at the points of the search, relative to image A. score: the
    name of the score behind them. A level's norms are thinned to `MOST_NORMS`, enough for a chart.
    """
    chart = {
        "score": score,
        "path": [number(value) for value in log_density],
        "arc": [number(value) for value in log_density_of_arc],
        "levels": [
            {"iterations": len(norms), "norms": [number(norms[k]) for k in thinned(len(norms))]}
            for norms in history
        ],
    }
    return {"geodesic_search": [chart]}


def thinned(count: int) -> list[int]:
    """At most `MOST_NORMS` of so many places, evenly spaced, with the first and the last."""
    shown = min(count, MOST_NORMS)
    return [round(k * (count - 1) / max(shown - 1, 1)) for k in range(shown)]


def analysis_chart(
    log_density: Sequence[float],
    log_length: float,
    variants: Sequence[tuple[str, float, float]],
    near: bool | None,
    **settings: float | str,
) -> Charts:
    """The density along a clip, and how far it and its variants are from a geodesic.

    log_density: of each frame, relative to the first. variants: the name, mean norm and log length
    of the clip and of each variant; empty for fewer than three different frames, and `near` is then
    None. settings: what else the page names, see `DensityAnalysis` in js/lib.
    """
    chart = {
        "log_density": [number(value) for value in log_density],
        "log_length": number(log_length),
        "variants": [
            {"name": name, "norm": number(norm), "length": number(length)}
            for name, norm, length in variants
        ],
        "near": near,
        **settings,
    }
    return {"geodesic_analysis": [chart]}


def _statistics(steps: Steps) -> dict[str, Any]:
    return {
        "distances": [number(d) for d in steps.distances],
        "mean": number(steps.mean),
        "total": number(steps.total),
        "variance": number(steps.variance),
        "largest": number(steps.largest),
        "smoothness": number(steps.smoothness),
        "metric": steps.metric,
    }


def number(value: float) -> float | None:
    """A finite number with six significant digits, more than a chart shows; else None."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def coupling_charts(couplings: Sequence[Coupling], texts: Sequence[str | None]) -> Charts:
    """Which row goes where: one chart per conditioning entry and prompt of the batch.

    texts: the source's and the target's prompt, where known. Costs are those of all entries.
    """
    cost, relative = number(total_cost(couplings)), number(relative_cost(couplings))
    parts = [(c, b) for c in couplings for b in range(c.source.batch)]
    charts = [
        {
            "method": coupling.method,
            "cost": cost,
            "relative_cost": relative,
            "left_out": max(0, len(parts) - MAX_PARTS),
            "source": _side(coupling.source.points[b], texts[0]),
            "target": _side(coupling.target.points[b], texts[1]),
            "pairs": list(_pairs(coupling, b)),
        }
        for coupling, b in parts[:MAX_PARTS]
    ]
    return {"geodesic_coupling": charts}


def _side(points: Tensor, text: str | None) -> dict[str, Any]:
    """One prompt, [N, D]: its number of rows, and a label per row (None is padding) or None."""
    rows, width = points.shape
    labels = row_labels(text, rows, width)
    return {"rows": rows, "labels": None if labels is None else list(labels)}


def _pairs(coupling: Coupling, b: int) -> Iterator[list[Any]]:
    """[source row, target row, distance, count]: each pair once, none with a row of zeros."""
    pairs = (values.tolist() for values in coupling.distinct_pairs(b))
    for (i, j), d, count in zip(*pairs, strict=True):
        if i < coupling.source.rows and j < coupling.target.rows:
            yield [i, j, number(d), count]


def saved_sheet(images: Sequence[Tensor]) -> dict[str, Any]:
    """Thumbnails of all frames as one file: its name, its columns, a cell's size in pixels."""
    sheet, columns, (width, height) = contact_sheet(images)
    (file,) = ui.PreviewImage(sheet[None]).as_dict()["images"]
    frames = sum(len(batch) for batch in images)
    return {**file, "columns": columns, "width": width, "height": height, "frames": frames}


def contact_sheet(images: Sequence[Tensor]) -> tuple[Tensor, int, tuple[int, int]]:
    """All frames, small, row by row in one picture of at most 4096×4096 pixels.

    images: batches [F, H, W, C] of one size, of which the first three channels are shown. Returns
    the sheet [H, W, 3], its columns, and the width and height of a cell. Scaled a few at a time.
    """
    frames = sum(len(batch) for batch in images)
    width, height = cell_size(frames, images[0].shape[2], images[0].shape[1])
    fewest = math.ceil(frames / (SHEET // height))
    columns = max(fewest, min(SHEET // width, math.ceil(math.sqrt(frames * height / width))))
    sheet = torch.zeros(math.ceil(frames / columns) * height, columns * width, 3)
    small = (cell for batch in images for cell in _scaled(batch, width, height))
    for k, cell in enumerate(small):
        top, left = k // columns * height, k % columns * width
        sheet[top : top + height, left : left + width] = cell
    return sheet, columns, (width, height)


def cell_size(frames: int, width: int, height: int) -> tuple[int, int]:
    """The largest cell of the frames' proportions, at most 96 pixels, with which all frames fit.

    Frames are never enlarged. 4096 square frames get 64×64 pixels each.
    """
    longer = max(width, height)
    for side in range(min(CELL, longer), 1, -1):
        w, h = max(1, round(width * side / longer)), max(1, round(height * side / longer))
        if (SHEET // w) * (SHEET // h) >= frames:
            return w, h
    return 1, 1


def _scaled(batch: Tensor, width: int, height: int) -> Iterator[Tensor]:
    """Frames [F, H, W, C] one by one as [height, width, 3] on the CPU."""
    for part in batch.split(FRAMES_AT_ONCE):
        pixels = part[..., :3].movedim(-1, 1).float().cpu()
        small = torch.nn.functional.interpolate(
            pixels, (height, width), mode="bilinear", antialias=True
        )
        yield from small.clamp_(0, 1).movedim(1, -1)
