"""geodesic/density: geodesics of the model's probability density, between images and beyond."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..geometry.times import LINEAR, MAX_FRAMES, STOP
from ..geometry.times import times as make_times
from .density_charts import search_chart
from .density_inputs import (
    JITTER_SEED,
    MAX_ITERATIONS,
    MAX_LEVELS,
    MAX_STEPS,
    frame_outputs,
    frames_per_batch_input,
    model_input,
    negative_input,
    score_input,
    strength_input,
)
from .density_path import DIRECTIONS, ON, Search, extrapolate, find
from .model_score import NOISE_DIFFERENCE
from .sockets import DENSITY, DensitySocket, TimesSocket, as_paths, path_input, seed_input


class GeodesicDensityPath(io.ComfyNode):
    """Two inverted images and a prompt path → the density geodesic between them, as frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inverted = "from Invert Image, at noise_level 0.6 or so."
        return io.Schema(
            node_id="GeodesicDensityPath",
            display_name="Density Path",
            category=DENSITY,
            description="The shortest path between two images where likely images are near: the "
            "boundary value problem of probability density geodesics. Training-free; works with "
            "noise-, velocity- and flow-predicting models.",
            inputs=[
                model_input(),
                path_input("path", "The prompts along the way, from image A's to image B's."),
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
                    tooltip="Steps of each level; 4 levels of 100 ask the model for 5200 images, "
                    "3 levels of 25 for 550.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=0.1,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    round=False,
                    tooltip="Size of a step, falling to 0 over all iterations. Steps stay stable "
                    "at any rate: with few iterations try 1.",
                ),
                score_input(NOISE_DIFFERENCE),
                seed_input(JITTER_SEED),
                frames_per_batch_input(),
            ],
            outputs=[
                *frame_outputs(),
                TimesSocket.Output("times_out", "times_out", tooltip="Their times, for Retime."),
                io.Image.Output("chart", "chart", tooltip="Density along it, and the search."),
                DensitySocket.Output(
                    "state", "state", tooltip="For Density Frames and Density Extrapolate."
                ),
            ],
            is_output_node=True,
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
        frames_per_batch: int = 0,
    ) -> io.NodeOutput:
        search = Search(strength, levels, iterations, learning_rate, score, seed)
        found = find(model, as_paths(path), negative, (latent_a, latent_b), search)
        times = make_times(frames, LINEAR, STOP, "")
        batches = found.path.frames(times.values, frames_per_batch)
        densities = found.log_density, found.log_density_of_arc
        chart = search_chart(*densities, found.history, score)
        return io.NodeOutput(
            [positive for positive, _ in batches],
            [latents for _, latents in batches],
            times,
            chart,
            found.path,
            ui=ui.PreviewImage(chart, cls=cls),
        )


class GeodesicDensityFrames(io.ComfyNode):
    """A density path and times → its frames there, without searching for it again."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicDensityFrames",
            display_name="Density Frames",
            category=DENSITY,
            description="Frames of a density path at any times, such as those of Retime: the "
            "path is not searched for again.",
            inputs=[
                DensitySocket.Input("state", tooltip="From Density Path."),
                TimesSocket.Input("times", tooltip="From Retime or Morph Times."),
                frames_per_batch_input(),
            ],
            outputs=[
                *frame_outputs(),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
        )

    @classmethod
    def execute(cls, state: Any, times: Any, frames_per_batch: int = 0) -> io.NodeOutput:
        if times.is_loop:
            raise ValueError(
                "times: expected an ending of 'stop' or 'ping-pong', got 'loop'. A density path "
                "leads from image A to image B, and back only the way it came."
            )
        batches = state.frames(times.values, frames_per_batch)
        positive = [conditioning for conditioning, _ in batches]
        return io.NodeOutput(positive, [latents for _, latents in batches], len(times))


class GeodesicDensityExtrapolate(io.ComfyNode):
    """A density path → the geodesic that goes on past its end."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicDensityExtrapolate",
            display_name="Density Extrapolate",
            category=DENSITY,
            description="Goes on where a density path ends, by the initial value problem: from "
            "A to B and past B. The prompt stays that of the end.",
            inputs=[
                model_input(),
                DensitySocket.Input("state", tooltip="From Density Path."),
                negative_input(),
                io.Int.Input(
                    "frames",
                    default=8,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Frames after the end, which is none of them.",
                ),
                io.Float.Input(
                    "distance",
                    default=0.5,
                    min=0.001,
                    max=100.0,
                    step=0.01,
                    round=False,
                    tooltip="How far to go, in lengths of the path.",
                ),
                io.Int.Input(
                    "steps",
                    default=16,
                    min=1,
                    max=MAX_STEPS,
                    tooltip="Runge-Kutta steps; each asks the model four times.",
                ),
                seed_input("Seed of the noise, and of the direction where that is random."),
                io.Combo.Input(
                    "direction",
                    options=list(DIRECTIONS),
                    default=ON,
                    optional=True,
                    tooltip="On past image B, back past image A, or from B anywhere.",
                ),
                frames_per_batch_input(),
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
        direction: str = ON,
        frames_per_batch: int = 0,
    ) -> io.NodeOutput:
        beyond = extrapolate(
            model,
            state,
            negative,
            direction=direction,
            distance=distance,
            steps=steps,
            seed=seed,
        )
        batches = beyond.frames(frames, frames_per_batch)
        return io.NodeOutput([c for c, _ in batches], [latents for _, latents in batches])
