"""What is measured, at which sizes: the true ones, and toy ones for a processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dev.families.tiny import KINDS, SDXL, Kind

SD15 = "SD1.5"
UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "use_checkpoint": False,
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "legacy": False,
}
# As comfy.model_detection reads them from the published checkpoints; a test compares.
TRUE = {
    SD15: Kind(
        "SD15",
        UNET
        | {
            "num_res_blocks": [2, 2, 2, 2],
            "channel_mult": [1, 2, 4, 4],
            "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
            "transformer_depth_middle": 1,
            "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
            "use_linear_in_transformer": False,
            "context_dim": 768,
            "adm_in_channels": None,
        },
        *(77, 768, 0, 4),
    ),
    SDXL: Kind(
        "SDXL",
        UNET
        | {
            "num_res_blocks": [2, 2, 2],
            "channel_mult": [1, 2, 4],
            "transformer_depth": [0, 0, 2, 2, 10, 10],
            "transformer_depth_middle": 10,
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
            "use_linear_in_transformer": True,
            "context_dim": 2048,
            "adm_in_channels": 2816,
            "num_classes": "sequential",
        },
        *(77, 2048, 1280, 4),
    ),
}
# Evaluations of a network for one picture, in those of SD1.5 at 512×512: by multiplications.
WEIGHT = {SD15: 1.0, SDXL: 2.2}
# A picture of twice the side: four times the pixels, and attention grows faster.
LARGER = 5.0


@dataclass(frozen=True)
class Film:
    """A morph to render. per_batch: frames at once."""

    frames: int
    steps: int
    per_batch: int


@dataclass(frozen=True)
class Sizes:
    """small, large: sides of pictures in pixels. short, long: films. most: frames for 'what fits'.

    single: the film whose frames are rendered in one batch and one by one. fit: steps of Text
    Inversion. pictures, inversion: how many pictures are inverted, in how many steps. levels,
    iterations: of density paths. measured: frames for LPIPS. backbones: of LPIPS.
    """

    kinds: Mapping[str, Kind]
    small: int
    large: int
    short: Film
    long: Film
    most: int
    single: Film
    fit: int
    pictures: int
    inversion: int
    levels: int
    iterations: int
    measured: int
    backbones: tuple[str, ...]


FULL = Sizes(
    kinds=TRUE,
    small=512,
    large=1024,
    short=Film(24, 20, 8),
    # Few steps, as a step takes as long as any other.
    long=Film(240, 2, 8),
    most=240,
    single=Film(8, 20, 8),
    fit=20,
    pictures=8,
    inversion=10,
    levels=3,
    iterations=6,
    measured=64,
    backbones=("alex", "vgg", "squeeze"),
)
TOY = Sizes(
    kinds={SD15: KINDS[SD15], SDXL: KINDS[SDXL]},
    small=64,
    large=128,
    short=Film(4, 2, 2),
    long=Film(6, 1, 2),
    most=4,
    single=Film(2, 2, 2),
    fit=2,
    pictures=2,
    inversion=2,
    levels=1,
    iterations=2,
    measured=4,
    backbones=("alex",),
)


def evaluation(name: str, side: int) -> float:
    """What one evaluation of a network for one picture costs, in those of SD1.5 at 512×512."""
    return WEIGHT[name] * (LARGER if side > FULL.small else 1.0)
