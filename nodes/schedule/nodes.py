"""The nodes of a film's schedule: every frame's time, prompt and latent, in batches."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...geometry.easing import DEFAULT_CURVE, EASINGS, LINEAR
from ...geometry.one_order import in_one_order
from ...geometry.times import ENDINGS, MAX_FRAMES, STOP
from ...geometry.times import times as make_times
from ..inputs import PROMPT, TimesSocket, as_paths, frames_per_batch_input, path_input
from ..internals import blocked
from ..ui.status import show_note
from .consumers import check_equal_batches, stochastic_sampler
from .in_step import cut, cut_latent
from .notes import batches_note
from .schedule import NOISES, ONE_FOR_ALL, cut_by, schedule


class GeodesicTimes(io.ComfyNode):
    """Frames, easing and ending → one time per frame. Raises what `times` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
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
            "ddim, uni_pc) frames differ only by their prompts; with one that draws noise in every "
            "step (ancestral, SDE, LCM) they do if frames_per_batch is 1.",
            inputs=[
                path_input("path", "From Prompt Keyframe or Couple Prompts."),
                TimesSocket.Input("times", tooltip="From Morph Times or Retime."),
                io.Latent.Input(
                    "latent",
                    tooltip="One latent: an empty one for the size, or an image to start from.",
                ),
                frames_per_batch_input(),
                io.Combo.Input(
                    "noise",
                    options=list(NOISES),
                    default=ONE_FOR_ALL,
                    optional=True,
                    tooltip="'one for all': every frame starts from the same noise, so that only "
                    "the prompt changes. 'one per frame': for AnimateDiff, which needs it.",
                ),
                io.Boolean.Input(
                    "one_row_order",
                    default=False,
                    optional=True,
                    tooltip="Keep the rows in one order along the whole path, for nodes that mix "
                    "the prompts of neighbouring frames. Off: every prompt in its own order.",
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
                    tooltip="One latent for each prompt, for KSampler's latent_image.",
                ),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
            # The sampler, and schedules that meet this one, are read from the graph.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        path: Any,
        times: Any,
        latent: dict[str, Any],
        frames_per_batch: int,
        noise: str = ONE_FOR_ALL,
        one_row_order: bool = False,
    ) -> io.NodeOutput:
        check_equal_batches(cls, len(times), frames_per_batch)
        paths = [in_one_order(p) if one_row_order else p for p in as_paths(path)]
        positive, latents = zip(
            *schedule(paths, times, latent, frames_per_batch, noise), strict=True
        )
        counts = [len(batch["samples"]) for batch in latents]
        changing, sampler = cut_by(paths, times), stochastic_sampler(cls)
        show_note(cls, batches_note(counts, frames_per_batch, changing, sampler))
        return io.NodeOutput(list(positive), list(latents), len(times))


class GeodesicFrames(io.ComfyNode):
    """One picture, mask or latent per frame → those of one batch of a schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicFrames",
            display_name="Frames in Step",
            category=PROMPT,
            description="Cuts a batch with one picture, mask or latent for each frame into the "
            "same batches as Morph Schedule: for ControlNet hints, noise masks, IP-Adapter "
            "pictures, or a video to start from.",
            inputs=[
                io.Latent.Input("latents", tooltip="The latents of Morph Schedule."),
                io.Image.Input(
                    "images", optional=True, tooltip="A batch with one picture for each frame."
                ),
                io.Mask.Input(
                    "masks", optional=True, tooltip="A batch with one mask for each frame."
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="A batch with one latent for each frame, such as an encoded video.",
                ),
            ],
            outputs=[
                io.Image.Output("images_out", "images", tooltip="The pictures of these frames."),
                io.Mask.Output("masks_out", "masks", tooltip="The masks of these frames."),
                io.Latent.Output(
                    "latent_out",
                    "latent",
                    tooltip="The latents of these frames, with Morph Schedule's initial noise.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, latents: dict[str, Any], images: Any = None, masks: Any = None, latent: Any = None
    ) -> io.NodeOutput:
        if images is None and masks is None and latent is None:
            raise ValueError(
                "images, masks, latent: expected at least one of them, got none. Connect what is "
                "to be cut."
            )
        return io.NodeOutput(
            blocked("images") if images is None else cut("images", images, latents),
            blocked("masks") if masks is None else cut("masks", masks, latents),
            blocked("latent") if latent is None else cut_latent(latent, latents),
        )
