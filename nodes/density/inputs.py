"""Inputs and outputs that several nodes of geodesic/density share."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .model import SCORES

MAX_LEVELS, MAX_ITERATIONS, MAX_STEPS = 8, 10_000, 10_000
STRENGTH = (
    "How much density counts: a of the metric p^(-2a). 0 is the great arc. Its effect grows with "
    "the number of latent values: 0.002 suits 512×512 (SD1.5), a quarter of it 1024×1024."
)
JITTER_SEED = "Seed of the noise that scores are averaged over."


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


def score_input(default: str, optional: bool = False) -> io.Combo.Input:
    return io.Combo.Input(
        "score",
        options=list(SCORES),
        default=default,
        optional=optional,
        tooltip="Where density grows: 'noise difference' is away from the negative prompt and "
        "towards the positive one, as in the paper; 'true score' is the model's own gradient "
        "of its log density, taken at the points themselves; it is steeper, so lower the strength.",
    )


def model_input() -> io.Model.Input:
    return io.Model.Input("model", tooltip="The model that inverted the images and will render.")


def negative_input() -> io.Conditioning.Input:
    return io.Conditioning.Input(
        "negative",
        tooltip="What the path keeps away from: 'double exposure, ghosting, blurry, low detail'.",
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
            tooltip="The frames at their noise level: for SamplerCustomAdvanced with DisableNoise, "
            "steps and denoise as the images were inverted.",
        ),
    ]
