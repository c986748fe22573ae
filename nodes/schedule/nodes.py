"""The nodes of a film: prompts on their frames, and every frame's prompt and latent in batches."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...geometry.easing import LINEAR
from ...geometry.one_order import in_one_order
from ...geometry.prompt_text import WRITTEN_EASINGS
from ...geometry.times import MAX_FRAMES
from ..inputs import (
    PROMPT,
    PathSocket,
    TimesSocket,
    as_paths,
    ending_input,
    fps_input,
    frames_per_batch_input,
    method_input,
    path_input,
    seed_input,
)
from ..internals import blocked
from ..newer import schema
from ..ui.status import show_note, show_text
from .consumers import check_equal_batches, stochastic_sampler
from .in_step import cut, cut_latent
from .notes import batches_note
from .schedule import AFTER_RUN, NOISES, ONE_FOR_ALL, Cuts, cut_by, schedule
from .written import MOST_PROMPTS, film_of_prompts, film_of_text

# What Prompt Path from Text begins with.
EXAMPLE = """0: a red fox in fresh snow
24: an old lighthouse
+12 hold
3.5s: a field of sunflowers | ease in-out
end: a red fox in fresh snow
"""


class GeodesicPromptText(io.ComfyNode):
    """Prompts as text → a path with keyframes exactly on their frames, and its times."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicPromptText",
            display_name="Prompt Path from Text",
            category=PROMPT,
            description="A whole film in words: one line for each prompt, with its frame, second "
            "or percentage. Every prompt is encoded once, and stands exactly on its frame.",
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder, as for CLIP Text Encode."),
                io.String.Input(
                    "text",
                    multiline=True,
                    default=EXAMPLE,
                    tooltip="Lines such as '24: an old lighthouse'. Places: 24 (frame), 3.5s, 50%, "
                    "+12 (after the line before), end. '+12 hold' keeps the prompt. Options behind "
                    "a bar: an easing, a method. '# ' begins a comment. FizzNodes' and Deforum's "
                    'form "24": "an old lighthouse" works too.',
                ),
                io.Int.Input(
                    "frames",
                    default=97,
                    min=2,
                    max=MAX_FRAMES,
                    tooltip="Number of frames of the film; 'end' is the last one.",
                ),
                fps_input(),
                io.String.Input(
                    "before", default="", tooltip="Put before every prompt, with a comma."
                ),
                io.String.Input(
                    "after", default="", tooltip="Put behind every prompt, with a comma."
                ),
                method_input(),
                seed_input(),
                ending_input(),
            ],
            outputs=[
                PathSocket.Output("path", "path", tooltip="The path through all prompts."),
                TimesSocket.Output("times", "times", tooltip="One time per frame."),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
                io.String.Output("summary", "summary", tooltip="What stands at which frames."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, clip: Any, **written: Any) -> io.NodeOutput:
        film = film_of_text(clip, **written)
        show_text(cls, "\n".join(filter(None, (film.summary, film.note))))
        return io.NodeOutput(film.paths, film.times, len(film.times), film.summary)


class GeodesicKeyframes(io.ComfyNode):
    """Up to eight prompts and their places → a path and its times."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        prompts = [
            io.Conditioning.Input(
                f"prompt_{number}", optional=True, tooltip=f"Prompt {number} of the film."
            )
            for number in range(1, MOST_PROMPTS + 1)
        ]
        return schema(
            node_id="GeodesicKeyframes",
            display_name="Prompt Keyframes",
            category=PROMPT,
            description="Many prompts in one node: as many as are connected, in their order, at "
            "equal distances or at the frames that you write.",
            inputs=[
                io.String.Input(
                    "frames",
                    default="",
                    placeholder="0, 24, +12, 3.5s, 50%, end",
                    tooltip="Where each connected prompt stands, separated by commas: 24 (frame), "
                    "3.5s, 50%, +12 (after the one before), end. Empty: at equal distances.",
                ),
                io.Int.Input(
                    "length",
                    default=48,
                    min=2,
                    max=MAX_FRAMES,
                    tooltip="Number of frames of the film; 'end' is the last one.",
                ),
                fps_input(),
                io.Combo.Input(
                    "easing",
                    options=list(WRITTEN_EASINGS),
                    default=LINEAR,
                    tooltip="How the film runs from each prompt to the next.",
                ),
                method_input(),
                seed_input(),
                ending_input(),
                *prompts,
            ],
            outputs=[
                PathSocket.Output("path", "path", tooltip="The path through all prompts."),
                TimesSocket.Output("times", "times", tooltip="One time per frame."),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        frames: str,
        length: int,
        fps: float,
        easing: str,
        method: str,
        seed: int,
        ending: str,
        **prompts: Any,
    ) -> io.NodeOutput:
        film = film_of_prompts(prompts, frames, length, fps, easing, method, seed, ending)
        show_note(cls, film.note)
        return io.NodeOutput(film.paths, film.times, len(film.times))


class GeodesicSchedule(io.ComfyNode):
    """Path and times → conditionings and latents that match, for the native KSampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
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
                io.Int.Input(
                    "first_frame",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    optional=True,
                    tooltip="The frame that this run begins with, for films in several runs.",
                ),
                io.Int.Input(
                    "frame_limit",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    optional=True,
                    tooltip="The most frames of this run; 0 means all.",
                ),
                io.Combo.Input(
                    "after_run",
                    options=list(AFTER_RUN),
                    default=AFTER_RUN[0],
                    optional=True,
                    tooltip="'go on': after each queued run first_frame moves on by frame_limit. "
                    "Queue as many runs as the film needs.",
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
                io.Int.Output(
                    "frame_count", "frame_count", tooltip="Number of frames of this run."
                ),
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
        first_frame: int = 0,
        frame_limit: int = 0,
        after_run: str = AFTER_RUN[0],  # noqa: ARG003 - read by the browser, which moves first_frame
    ) -> io.NodeOutput:
        cuts = Cuts(len(times), frames_per_batch, first_frame, frame_limit)
        part = cuts.part
        check_equal_batches(cls, cuts)
        paths = [in_one_order(p) if one_row_order else p for p in as_paths(path)]
        made = schedule(paths, times, latent, frames_per_batch, noise, part)
        positive, latents = zip(*made, strict=True)
        counts = [len(batch["samples"]) for batch in latents]
        changing, sampler = cut_by(paths), stochastic_sampler(cls)
        show_note(cls, batches_note(counts, frames_per_batch, changing, sampler))
        return io.NodeOutput(list(positive), list(latents), len(part))


class GeodesicFrames(io.ComfyNode):
    """One picture, mask or latent per frame → those of one batch of a schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
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
            _not_connected("images") if images is None else cut("images", images, latents),
            _not_connected("masks") if masks is None else cut("masks", masks, latents),
            _not_connected("latent") if latent is None else cut_latent(latent, latents),
        )


def _not_connected(name: str) -> Any:
    return blocked(f"{name}: nothing is connected to this input of Frames in Step.")
