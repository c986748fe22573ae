"""Frames of morphs on one sheet or in one animation, with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Frames = Sequence[Image.Image]
BACKGROUND, INK = "#1e1f22", "#e6e6e6"
MARGIN, LABEL = 8, 34


def filmstrip(films: Mapping[str, Frames], columns: int = 9, size: int = 128) -> Image.Image:
    """Films below each other with their labels; each shows equally spaced frames, first to last."""
    count = min(columns, *(len(frames) for frames in films.values()))
    width = MARGIN + count * (size + MARGIN)
    sheet = Image.new("RGB", (width, len(films) * (LABEL + size) + MARGIN), BACKGROUND)
    for row, (label, frames) in enumerate(films.items()):
        top = row * (LABEL + size)
        write(sheet, (MARGIN, top + 7), label)
        for column in range(count):
            frame = frames[round(column * (len(frames) - 1) / max(count - 1, 1))]
            sheet.paste(enlarge(frame, size), (MARGIN + column * (size + MARGIN), top + LABEL))
    return sheet


def side_by_side(films: Mapping[str, Frames], size: int = 256) -> list[Image.Image]:
    """One picture for each frame, with the films beside each other, forwards and then backwards."""
    pictures = []
    for now in zip(*films.values(), strict=True):
        width = MARGIN + len(films) * (size + MARGIN)
        sheet = Image.new("RGB", (width, LABEL + size + MARGIN), BACKGROUND)
        for column, (label, frame) in enumerate(zip(films, now, strict=True)):
            left = MARGIN + column * (size + MARGIN)
            write(sheet, (left, 7), label)
            sheet.paste(enlarge(frame, size), (left, LABEL))
        pictures.append(sheet)
    return pictures + pictures[-2:0:-1]


def mosaic(rows: Sequence[Frames], columns: int, size: int = 128) -> Image.Image:
    """Equally spaced frames without gaps, one film in each row."""
    sheet = Image.new("RGB", (columns * size, len(rows) * size))
    for row, frames in enumerate(rows):
        for column in range(columns):
            frame = frames[round(column * (len(frames) - 1) / (columns - 1))]
            sheet.paste(enlarge(frame, size), (column * size, row * size))
    return sheet


def stack(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of any widths under each other."""
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)))
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def enlarge(frame: Image.Image, size: int) -> Image.Image:
    return frame.resize((size, size), Image.Resampling.LANCZOS)


def write(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(size=18))


def animate(pictures: Frames, path: Path, fps: float) -> None:
    """An animated WebP that repeats for ever."""
    first, *others = pictures
    duration = round(1000 / fps)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, quality=80)
