"""Scenes as pictures, drawn from signed distances.

Coordinates run from -1 (left, top) to 1 (right, bottom); a distance is negative inside a shape of
radius 1 and positive outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor

from .language import COLORS, RELATIONS, Scene, Thing

SIZE = 64
RADIUS = {"small": 0.36, "large": 0.64, "medium": 0.42}
# How far from the middle of the picture a thing's centre is, by size, and how much that varies.
REACH = {"small": 0.50, "large": 0.26, "medium": 0.47}
JITTER = 0.05
STAR_TIP, STAR_NOTCH = 1.08, 0.48
DIRECTIONS = {"middle": (0, 0), "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


def draw(scene: Scene, rng: Random, size: int = SIZE) -> Tensor:
    """The picture of a scene, [3, size, size] in [0, 1]; `rng` varies places and radii a little."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    image = _background(scene.background, y)
    for thing, (cx, cy) in zip(scene.things, _centres(scene), strict=True):
        cx, cy = cx + JITTER * (2 * rng.random() - 1), cy + JITTER * (2 * rng.random() - 1)
        radius = RADIUS[thing.size] * (0.94 + 0.12 * rng.random())
        image = _place(image, thing, (x - cx) / radius, (y - cy) / radius, radius * size / 2)
    return image.clamp(0, 1)


def _centres(scene: Scene) -> list[tuple[float, float]]:
    if not scene.relation:
        (thing,) = scene.things
        dx, dy = DIRECTIONS[scene.place]
        return [(dx * REACH[thing.size], dy * REACH[thing.size])]
    _, axis, side = RELATIONS[scene.relation]
    offset = side * REACH["medium"]
    centres = [(offset, 0.0), (-offset, 0.0)]
    return centres if axis == 0 else [(b, a) for a, b in centres]


def _background(color: str, y: Tensor) -> Tensor:
    """The colour, a little darker above and lighter below, like a sky."""
    light = (1 + 0.10 * y) * torch.ones(3, 1, 1)
    return torch.tensor(COLORS[color])[:, None, None] * light + 0.03 * (1 + y)


def _place(image: Tensor, thing: Thing, x: Tensor, y: Tensor, pixels: float) -> Tensor:
    """Draw one thing over an image, with a soft shadow under it and light from the upper left."""
    distance = DISTANCES[thing.shape]
    shadow = torch.sigmoid(-distance(x - 0.10, y - 0.16) * 7)
    image = image * (1 - 0.28 * shadow)
    light = torch.exp(-((x + 0.35) ** 2 + (y + 0.40) ** 2) / 0.35)
    color = torch.tensor(COLORS[thing.color])[:, None, None]
    shaded = color * (1 - 0.08 * y) + 0.30 * light * (1 - color)
    inside = torch.sigmoid(-distance(x, y) * pixels * 2.5)
    return torch.lerp(image, shaded, inside.expand_as(image))


def circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.95


def ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.74).abs() - 0.25


def square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.82


def triangle(x: Tensor, y: Tensor) -> Tensor:
    """Equilateral, with one corner up and its centre a little below the middle."""
    y = y - 0.25
    return torch.maximum(y, math.sqrt(0.75) * x.abs() - 0.5 * y) - 0.57


def star(x: Tensor, y: Tensor) -> Tensor:
    """Five points, one up. By symmetry one edge is enough, from a tip to a notch."""
    sector = math.pi / 5
    angle = torch.remainder(torch.atan2(x, -y) + sector, 2 * sector) - sector
    radius = torch.hypot(x, y)
    px, py = radius * torch.cos(angle) - STAR_TIP, radius * torch.sin(angle).abs()
    ex, ey = STAR_NOTCH * math.cos(sector) - STAR_TIP, STAR_NOTCH * math.sin(sector)
    along = ((px * ex + py * ey) / (ex**2 + ey**2)).clamp(0, 1)
    outside = torch.sign(px * ey - py * ex)
    return outside * torch.hypot(px - along * ex, py - along * ey)


def heart(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs() / 1.62, (0.82 - y) / 1.62
    lobe = torch.hypot(x - 0.25, y - 0.75) - math.sqrt(2) / 4
    half = 0.5 * (x + y).clamp(min=0)
    tip = torch.minimum(torch.hypot(x, y - 1), torch.hypot(x - half, y - half))
    return torch.where(x + y > 1, lobe, tip * torch.sign(x - y)) * 1.62


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "heart": heart,
    "ring": ring,
}


def color_shares(picture: Tensor) -> dict[str, float]:
    """The shares of a picture [3, H, W] nearest to each colour of the language; they sum to 1."""
    palette = torch.tensor(list(COLORS.values()))
    nearest = torch.cdist(picture.flatten(1).T, palette).argmin(1)
    counts = torch.bincount(nearest, minlength=len(COLORS)) / len(nearest)
    return dict(zip(COLORS, counts.tolist(), strict=True))
