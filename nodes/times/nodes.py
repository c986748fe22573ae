"""The nodes that make times, one for each frame, and turn them into numbers and back."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...geometry.easing import DEFAULT_CURVE, EASINGS, LINEAR
from ...geometry.times import MAX_FRAMES
from ...geometry.times import times as make_times
from ..inputs import PROMPT, Curve, TimesSocket, ending_input
from ..newer import schema
from .floats import PLAIN_ENDINGS, curve_of, numbers_of, times_of


class GeodesicTimes(io.ComfyNode):
    """Frames, easing and ending → one time per frame. Raises what `times` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicTimes",
            display_name="Morph Times",
            category=PROMPT,
            description="The position of every frame on the path: one time in [0, 1] per frame.",
            inputs=[
                io.Int.Input(
                    "frames",
                    default=16,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Number of frames, including the way back.",
                ),
                io.Combo.Input(
                    "easing",
                    options=list(EASINGS),
                    default=LINEAR,
                    tooltip="How time runs from 0 to 1: evenly, starting slowly (in), ending "
                    "slowly (out), both, or along your own curve.",
                ),
                ending_input(),
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


class GeodesicTimesToFloats(io.ComfyNode):
    """Times → one FLOAT per frame, all of them in one, and ComfyUI's CURVE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicTimesToFloats",
            display_name="Times to Floats",
            category=PROMPT,
            description="One number per frame for other nodes, in step with the morph: strengths "
            "of LoRA, ControlNet or IP-Adapter, curves.",
            inputs=[
                TimesSocket.Input("times", tooltip="From Morph Times, Retime or a prompt path."),
                _number("low", 0.0, "The number at t = 0."),
                _number("high", 1.0, "The number at t = 1."),
            ],
            outputs=[
                io.Float.Output(
                    "floats",
                    "floats",
                    is_output_list=True,
                    tooltip="A list: nodes behind it run once for each frame. In step with Morph "
                    "Schedule if frames_per_batch is 1.",
                ),
                io.Float.Output(
                    "values",
                    "values",
                    tooltip="All numbers in one, as KJNodes and IP-Adapter's weights take them.",
                ),
                Curve.Output("curve", "curve", tooltip="The times over the film, from 0 to 1."),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
        )

    @classmethod
    def execute(cls, times: Any, low: float, high: float) -> io.NodeOutput:
        numbers = numbers_of(times, low, high)
        return io.NodeOutput(numbers, numbers, curve_of(times), len(times))


class GeodesicFloatsToTimes(io.ComfyNode):
    """Numbers or a curve of other nodes → times."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicFloatsToTimes",
            display_name="Floats to Times",
            category=PROMPT,
            description="The pace of a morph from other nodes: one number per frame, from 0 for "
            "the first prompt to 1 for the last, or ComfyUI's curve.",
            inputs=[
                io.MultiType.Input(
                    "floats",
                    types=[io.Float, Curve],
                    tooltip="A list of numbers, one per frame, or a curve.",
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Frames of a curve. Lists have one number for each frame.",
                ),
                io.Boolean.Input(
                    "stretch",
                    default=False,
                    tooltip="Map the smallest number to 0 and the largest to 1. Off: numbers "
                    "outside 0 to 1 are refused.",
                ),
                io.Combo.Input(
                    "ending",
                    options=list(PLAIN_ENDINGS),
                    default=PLAIN_ENDINGS[0],
                    tooltip="'loop' closes the path to the first prompt, at t = 1.",
                ),
            ],
            outputs=[TimesSocket.Output("times", "times", tooltip="One time per frame.")],
            is_input_list=True,
        )

    @classmethod
    def execute(
        cls, floats: list[Any], frames: list[int], stretch: list[bool], ending: list[str]
    ) -> io.NodeOutput:
        return io.NodeOutput(times_of(floats, frames[0], stretch[0], ending[0]))


def _number(id: str, default: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(id, default=default, min=-1000.0, max=1000.0, step=0.01, tooltip=tooltip)
