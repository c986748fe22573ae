"""Is a frame still a picture? Strays, the judge's confidence, sharpness; and how even steps are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scenes.classifier import HEADS, SceneClassifier

# Sure only where they apply: "other …" with two things, "size" and "place" with one.
ALWAYS, OF_TWO, OF_ONE = (
    ("background", "layout", "shape", "color"),
    ("other shape", "other color"),
    ("size", "place"),
)


# By head: the probability of what is seen in each image, and its number.
Seen = dict[str, tuple[list[float], list[int]]]


@torch.inference_mode()
def quality(judge: SceneClassifier, images: Tensor) -> dict[str, float]:
    """Of the frames between the two ends of a film [F, H, W, 3].

    strays: the share of them whose number of things is neither end's, or that show a shape that
    neither end shows. confidence: the mean probability of what the judge sees. sharpness: mean
    |Laplacian| against the mean of both ends.
    """
    pictures = images.movedim(-1, 1)
    seen: Seen = {}
    for name, logits in judge(pictures).items():
        likely, index = logits.softmax(1).max(1)
        seen[name] = likely.tolist(), index.tolist()
    readings = [_read(seen, k) for k in range(len(images))]
    numbers = {readings[0][0], readings[-1][0]}
    shapes = readings[0][1] | readings[-1][1]
    strays = [n not in numbers or not found <= shapes for n, found, _ in readings[1:-1]]
    sharp = sharpness(pictures)
    ends = float(sharp[[0, -1]].mean())
    return {
        "strays": float(np.mean(strays)),
        "confidence": float(np.mean([sure for _, _, sure in readings[1:-1]])),
        "sharpness": float(sharp[1:-1].mean()) / ends if ends else float("nan"),
    }


def _read(seen: Seen, k: int) -> tuple[int, set[str], float]:
    """Number of things, their shapes, and how sure the judge is, of image k."""

    def of(head: str) -> str:
        return HEADS[head][seen[head][1][k]]

    two = of("layout") != "one"
    heads = ALWAYS + (OF_TWO if two else OF_ONE)
    shapes = {of("shape"), *([of("other shape")] if two else [])}
    return 1 + two, shapes, float(np.mean([seen[head][0][k] for head in heads]))


def sharpness(pictures: Tensor) -> Tensor:
    """Mean |Laplacian| of the grey of images [B, 3, H, W]: [B]."""
    kernel = pictures.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return F.conv2d(pictures.mean(1, keepdim=True), kernel).abs().mean((1, 2, 3))


def evenness(distances: Sequence[float]) -> dict[str, float]:
    """Largest and sum of the steps' LPIPS, and the coefficient of variation of √LPIPS."""
    lengths = np.sqrt(distances)
    mean = float(lengths.mean())
    return {
        "largest": float(np.max(distances)),
        "sum": float(np.sum(distances)),
        "cv": float(lengths.std()) / mean if mean else 0.0,
    }
