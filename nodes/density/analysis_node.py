"""The node Density Analysis, apart from `nodes.py` because that file is long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui

from ..inputs import DENSITY, seed_input
from ..newer import schema
from ..ui import panel_data
from ..ui.figures import analysis_chart
from . import analysis
from .inputs import (
    ABSOLUTE,
    JITTER_SEED,
    MAX_ITERATIONS,
    absolute_strength,
    model_input,
    negative_input,
    score_input,
    strength_input,
    strength_unit_input,
)
from .model import NOISE_DIFFERENCE


class GeodesicDensityAnalysis(io.ComfyNode):
    """Frames of a path or clip → their density, their length, and whether they form a geodesic."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicDensityAnalysis",
            display_name="Density Analysis",
            category=DENSITY,
            description="The model's density along a path or a video clip, its geodesic length, "
            "and how close it is to a geodesic: the norm of its functional gradient is compared "
            "with those of an optimised, a perturbed and a smoothed path.",
            inputs=[
                model_input(),
                io.Conditioning.Input(
                    "positive", tooltip="What the frames show: one prompt, or one for each frame."
                ),
                negative_input(),
                io.Latent.Input(
                    "latents",
                    tooltip="Two frames or more, in order, from Density Path, Invert Image or VAE "
                    "Encode. Those from VAE Encode are inverted to noise level 0.6 first.",
                ),
                io.Int.Input(
                    "draws",
                    default=4,
                    min=0,
                    max=1000,
                    tooltip="Number of noise draws over which each score is averaged. 0 takes "
                    "scores at the frames themselves.",
                ),
                io.Float.Input(
                    "perturbation",
                    default=0.1,
                    min=0.0001,
                    max=100.0,
                    step=0.01,
                    round=False,
                    tooltip="How far the frames of the perturbed path are moved, as a multiple of "
                    "the mean step.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=1.0,
                    min=0.0,
                    max=1000.0,
                    step=0.1,
                    round=False,
                    tooltip="Width of the Gaussian that smooths the smoothed path, in frames.",
                ),
                seed_input(JITTER_SEED),
                strength_input(optional=True),
                io.Int.Input(
                    "iterations",
                    default=50,
                    min=0,
                    max=MAX_ITERATIONS,
                    optional=True,
                    tooltip="Steps of the search for the optimised path.",
                ),
                score_input(NOISE_DIFFERENCE, optional=True),
                strength_unit_input(),
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
        strength_unit: Sequence[str] = (ABSOLUTE,),
    ) -> io.NodeOutput:
        pull = absolute_strength(strength[0], strength_unit[0], "latents", latents[0])
        settings = analysis.Settings(
            draws[0], perturbation[0], smoothing[0], seed[0], pull, iterations[0], score[0]
        )
        result = analysis.analyse(model[0], positive, negative[0], latents, settings)
        chart = analysis_chart(result.log_density, result.norms)
        drawn = panel_data.analysis_chart(**result.drawn) | ui.PreviewText(result.table).as_dict()
        return io.NodeOutput(chart, result.table, result.log_length, ui=drawn)
