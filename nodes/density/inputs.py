"""Inputs and outputs that several nodes of geodesic/density share."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .model import SCORES

MAX_LEVELS, MAX_ITERATIONS, MAX_STEPS = 8, 10_000, 10_000
STRENGTH = (
    "How strongly high density attracts the path: a in the metric p^(-2a). 0 gives the great arc. "
    "The effect grows with the number of latent values: 0.002 suits 512×512 (SD1.5), a quarter of "
    "that suits 1024×1024."
)
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


def score_input(default: str, optional: bool = False) -> io.Combo.Input:
    return io.Combo.Input(
        "score",
        options=list(SCORES),
        default=default,
        optional=optional,
        tooltip="In which direction density grows. 'noise difference' points away from the "
        "negative prompt and towards the positive one, as in the paper. 'true score' is the "
        "gradient of the model's own log density at the points themselves; it is steeper, so lower "
        "the strength.",
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
