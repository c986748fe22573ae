"""`python -m dev.pictures.drawn`: pictures that no model draws.

The pack's icon and banner for the registry, and the thumbnails of workflows for models that are not
here: these show a name, never a picture that such a model might draw.
"""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

from dev.comfyui.environment import ROOT

ICON, BANNER = ROOT / "docs" / "icon.png", ROOT / "docs" / "banner.png"
# The registry asks for a square icon of 400 pixels at most, and for a banner of 21 to 9.
ICON_SIZE, BANNER_SIZE = 400, (1260, 540)
THUMBNAIL_SIZE, QUALITY = (480, 320), 88
FAMILIES = {"sdxl_morph": "SDXL", "sd35_morph": "SD3.5", "flux_morph": "Flux.1"}

BACKGROUND, INK, SOFT, FAINT = (30, 31, 34), (230, 230, 230), (170, 172, 180), (74, 76, 84)
START, END = (246, 196, 64), (224, 86, 122)
# Drawn larger, then made small: Pillow's shapes have hard edges.
FINE = 4
STEPS = 9

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


def icon() -> Image.Image:
    """A path that bends round an obstacle, with its frames at equal distances."""
    picture, draw = _canvas((ICON_SIZE, ICON_SIZE))
    _morph(draw, (0, 0, ICON_SIZE, ICON_SIZE))
    return _small(picture)


def banner() -> Image.Image:
    """The path, and beside it the name."""
    height = BANNER_SIZE[1]
    picture, draw = _canvas(BANNER_SIZE)
    _morph(draw, (40, (height - 420) / 2, 460, (height + 420) / 2))
    _write(draw, (510, height / 2 - 76), "Geodesic Morph", 88, INK)
    _write(draw, (514, height / 2 + 40), "morphs along the shortest path", 38, SOFT)
    return _small(picture)


def thumbnail(family: str) -> Image.Image:
    """The path and the name of a family of models."""
    height = THUMBNAIL_SIZE[1]
    picture, draw = _canvas(THUMBNAIL_SIZE)
    _morph(draw, (20, (height - 200) / 2, 220, (height + 200) / 2))
    _write(draw, (244, height / 2 - 36), family, 62, INK)
    return _small(picture)


def _morph(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Circles on an arc over a faint disc; colour and size go from one end to the other."""
    left, top, right, _ = box
    size = right - left
    centre = (left + size / 2, top + size * 0.68)
    _disc(draw, centre, size * 0.19, FAINT)
    for step in range(STEPS):
        t = step / (STEPS - 1)
        angle = math.pi * (1 - t)
        place = (
            centre[0] + size * 0.37 * math.cos(angle),
            centre[1] - size * 0.37 * math.sin(angle) + size * 0.05,
        )
        radius = size * (0.085 if step in (0, STEPS - 1) else 0.042)
        _disc(draw, place, radius, _between(START, END, t))


def _between(a: Colour, b: Colour, t: float) -> Colour:
    red, green, blue = (round((1 - t) * x + t * y) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _canvas(size: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (size[0] * FINE, size[1] * FINE), BACKGROUND)
    return picture, ImageDraw.Draw(picture)


def _small(picture: Image.Image) -> Image.Image:
    return picture.reduce(FINE)


def _disc(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], radius: float, colour: Colour
) -> None:
    (x, y), r = place, radius
    draw.ellipse([FINE * v for v in (x - r, y - r, x + r, y + r)], fill=colour)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, colour: Colour
) -> None:
    font = ImageFont.load_default(size=size * FINE)
    draw.text((place[0] * FINE, place[1] * FINE), text, fill=colour, font=font)


def draw() -> None:
    """Write all of them."""
    icon().save(ICON, optimize=True)
    banner().save(BANNER, optimize=True)
    for name, family in FAMILIES.items():
        path = ROOT / "example_workflows" / f"{name}.jpg"
        thumbnail(family).save(path, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    draw()
