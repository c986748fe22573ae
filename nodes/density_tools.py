"""geodesic/density: what a clip is like under the model's density; prompts bent to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui

from . import density_analysis
from .density_charts import analysis_chart
from .density_inputs import (
    JITTER_SEED,
    MAX_ITERATIONS,
    MAX_STEPS,
    model_input,
    negative_input,
    score_input,
    strength_input,
)
from .model_score import NOISE_DIFFERENCE
from .sockets import DENSITY, seed_input
from .text import show_text
from .text_inversion import bend


class GeodesicDensityAnalysis(io.ComfyNode):
    """Frames of a path or clip → density along it, its length, and whether it is a geodesic."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicDensityAnalysis",
            display_name="Density Analysis",
            category=DENSITY,
            description="The model's density along a path or a video clip, its geodesic length, "
            "and how nearly it is a geodesic: the norm of its functional gradient beside "
            "those of an optimised, a perturbed and a smoothed path.",
            inputs=[
                model_input(),
                io.Conditioning.Input(
                    "positive", tooltip="What the frames show: one prompt, or one for each frame."
                ),
                negative_input(),
                io.Latent.Input(
                    "latents",
                    tooltip="Two frames or more, in order: from Density Path, from Invert Image, "
                    "or from VAE Encode, which are then inverted to noise level 0.6.",
                ),
                io.Int.Input(
                    "draws",
                    default=4,
                    min=0,
                    max=1000,
                    tooltip="Noise draws each score is averaged over; 0 asks at the frames "
                    "themselves.",
                ),
                io.Float.Input(
                    "perturbation",
                    default=0.1,
                    min=0.0001,
                    max=100.0,
                    step=0.01,
                    round=False,
                    tooltip="How far the perturbed path's frames are moved, in mean steps.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=1.0,
                    min=0.0,
                    max=1000.0,
                    step=0.1,
                    round=False,
                    tooltip="Width of the Gaussian over the smoothed path's frames, in frames.",
                ),
                seed_input(JITTER_SEED),
                strength_input(optional=True),
                io.Int.Input(
                    "iterations",
                    default=50,
                    min=0,
                    max=MAX_ITERATIONS,
                    optional=True,
                    tooltip="Steps of the optimised path.",
                ),
                score_input(NOISE_DIFFERENCE, optional=True),
            ],
            outputs=[
                io.Image.Output("chart", "chart", tooltip="Density, and the gradient norms."),
                io.String.Output("table", "table", tooltip="All numbers, as a Markdown table."),
                io.Float.Output("log_distance", "log_distance", tooltip="Log geodesic distance."),
            ],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        positive: list[Any],
        negative: list[Any],
        latents: list[Any],
        draws: list[int],
        perturbation: list[float],
        smoothing: list[float],
        seed: list[int],
        strength: Sequence[float] = (0.002,),
        iterations: Sequence[int] = (50,),
        score: Sequence[str] = (NOISE_DIFFERENCE,),
    ) -> io.NodeOutput:
        settings = density_analysis.Settings(
            draws[0], perturbation[0], smoothing[0], seed[0], strength[0], iterations[0], score[0]
        )
        found = density_analysis.analyse(model[0], positive, negative[0], latents, settings)
        chart = analysis_chart(found.log_density, found.norms)
        preview = ui.PreviewImage(chart, cls=cls).as_dict()
        show_text(cls, found.verdict)
        text = ui.PreviewText(found.table).as_dict()
        return io.NodeOutput(chart, found.table, found.log_length, ui={**preview, **text})


class GeodesicTextInversion(io.ComfyNode):
    """A prompt and an image → the prompt's embedding, bent to that image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicTextInversion",
            display_name="Text Inversion",
            category=DENSITY,
            description="Bends a prompt's embedding until the model makes this one image of it. "
            "The model itself stays as it is.",
            inputs=[
                io.Model.Input("model", tooltip="The model that is to know the image."),
                io.Conditioning.Input("conditioning", tooltip="A prompt that describes it."),
                io.Latent.Input("latent", tooltip="The image, from VAE Encode."),
                io.Int.Input(
                    "steps",
                    default=500,
                    min=1,
                    max=MAX_STEPS,
                    tooltip="Steps of AdamW, each on two draws of noise; 500 as in the paper.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=0.005,
                    min=0.0,
                    max=1.0,
                    step=0.0001,
                    round=False,
                    tooltip="Size of a step; 0.005 as in the paper.",
                ),
                seed_input("Seed of the noise it learns from."),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning_out",
                    "conditioning_out",
                    tooltip="The bent prompt, for Invert Image and for a path's end.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        conditioning: Any,
        latent: Any,
        steps: int,
        learning_rate: float,
        seed: int,
    ) -> io.NodeOutput:
        return io.NodeOutput(bend(model, conditioning, latent, steps, learning_rate, seed))
