"""The distance of two frames of a morph: by LPIPS, or by their latents only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...geometry.perceptual import BACKBONES
from ..metrics.measuring import fitting_batch, load_metric
from ..metrics.weights import has_file, missing

LATENT = "latent"
DISTANCES = (*BACKBONES, LATENT)
# More frames than this at once are not faster.
LARGEST_BATCH = 16


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered frame to compare: its latent [C, ...] and its image [H, W, 3] in [0, 1]."""

    samples: Tensor
    image: Tensor


class Distance(Protocol):
    """A squared distance of frames. name: its name in charts."""

    @property
    def name(self) -> str: ...

    def __call__(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[float]:
        """The distance of each pair; 0 for a frame and itself."""
        ...


class LatentDistance:
    """‖a − b‖² / (‖a‖ ‖b‖) of denoised latents, which needs neither a decoder nor weights."""

    name = "change of the latent"

    def __call__(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[float]:
        return [_relative_change(a.samples.float(), b.samples.float()) for a, b in pairs]


def _relative_change(a: Tensor, b: Tensor) -> float:
    size = float(a.norm() * b.norm())
    return float((a - b).square().sum()) / size if size else 0.0


class LpipsDistance:
    """LPIPS with one backbone on ComfyUI's device."""

    def __init__(self, backbone: str, height: int, width: int) -> None:
        self.backbone, self.pixels = backbone, height * width
        self.name = load_metric(backbone, False, self.pixels).name

    def __call__(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[float]:
        # Loaded again each time, because ComfyUI may have unloaded it to load the model.
        metric = load_metric(self.backbone, False, self.pixels)
        size = fitting_batch(self.backbone, LARGEST_BATCH, self.pixels, metric.device)
        distances: list[float] = []
        for part in _parts(pairs, size):
            different = list({id(picture): picture for pair in part for picture in pair}.values())
            place = {id(picture): k for k, picture in enumerate(different)}
            features = metric.features(torch.stack([picture.image for picture in different]))
            a, b = ([place[id(pair[side])] for pair in part] for side in (0, 1))
            distances += metric.distances(features[a], features[b])
        return distances


def _parts(
    pairs: Sequence[tuple[Picture, Picture]], size: int
) -> list[list[tuple[Picture, Picture]]]:
    """The pairs in order, in parts of at most `size` different pictures, but at least one pair."""
    parts: list[list[tuple[Picture, Picture]]] = []
    ids: set[int] = set()
    for pair in pairs:
        grown = ids | {id(picture) for picture in pair}
        if not parts or len(grown) > max(size, 2):
            parts.append([])
            grown = {id(picture) for picture in pair}
        parts[-1].append(pair)
        ids = grown
    return parts


def distance_of(name: str, height: int, width: int) -> Distance:
    """The distance with this name, for images of this size.

    Raises ValueError for an unknown name, and FileNotFoundError, naming the file, for missing
    weights.
    """
    if name == LATENT:
        return LatentDistance()
    if name not in BACKBONES:
        raise ValueError(f"distance: expected one of {', '.join(DISTANCES)}, got '{name}'.")
    if not has_file(name):
        raise FileNotFoundError(
            f"distance: {missing(name)}, or choose the distance '{LATENT}', which needs no file."
        )
    return LpipsDistance(name, height, width)


def default_distance() -> str:
    """The first backbone whose weights are installed, or the distance that needs no weights."""
    return next((backbone for backbone in BACKBONES if has_file(backbone)), LATENT)
