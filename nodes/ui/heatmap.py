"""The chart of a coupling as an image: the distances of all rows, and which rows were paired.

Drawn pixel by pixel: matplotlib takes twenty times as long, most of Couple Prompts' time. Its font
and its colours are used, so that the chart looks like the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...geometry.coupling import Coupling, squared_distances
from .figures import COLOURS, FAINT, GROUND, INK, MAX_PANELS

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# One panel in pixels, and in it the square of distances and the bar of colours: left, top, right,
# bottom.
WIDTH, HEIGHT = 520, 480
SQUARE, BAR = (78, 50, 408, 420), (424, 50, 440, 420)
TICK, MOST_TICKS = 4, 8
# Circles are drawn larger and made smaller, so that they are round.
FINER = 3


def coupling_heatmap(couplings: Sequence[Coupling]) -> Tensor:
    """Distances of all rows, and which were paired; one panel per entry and prompt.

    An IMAGE, [1, 480, 520 · panels, 3] in [0, 1].
    """
    panels = [(c, b) for c in couplings for b in range(c.source.batch)]
    drawn = [
        _panel(coupling, b, f", part {k + 1} of {len(panels)}" if len(panels) > 1 else "")
        for k, (coupling, b) in enumerate(panels[:MAX_PANELS])
    ]
    return torch.from_numpy(np.concatenate(drawn, axis=1).astype(np.float32) / 255)[None]


def _panel(coupling: Coupling, b: int, part: str) -> np.ndarray:
    from PIL import Image, ImageDraw

    distances = np.sqrt(squared_distances(coupling.source.points[b], coupling.target.points[b]))
    low, high = float(distances.min()), float(distances.max())
    picture = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    draw = ImageDraw.Draw(picture)
    colours = _magma()[np.round((distances - low) / (high - low or 1.0) * 255).astype(int)]
    _paste(picture, colours, SQUARE)
    _paste(picture, _magma()[::-1, None], BAR)
    circles = _circles(_pairs(coupling, b, distances.shape), distances.shape)
    picture.paste(COLOURS[0], SQUARE[:2], circles)
    _axes(draw, distances.shape, low, high)
    centre = (SQUARE[0] + SQUARE[2]) // 2
    title = f"{coupling.method}: cost {coupling.cost:.2f}{part}"
    draw.text((centre, 30), title, INK, _font(16), anchor="mm")
    draw.text((centre, 460), "row of the target prompt", INK, _font(13), anchor="mm")
    _upwards(picture, "row of the source prompt", 22)
    _upwards(picture, "distance of two rows (embedding units)", WIDTH - 16)
    _legend(draw)
    return np.asarray(picture)


def _pairs(coupling: Coupling, b: int, shape: tuple[int, ...]) -> np.ndarray:
    """[2, pairs]: rows of the source and of the target.

    Pairs with a row of zeros, which row order adds to a shorter prompt, have no place here.
    """
    both = np.stack([coupling.source_rows[b].numpy(), coupling.target_rows[b].numpy()])
    return both[:, (both < np.array(shape)[:, None]).all(axis=0)]


def _paste(picture: Any, colours: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """An array of colours [rows, columns, 3], stretched over a box without blurring."""
    from PIL import Image

    size = box[2] - box[0], box[3] - box[1]
    picture.paste(Image.fromarray(colours).resize(size, Image.Resampling.NEAREST), box[:2])


def _circles(pairs: np.ndarray, shape: tuple[int, ...]) -> Any:
    """The mask of circles around all pairs, as large as the square."""
    from PIL import Image, ImageDraw

    size = SQUARE[2] - SQUARE[0], SQUARE[3] - SQUARE[1]
    mask = Image.new("L", (FINER * size[0], FINER * size[1]))
    draw = ImageDraw.Draw(mask)
    radius = FINER * max(1.4, 21 / max(shape) ** 0.5)
    for y, x in ((pairs + 0.5) / np.array(shape)[:, None] * FINER * np.array(size)[::-1, None]).T:
        box = [x - radius, y - radius, x + radius, y + radius]
        draw.ellipse(box, outline=255, width=FINER)
    return mask.resize(size, Image.Resampling.BOX)


def _axes(draw: ImageDraw, shape: tuple[int, ...], low: float, high: float) -> None:
    """Frames, ticks and numbers: rows at both sides of the square, distances beside the bar."""
    left, top, right, bottom = SQUARE
    for box in (SQUARE, BAR):
        draw.rectangle([box[0] - 1, box[1] - 1, box[2], box[3]], outline=FAINT)
    font = _font(12)
    for row in _ticks(0, shape[0] - 1):
        y = top + (row + 0.5) / shape[0] * (bottom - top)
        draw.line([left - TICK - 1, y, left - 1, y], INK)
        draw.text((left - TICK - 4, y), f"{row:g}", INK, font, anchor="rm")
    for row in _ticks(0, shape[1] - 1):
        x = left + (row + 0.5) / shape[1] * (right - left)
        draw.line([x, bottom, x, bottom + TICK], INK)
        draw.text((x, bottom + TICK + 4), f"{row:g}", INK, font, anchor="mt")
    for value in _ticks(low, high) if high > low else [low]:
        y = BAR[3] - (value - low) / (high - low or 1.0) * (BAR[3] - BAR[1])
        draw.line([BAR[2], y, BAR[2] + TICK, y], INK)
        draw.text((BAR[2] + TICK + 4, y), f"{value:g}", INK, font, anchor="lm")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-12)
    power = 10.0 ** np.floor(np.log10(span / MOST_TICKS))
    step = next(k * power for k in (1, 2, 5, 10, 20) if span / (k * power) <= MOST_TICKS)
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return [float(f"{number * step:.6g}") for number in numbers]


def _upwards(picture: Any, text: str, x: int) -> None:
    """A text that is read from below to above, in the middle of the square's height."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (SQUARE[3] - SQUARE[1], 20))
    ImageDraw.Draw(mask).text((mask.width // 2, 10), text, 255, _font(13), anchor="mm")
    picture.paste(INK, (x - 10, SQUARE[1]), mask.transpose(Image.Transpose.ROTATE_90))


def _legend(draw: ImageDraw) -> None:
    right, top = SQUARE[2] - 8, SQUARE[1] + 8
    draw.rectangle([right - 82, top, right, top + 24], fill=GROUND, outline=FAINT)
    draw.ellipse([right - 72, top + 8, right - 63, top + 17], outline=COLOURS[0])
    draw.text((right - 52, top + 12), "paired", INK, _font(12), anchor="lm")


@cache
def _font(size: int) -> Any:
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


@cache
def _magma() -> np.ndarray:
    """[256, 3] uint8."""
    from matplotlib import colormaps

    return (colormaps["magma"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
