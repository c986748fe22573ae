"""The nodes of geodesic/density: geodesics of the model's density, and prompts fitted to images.

Density Analysis is in `analysis_node.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from ...geometry.easing import LINEAR
from ...geometry.times import MAX_FRAMES, STOP
from ...geometry.times import times as make_times
from ..inputs import (
    DENSITY,
    FRAMES_PER_BATCH,
    DensitySocket,
    ImagePathSocket,
    TimesSocket,
    frames_per_batch_input,
    path_input,
    seed_input,
)
from ..newer import schema
from ..noise.images import prompts_between
from ..ui import panel_data
from ..ui.figures import search_chart
from ..ui.status import LIVE, show_output
from .inputs import (
    ABSOLUTE,
    JITTER_SEED,
    MAX_ITERATIONS,
    MAX_LEVELS,
    MAX_STEPS,
    absolute_strength,
    frame_outputs,
    model_input,
    negative_input,
    score_input,
    strength_input,
    strength_unit_input,
)
from .model import NOISE_DIFFERENCE
from .path import DIRECTIONS, PAST_END, Search, SearchResult, extrapolate, find
from .text_inversion import fit_prompt


class GeodesicDensityPath(io.ComfyNode):
    """Two inverted images and a prompt path → the density geodesic between them, as frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inverted = "from Invert Image or Image Keyframe, at a noise_level of about 0.6."
        return schema(
            node_id="GeodesicDensityPath",
            display_name="Density Path",
            category=DENSITY,
            description="The shortest path between two images when distances are shorter where "
            "images are likelier: a geodesic of the model's probability density (boundary value "
            "problem). Needs no training; works with models that predict noise, velocity or flow.",
            inputs=[
                model_input(),
                path_input(
                    "path",
                    "The prompts along the path, from that of image A to that of image B. Or the "
                    "two photos of Image Keyframe, whose prompts are used.",
                    ImagePathSocket,
                ),
                negative_input(),
                io.Latent.Input("latent_a", tooltip="Image A " + inverted),
                io.Latent.Input("latent_b", tooltip="Image B " + inverted),
                io.Int.Input(
                    "frames", default=17, min=1, max=MAX_FRAMES, tooltip="Number of frames."
                ),
                strength_input(),
                io.Int.Input(
                    "levels",
                    default=4,
                    min=1,
                    max=MAX_LEVELS,
                    tooltip="From coarse to fine: 4 levels move 1, 3, 7, then 15 points.",
                ),
                io.Int.Input(
                    "iterations",
                    default=100,
                    min=0,
                    max=MAX_ITERATIONS,
                    tooltip="Steps of each level. 4 levels of 100 steps run the model on 5200 "
                    "images, 3 levels of 25 steps on 550.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=0.1,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    round=False,
                    tooltip="Size of a step, falling to 0 over all iterations. Steps are stable at "
                    "any size: with few iterations try 1.",
                ),
                score_input(NOISE_DIFFERENCE),
                seed_input(JITTER_SEED),
                frames_per_batch_input(optional=True),
                strength_unit_input(),
            ],
            outputs=[
                *frame_outputs(),
                TimesSocket.Output(
                    "times_out", "times_out", tooltip="The times of the frames, for Retime."
                ),
                io.Image.Output(
                    "chart", "chart", tooltip="Density along the path, and how the search went."
                ),
                DensitySocket.Output(
                    "state", "state", tooltip="For Density Frames and Density Extrapolate."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        path: Any,
        negative: Any,
        latent_a: Any,
        latent_b: Any,
        frames: int,
        strength: float,
        levels: int,
        iterations: int,
        learning_rate: float,
        score: str,
        seed: int,
        frames_per_batch: int = FRAMES_PER_BATCH,
        strength_unit: str = ABSOLUTE,
    ) -> io.NodeOutput:
        strength = absolute_strength(strength, strength_unit, "latent_a", latent_a)
        search = Search(strength, levels, iterations, learning_rate, score, seed)
        ends = latent_a, latent_b
        result = find(model, prompts_between(path), negative, ends, search, _live(cls))
        times = make_times(frames, LINEAR, STOP, "")
        batches = result.path.frames(times.values, frames_per_batch)
        densities = result.log_density, result.log_density_of_arc
        chart = search_chart(*densities, result.history, score)
        positive, latents = map(list, zip(*batches, strict=True))
        return io.NodeOutput(positive, latents, times, chart, result.path, ui=_drawn(result))


def _drawn(result: SearchResult) -> panel_data.Charts:
    """What the panel draws of a search that has ended, or of its levels so far."""
    densities = result.log_density.tolist(), result.log_density_of_arc.tolist()
    return panel_data.search_chart(*densities, result.history, result.path.score)


def _live(cls: type[io.ComfyNode]) -> Callable[[SearchResult], None]:
    """A function that shows in the running node what the search has found so far."""
    return lambda result: show_output(cls, LIVE, _drawn(result))


class GeodesicDensityFrames(io.ComfyNode):
    """A density path and times → its frames at these times, without a new search."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicDensityFrames",
            display_name="Density Frames",
            category=DENSITY,
            description="Frames of a density path at any times, such as those of Retime. The path "
            "is used as it was found, without a new search.",
            inputs=[
                DensitySocket.Input("state", tooltip="From Density Path."),
                TimesSocket.Input("times", tooltip="From Retime or Morph Times."),
                frames_per_batch_input(optional=True),
            ],
            outputs=[
                *frame_outputs(),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
        )

    @classmethod
    def execute(
        cls, state: Any, times: Any, frames_per_batch: int = FRAMES_PER_BATCH
    ) -> io.NodeOutput:
        if times.is_loop:
            raise ValueError(
                "times: expected an ending of 'stop' or 'ping-pong', got 'loop'. A density path "
                "has no second way back from image B to image A."
            )
        batches = state.frames(times.values, frames_per_batch)
        positive = [conditioning for conditioning, _ in batches]
        return io.NodeOutput(positive, [latents for _, latents in batches], len(times))


class GeodesicDensityExtrapolate(io.ComfyNode):
    """A density path → the geodesic that continues it beyond its end."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicDensityExtrapolate",
            display_name="Density Extrapolate",
            category=DENSITY,
            description="Continues a density path beyond its end: from A to B and past B (initial "
            "value problem). The new frames keep the prompt of that end.",
            inputs=[
                model_input(),
                DensitySocket.Input("state", tooltip="From Density Path."),
                negative_input(),
                io.Int.Input(
                    "frames",
                    default=8,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Number of new frames, without the end of the path itself.",
                ),
                io.Float.Input(
                    "distance",
                    default=0.5,
                    min=0.001,
                    max=100.0,
                    step=0.01,
                    round=False,
                    tooltip="How far to go, as a multiple of the path's length.",
                ),
                io.Int.Input(
                    "steps",
                    default=16,
                    min=1,
                    max=MAX_STEPS,
                    tooltip="Runge-Kutta steps; each evaluates the score four times.",
                ),
                seed_input("Seed of the noise, and of the random direction."),
                io.Combo.Input(
                    "direction",
                    options=list(DIRECTIONS),
                    default=PAST_END,
                    optional=True,
                    tooltip="Beyond image B, back beyond image A, or from image B in a random "
                    "direction.",
                ),
                frames_per_batch_input(optional=True),
            ],
            outputs=frame_outputs(),
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        state: Any,
        negative: Any,
        frames: int,
        distance: float,
        steps: int,
        seed: int,
        direction: str = PAST_END,
        frames_per_batch: int = FRAMES_PER_BATCH,
    ) -> io.NodeOutput:
        extrapolated = extrapolate(
            model, state, negative, direction=direction, distance=distance, steps=steps, seed=seed
        )
        batches = extrapolated.frames(frames, frames_per_batch)
        return io.NodeOutput([c for c, _ in batches], [latents for _, latents in batches])


class GeodesicTextInversion(io.ComfyNode):
    """A prompt and an image → the prompt's embedding, fitted to that image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicTextInversion",
            display_name="Text Inversion",
            category=DENSITY,
            description="Fits a prompt's embedding to one image, so that the model makes this "
            "image from it. The model itself is not changed.",
            inputs=[
                io.Model.Input("model", tooltip="The model that will make the image."),
                io.Conditioning.Input("conditioning", tooltip="A prompt that describes the image."),
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
                seed_input("Seed of the noise that training draws."),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning_out",
                    "conditioning_out",
                    tooltip="The fitted prompt, for Invert Image and for the end of a path.",
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
        return io.NodeOutput(fit_prompt(model, conditioning, latent, steps, learning_rate, seed))
