"""Schedules that follow music: keyframes on beats, or a pace that follows the onsets.

Both begin at t = 0. "stop" ends at t = 1; "ping-pong" ends at 0 again; "loop" closes at t = 1 after
the last frame. A ping-pong here is no mirror image, as it is in `times`: on the way back too the
keyframes fall on beats. So its `Times` have the ending "stop".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from .beats import Beats
from .easing import LINEAR, easing_function
from .onsets import RATE
from .times import ENDINGS, LOOP, PING_PONG, STOP, Times, check_frames, times, uniform

# The share of the pace that does not depend on the music, so that the picture never stands still.
BASE = 0.1
# Beats are divided into at most so many parts where there are more keyframes than beats.
MOST_PARTS = 16


@dataclass(frozen=True, eq=False)
class BeatTimes:
    """A schedule on beats, and what it is made of.

    beats: the frames of the beats, rising. keyframes: those of them where keyframes stand, also on
    a ping-pong's way back. Both are empty where too few beats were found: then times are equal.
    parts: into how many parts the gaps between beats were divided, and `beats` has them all; 1
    where there are enough beats.
    """

    times: Times
    beats: tuple[int, ...] = ()
    keyframes: tuple[int, ...] = ()
    parts: int = 1


def times_on_beats(
    beats: Beats,
    frames: int,
    fps: float,
    keyframes: int,
    easing: str = LINEAR,
    ending: str = STOP,
) -> BeatTimes:
    """Times at which every keyframe of a path falls on a beat.

    The keyframes stand at t = k / (keyframes − 1), of a loop at k / keyframes. They are spread over
    the beats as evenly as whole beats allow, the first on the first beat and the last on the last.
    From beat to beat t rises by equal amounts between two keyframes, and runs by the easing. A
    beat's frame is the one nearest to it. Before the first and after the last beat t stands still;
    a loop goes on to its end. Raises ValueError for an unknown easing or ending, and for frame
    counts and numbers of keyframes that cannot be.
    """
    check_frames(frames)
    knots = _knots(keyframes, ending)
    ease = easing_function(easing)
    places, parts = _places(beats.seconds, frames, fps, len(knots), ending)
    if parts == 0:
        return BeatTimes(_equal(frames, ending))
    stops = np.floor(np.linspace(0, len(places) - 1, len(knots)) + 0.5).astype(int)
    at_beats = np.interp(np.arange(len(places)), stops, knots)
    frame = np.clip(np.arange(frames), places[0], places[-1])
    beat = np.clip(np.searchsorted(places, frame, side="right") - 1, 0, len(places) - 2)
    share = ease((frame - places[beat]) / np.diff(places)[beat])
    t = at_beats[beat] + share * np.diff(at_beats)[beat]
    t[frame == places[-1]] = at_beats[-1]
    shown = places[:-1] if ending == LOOP else places
    return BeatTimes(
        _as_times(t, ending),
        tuple(shown.tolist()),
        tuple(place for place in places[stops].tolist() if place < frames),
        parts,
    )


def _knots(keyframes: int, ending: str) -> np.ndarray:
    """The times of the keyframes in the order in which the film shows them."""
    if keyframes < 2:
        raise ValueError(f"keyframes: expected at least 2, got {keyframes}.")
    _check_ending(ending)
    if ending == LOOP:
        return np.arange(keyframes + 1) / keyframes
    there = np.arange(keyframes) / (keyframes - 1)
    return np.concatenate([there, there[-2::-1]]) if ending == PING_PONG else there


def _places(
    seconds: np.ndarray, frames: int, fps: float, needed: int, ending: str
) -> tuple[np.ndarray, int]:
    """The frames of beats, at least `needed` of them, and how often gaps were divided.

    0 where this cannot be done. A loop's last place is its end, the frame after the last.
    """
    parts = 1
    while len(seconds) > 1 and parts <= MOST_PARTS:
        count = (len(seconds) - 1) * parts + 1
        finer = np.interp(np.arange(count) / parts, np.arange(len(seconds)), seconds)
        places = np.unique(np.floor(finer * fps + 0.5).astype(int))
        places = places[places < frames]
        if ending == LOOP:
            # The end takes the place of a beat close to it, which a jump would follow.
            near = frames - np.median(np.diff(places)) / 2 if len(places) > 1 else frames
            places = np.append(places[places < near], frames)
        if len(places) >= needed:
            return places, parts
        parts *= 2
    return np.empty(0, int), 0


def times_by_energy(
    onsets: np.ndarray, frames: int, fps: float, smoothing: float, ending: str = STOP
) -> Times:
    """Times that grow with the onsets of the music.

    onsets: what `onset_strength` returns. smoothing: the seconds in which the push of an onset
    falls to 37 %. The pace is `BASE` of its mean everywhere. The rest is in proportion to the
    energy of the onsets, their strength squared, so that a clear attack counts more than many small
    rises. Without onsets times are equal. Raises ValueError as `times_on_beats` does.
    """
    check_frames(frames)
    _check_ending(ending)
    if not smoothing >= 0:
        raise ValueError(f"smoothing: expected 0 or more seconds, got {smoothing}.")
    end = frames if ending == LOOP else frames - 1
    sums = np.cumsum(decaying(onsets**2, smoothing))
    at = np.interp(np.arange(end + 1) / fps, np.arange(len(sums)) / RATE, sums)
    total = at[-1] - at[0]
    if total == 0:
        return _equal(frames, ending)
    passed = uniform(frames, LOOP if ending == LOOP else STOP)
    share = BASE * passed + (1 - BASE) * (at[:frames] - at[0]) / total
    if ending != LOOP:
        share[-1] = 1.0
    return _as_times(_way(share, ending), ending)


def decaying(pushes: np.ndarray, seconds: float) -> np.ndarray:
    """Pushes that begin at once and die away, falling to 37 % in so many seconds.

    y(i) = keep·y(i − 1) + push(i), so that nothing moves before its attack is heard.
    """
    keep = np.exp(-1 / (RATE * seconds)) if seconds > 0 else 0.0
    return np.array(list(accumulate(pushes.tolist(), lambda before, x: keep * before + x)))


def _way(share: np.ndarray, ending: str) -> np.ndarray:
    """t after a share of the film: the share itself, or there and back.

    The frame nearest to the turn shows the far end itself.
    """
    if ending != PING_PONG:
        return share
    t = 1 - np.abs(1 - 2 * share)
    if len(t) > 2:
        t[t.argmax()] = 1.0
    return t


def _equal(frames: int, ending: str) -> Times:
    """Equal steps, as `times` makes them. A ping-pong of fewer than three frames stays at 0."""
    if ending == PING_PONG and frames < 3:
        return _as_times(np.zeros(frames), ending)
    return _as_times(np.array(times(frames, LINEAR, ending).values), ending)


def _check_ending(ending: str) -> None:
    if ending not in ENDINGS:
        raise ValueError(f"ending: expected one of {', '.join(ENDINGS)}, got '{ending}'.")


def _as_times(values: np.ndarray, ending: str) -> Times:
    return Times(tuple(np.clip(values, 0, 1).tolist()), LOOP if ending == LOOP else STOP)
