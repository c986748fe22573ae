"""What Times from Audio says under itself."""

from __future__ import annotations

from itertools import pairwise

from ...geometry.beats import Beats
from ...geometry.music import BeatTimes

SILENT = "The audio is silent, so the times are equal."
# What the gaps between beats are divided into.
PARTS = {1: "beat", 2: "half beat", 4: "quarter beat", 8: "eighth", 16: "sixteenth"}


def beats_note(beats: Beats, schedule: BeatTimes) -> str:
    """How many beats there are, and how many of them lie between two keyframes."""
    if not schedule.keyframes:
        return (
            f"Beats found: {len(beats)}. That is too few for the keyframes, so the times are "
            "equal. Take fewer keyframes, 'energy', or a longer piece."
        )
    places = [*schedule.beats, len(schedule.times)]
    stops = [places.index(frame) for frame in schedule.keyframes]
    counts = sorted({b - a for a, b in pairwise(stops)})
    between, ending = " or ".join(map(str, counts)), "" if counts == [1] else "s"
    return (
        f"{len(beats)} beats, {beats.bpm:.0f} a minute. From keyframe to keyframe: {between} "
        f"{PARTS[schedule.parts]}{ending}."
    )
