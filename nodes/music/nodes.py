"""The node that sets a morph to music."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ...geometry.beats import find_beats
from ...geometry.easing import EASE_IN_OUT
from ...geometry.music import BeatTimes, times_by_energy, times_on_beats
from ...geometry.onsets import onset_strength
from ...geometry.prompt_text import WRITTEN_EASINGS
from ...geometry.times import ENDINGS, MAX_FRAMES, STOP
from ..inputs import PROMPT, TimesSocket
from ..newer import schema
from ..ui.figures import music_chart
from ..ui.status import show_note
from .audio import frame_count, one_recording
from .notes import SILENT, beats_note

BEATS, ENERGY = "beats", "energy"


class GeodesicBeats(io.ComfyNode):
    """Music → one time per frame. Raises what reading the audio and both schedules raise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicBeats",
            display_name="Times from Audio",
            category=PROMPT,
            description="Times that follow music: keyframes land on beats, or the morph moves when "
            "something begins to sound. As many frames as the music is long.",
            inputs=[
                io.Audio.Input("audio", tooltip="From Load Audio, cut to length."),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=0.1,
                    max=240.0,
                    step=1.0,
                    round=0.001,
                    tooltip="Frames per second: the same number as in Create Video.",
                ),
                io.Combo.Input(
                    "response",
                    options=[BEATS, ENERGY],
                    default=BEATS,
                    tooltip="'beats': every keyframe falls on a beat, and each beat is a step on "
                    "the way. 'energy': the more begins to sound, the faster the morph.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.1,
                    min=0.0,
                    max=60.0,
                    step=0.05,
                    round=0.001,
                    tooltip="For 'energy': the seconds in which the push of a sound dies away. 0 "
                    "jumps with each sound.",
                ),
                io.Int.Input(
                    "keyframes",
                    default=2,
                    min=2,
                    max=MAX_FRAMES,
                    tooltip="For 'beats': the number of keyframes on your path, 2 for a coupling. "
                    "They all need the same weight.",
                ),
                io.Combo.Input(
                    "ending",
                    options=list(ENDINGS),
                    default=STOP,
                    tooltip="'stop' reaches the last keyframe at the end, 'ping-pong' goes there "
                    "and back, 'loop' closes the path to the first keyframe.",
                ),
                io.Combo.Input(
                    "easing",
                    options=list(WRITTEN_EASINGS),
                    default=EASE_IN_OUT,
                    optional=True,
                    tooltip="For 'beats': the way from beat to beat. 'linear' is even, 'ease in' "
                    "hits the beat, 'ease out' starts from it, 'ease in-out' rests on it.",
                ),
                io.Float.Input(
                    "bpm",
                    default=0.0,
                    min=0.0,
                    max=400.0,
                    step=1.0,
                    round=0.001,
                    optional=True,
                    tooltip="For 'beats': about how many beats a minute the music has, if they "
                    "come out twice as fast or half as fast as you count them. 0 finds it.",
                ),
            ],
            outputs=[
                TimesSocket.Output("times", "times", tooltip="One time per frame."),
                io.Int.Output("frame_count", "frame_count", tooltip="Number of frames."),
                io.Image.Output(
                    "chart", "chart", tooltip="The music, its beats, and the place on the path."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        audio: Any,
        fps: float,
        response: str,
        smoothing: float,
        keyframes: int,
        ending: str,
        easing: str = EASE_IN_OUT,
        bpm: float = 0.0,
    ) -> io.NodeOutput:
        waveform, rate = one_recording(audio)
        frames = frame_count(waveform.shape[1], rate, fps)
        onsets = onset_strength(waveform, rate)
        if response == BEATS:
            beats = find_beats(onsets, bpm)
            schedule = times_on_beats(beats, frames, fps, keyframes, easing, ending)
            show_note(cls, beats_note(beats, schedule) if onsets.any() else SILENT)
        else:
            schedule = BeatTimes(times_by_energy(onsets, frames, fps, smoothing, ending))
            show_note(cls, "" if onsets.any() else SILENT)
        chart = music_chart(onsets, schedule, fps)
        return io.NodeOutput(schedule.times, frames, chart, ui=ui.PreviewImage(chart, cls=cls))
