"""Inputs and outputs that several nodes of geodesic/density share."""

from __future__ import annotations

import math
from typing import Any

from comfy_api.latest import io

from ..latents import plain_samples
from .model import SCORES

MAX_LEVELS, MAX_ITERATIONS, MAX_STEPS = 8, 10_000, 10_000
STRENGTH = (
    "How strongly high density attracts the path: a in the metric p^(-2a). 0 gives the great arc. "
    "With strength_unit 'relative to size' one value suits every size and model."
)
# A log density, and with it the pull of a strength, grows with the number of latent values. A
# relative strength is that of this many, an image of 512×512 in SD1.5.
USUAL_VALUES = 4 * 64 * 64
RELATIVE, ABSOLUTE = "relative to size", "absolute"
STRENGTH_UNITS = (RELATIVE, ABSOLUTE)
JITTER_SEED = "Seed of the noise over which scores are averaged."


def strength_input(optional: bool = False) -> io.Float.Input:
    return io.Float.Input(
        "strength",
        default=0.002,
        min=0.0,
        max=1000.0,
        step=0.0001,
        round=False,
        optional=optional,
        tooltip=STRENGTH,
    )


def strength_unit_input() -> io.Combo.Input:
    """What a strength counts by; prompts saved without it mean the paper's own number."""
    return io.Combo.Input(
        "strength_unit",
        options=list(STRENGTH_UNITS),
        default=RELATIVE,
        optional=True,
        tooltip="'relative to size' divides strength by the number of latent values, so that it "
        "pulls as at 512x512 in SD1.5 (16,384 values) whatever the size. 'absolute' is the paper's "
        "own number; files from before this input mean that.",
    )


def absolute_strength(strength: float, unit: str, name: str, latent: dict[str, Any]) -> float:
    """The a of the metric p^(-2a) for a LATENT's images; `name` is the latent's input.

    Raises ValueError for another unit, and for nested latents.
    """
    if unit not in STRENGTH_UNITS:
        raise ValueError(f"strength_unit: expected one of {STRENGTH_UNITS}, got '{unit}'.")
    values = math.prod(plain_samples(name, latent).shape[1:])
    return strength * USUAL_VALUES / max(values, 1) if unit == RELATIVE else strength


def score_input(default: str, optional: bool = False) -> io.Combo.Input:
    return io.Combo.Input(
        "score",
        options=list(SCORES),
        default=default,
        optional=optional,
        tooltip="In which direction density grows. 'noise difference' points away from the "
        "negative prompt and towards the positive one, as in the paper. 'true score' is the "
        "gradient of the model's own log density at the points themselves; it is steeper, so lower "
        "the strength. 'noise difference, both ways' also looks at lower noise levels, as the "
        "paper's authors do.",
    )


def model_input() -> io.Model.Input:
    return io.Model.Input("model", tooltip="The model that inverted the images and will render.")


def negative_input() -> io.Conditioning.Input:
    return io.Conditioning.Input(
        "negative",
        tooltip="What the path avoids, such as 'double exposure, ghosting, blurry'.",
    )


def frame_outputs() -> list[Any]:
    return [
        io.Conditioning.Output(
            "positive", "positive", is_output_list=True, tooltip="The prompts of the frames."
        ),
        io.Latent.Output(
            "latents",
            "latents",
            is_output_list=True,
            tooltip="The frames at their noise level. Render them with SamplerCustomAdvanced and "
            "DisableNoise; steps and denoise are the steps and noise_level of Invert Image.",
        ),
    ]
