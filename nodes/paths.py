"""geodesic/prompt: paths through keyframes, schedules over them, batches for the KSampler."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..geometry.cloud import clouds_from_conditioning
from ..geometry.path import Keyframe, Path
from ..geometry.times import DEFAULT_CURVE, EASINGS, ENDINGS, LINEAR, MAX_FRAMES, STOP
from ..geometry.times import times as make_times
from .frames import schedule
from .sockets import (
    PROMPT,
    PathSocket,
    TimesSocket,
    as_paths,
    check_entries,
    method_input,
    path_input,
    seed_input,
    weight_input,
)


class GeodesicKeyframe(io.ComfyNode):
    """A prompt and a path → the path that goes on to it. Raises what `couple` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicKeyframe",
            display_name="Prompt Keyframe",
            category=PROMPT,
            description="Appends a prompt to a path. The first in a chain starts the path; in a "
            "loop its weight, method and seed describe the leg that leads back to it.",
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="The prompt at this keyframe."),
                weight_input(),
                method_input(),
                seed_input(),
                PathSocket.Input(
                    "previous",
                    optional=True,
                    tooltip="The path so far; leave it open at the first keyframe.",
                ),
            ],
            outputs=[PathSocket.Output("path", "path", tooltip="The path up to this keyframe.")],
        )

    @classmethod
    def execute(
        cls, conditioning: Any, weight: float, method: str, seed: int, previous: Any = None
    ) -> io.NodeOutput:
        clouds = clouds_from_conditioning(conditioning)
        keyframes = [Keyframe(one, weight, method, seed) for one in clouds]
        if previous is None:
            return io.NodeOutput(tuple(Path((keyframe,)) for keyframe in keyframes))
        names = ("previous", "conditioning")
        check_entries(previous, keyframes, names)
        grown = [p.append(k, names) for p, k in zip(previous, keyframes, strict=True)]
        return io.NodeOutput(tuple(grown))


class GeodesicTimes(io.ComfyNode):
    """Frames, easing and ending → one time per frame. Raises what `times` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicTimes",
            display_name="Morph Times",
            category=PROMPT,
            description="When the morph is where: one time in [0, 1] per frame.",
            inputs=[
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Number of frames, the way back included.",
                ),
                io.Combo.Input(
                    "easing",
                    options=list(EASINGS),
                    default=LINEAR,
                    tooltip="How time runs from 0 to 1: evenly, starting slowly (in), ending "
                    "slowly (out), both, or along your own curve.",
                ),
                io.Combo.Input(
                    "ending",
                    options=list(ENDINGS),
                    default=STOP,
                    tooltip="'stop' ends at the last prompt, 'ping-pong' goes there and back, "
                    "'loop' closes the path to the first prompt so that the video cycles.",
                ),
                io.String.Input(
                    "curve",
                    default=DEFAULT_CURVE,
                    tooltip="Points [[u, t], ...] for the easing 'curve': u from 0 to 1 is the "
                    "share of the frames, t from 0 to 1 the place on the path.",
                ),
            ],
            outputs=[TimesSocket.Output("times", "times", tooltip="One time per frame.")],
        )

    @classmethod
    def execute(cls, frames: int, easing: str, ending: str, curve: str) -> io.NodeOutput:
        return io.NodeOutput(make_times(frames, easing, ending, curve))


class GeodesicSchedule(io.ComfyNode):
    """Path and times → conditionings and latents that match, for the native KSampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicSchedule",
            display_name="Morph Schedule",
            category=PROMPT,
            description="One conditioning and one latent per frame, all with the same initial "
            "noise. Connect both to a KSampler. With a deterministic sampler (euler, dpmpp_2m, "
            "ddim, uni_pc) every frame differs by its prompt alone.",
            inputs=[
                path_input("path", "From Prompt Keyframe or Couple Prompts."),
                TimesSocket.Input("times", tooltip="From Morph Times or Retime."),
                io.Latent.Input("latent", tooltip="One image: its size, or what to start from."),
                io.Int.Input(
                    "frames_per_batch",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    tooltip="Frames the sampler works on at once; 0 is all of them. Lower it when "
                    "memory runs out; with a deterministic sampler the frames stay the same.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "positive",
                    "positive",
                    is_output_list=True,
                    tooltip="The prompts of the frames, for KSampler's positive.",
                ),
                io.Latent.Output(
                    "latents",
                    "latents",
                    is_output_list=True,
                    tooltip="As many latents, for KSampler's latent_image.",
                ),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
        )

    @classmethod
    def execute(
        cls, path: Any, times: Any, latent: dict[str, Any], frames_per_batch: int
    ) -> io.NodeOutput:
        chunks = schedule(as_paths(path), times, latent, frames_per_batch)
        positive = [conditioning for conditioning, _ in chunks]
        return io.NodeOutput(positive, [latents for _, latents in chunks], len(times))
