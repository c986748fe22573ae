"""What the judge of scenes sees in the frames of a film, and how far it can be trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenes.classifier import HEADS, SceneClassifier
from scenes.drawing import draw
from scenes.language import COLORS, SHAPES, Scene, draw_scene, evaluation_scene

ALONE, FADED, PLANTED = "scenes as they are", "cross-fades", "a shape that neither end has"
FRAMES = 21
SEED = 9
POINTS = 101  # on the segment between two colours


@torch.inference_mode()
def labels(judge: SceneClassifier, images: Sequence[Tensor]) -> dict[str, Any]:
    """number of things, shapes and colours (the background's first) of images [H, W, 3], by the
    judge; shapes and colours as JSON, one list for each image.
    """
    seen = judge(torch.stack(list(images)).movedim(-1, 1))
    named = {
        head: [HEADS[head][k] for k in logits.argmax(1).tolist()] for head, logits in seen.items()
    }
    two = [layout != "one" for layout in named["layout"]]
    shapes, colors = [], []
    for k, both in enumerate(two):
        shapes.append([named["shape"][k], *([named["other shape"][k]] if both else [])])
        things = [named["color"][k], *([named["other color"][k]] if both else [])]
        colors.append([named["background"][k], *things])
    return {
        "things": [1 + both for both in two],
        "shapes": json.dumps(shapes),
        "colors": json.dumps(colors),
    }


def read(row: Any) -> list[tuple[int, frozenset[str], frozenset[str]]]:
    """Number of things, shapes and colours of each frame of a stored row."""
    parts = row["things"], json.loads(row["shapes"]), json.loads(row["colors"])
    return [(int(n), frozenset(s), frozenset(c)) for n, s, c in zip(*parts, strict=True)]


def strays(row: Any) -> float:
    """The share of inner frames with a number of things or a shape that neither end has."""
    frames = read(row)
    numbers = {frames[0][0], frames[-1][0]}
    shapes = frames[0][1] | frames[-1][1]
    return float(np.mean([n not in numbers or not own <= shapes for n, own, _ in frames[1:-1]]))


def off_colours(row: Any) -> float:
    """The share of inner frames with a colour off all segments between the colours of both ends."""
    frames = read(row)
    allowed = frozenset().union(*(between(a, b) for a in frames[0][2] for b in frames[-1][2]))
    return float(np.mean([not colors <= allowed for *_, colors in frames[1:-1]]))


def between(first: str, last: str) -> frozenset[str]:
    """The named colours that are nearest to a point on the segment of two of them, in RGB."""
    names = list(COLORS)
    table = np.array([COLORS[name] for name in names])
    part = np.linspace(0, 1, POINTS)[:, None]
    points = (1 - part) * np.array(COLORS[first]) + part * np.array(COLORS[last])
    nearest = np.square(points[:, None] - table).sum(2).argmin(1)
    return frozenset(names[k] for k in nearest)


def switches(row: Any) -> int:
    """How often the number of things or the shapes change from a frame to the next."""
    seen = [frame[:2] for frame in read(row)]
    return sum(a != b for a, b in pairwise(seen))


def calibration(judge: SceneClassifier, number: int) -> Iterator[dict[str, Any]]:
    """The judge on films of drawn pictures: ends are two held-out scenes, and between them stand
    those scenes by turns, cross-fades of them, or third scenes with a shape that neither has.
    """
    (first, rng), (last, _) = (evaluation_scene(SEED, 2 * number + k) for k in (0, 1))
    pictures = [draw(scene, rng).movedim(0, -1) for scene in (first, last)]
    inner = range(1, FRAMES - 1)
    parts = [k / (FRAMES - 1) for k in inner]
    between_them = {
        ALONE: [draw((first, last)[k % 2], rng).movedim(0, -1) for k in inner],
        FADED: [torch.lerp(pictures[0], pictures[1], part) for part in parts],
        PLANTED: [draw(_third(first, last, rng), rng).movedim(0, -1) for _ in inner],
    }
    for kind, images in between_them.items():
        yield {"path": kind, **labels(judge, [pictures[0], *images, pictures[1]])}


def _third(first: Scene, last: Scene, rng: Random) -> Scene:
    """A scene with a shape that neither of two scenes has."""
    shown = {thing.shape for scene in (first, last) for thing in scene.things}
    while True:
        scene = draw_scene(rng)
        if {thing.shape for thing in scene.things} & (set(SHAPES) - shown):
            return scene
