"""Schedules: the position of every frame on a path.

A schedule is one time t in [0, 1] per frame. Easing shapes how the first half of a "ping-pong", or
all of a "stop" or "loop", runs through [0, 1]. Re-timing (DiffMorpher, arXiv 2312.07409; IMPUS,
arXiv 2311.06792) replaces them by times between which all perceptual distances are equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .easing import DEFAULT_CURVE, LINEAR, easing_function

STOP, PING_PONG, LOOP = "stop", "ping-pong", "loop"
ENDINGS = (STOP, PING_PONG, LOOP)

MAX_FRAMES = 4096


@dataclass(frozen=True)
class Times:
    """One time in [0, 1] per frame.

    "stop" ends at 1. "ping-pong" reads the same from both ends, so it ends on the frame it began
    with. "loop" runs on the closed path, whose t = 1 is the first keyframe again. No frame is at t
    = 1, so that a repeated video does not show the first frame twice. `end` is the time of the
    frame after the last one, where the loop closes: 1 or, for a curve that turns back, 0.

    Raises ValueError for no times, or times outside [0, 1].
    """

    values: tuple[float, ...]
    ending: str = STOP
    end: float = 1.0

    def __post_init__(self) -> None:
        outside = [t for t in self.values if not 0 <= t <= 1]
        if outside or not self.values:
            got = f"{outside[0]}" if outside else "none"
            raise ValueError(
                f"times: expected at least one time, all of them in [0, 1], got {got}."
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_loop(self) -> bool:
        return self.ending == LOOP


def times(
    frames: int, easing: str = LINEAR, ending: str = STOP, curve: str = DEFAULT_CURVE
) -> Times:
    """A schedule of `frames` frames.

    easing: one of `EASINGS`; `curve` is read for "curve" alone. ending: one of `ENDINGS`.
    Raises ValueError for a frame count outside [1, 4096], a ping-pong of fewer than 3 frames, an
    unknown easing or ending, and a malformed curve.
    """
    check_frames(frames)
    if ending not in ENDINGS:
        raise ValueError(f"ending: expected one of {', '.join(ENDINGS)}, got '{ending}'.")
    ease = easing_function(easing, curve)
    first, last = ease(np.array([0.0, 1.0])).tolist()
    if ending == LOOP and {first, last} - {0.0, 1.0}:
        raise ValueError(
            "curve: a loop comes back to where it began, so its curve must begin and end at t = 0 "
            f"or t = 1 (the first keyframe), got t = {first} and t = {last}."
        )
    values = with_way_back(ease(uniform(frames, ending)).tolist(), frames, ending)
    return Times(tuple(values), ending, last)


def check_frames(frames: int) -> None:
    """Raise ValueError for a number of frames outside [1, 4096]."""
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"frames: expected 1 to {MAX_FRAMES}, got {frames}.")


def uniform(frames: int, ending: str) -> np.ndarray:
    """Equally spaced times: of all frames, or of the first half of a ping-pong.

    i/(n−1), or i/n for a loop. Each is one division, so a third is the number nearest to 1/3.
    """
    if ending == LOOP:
        return np.arange(frames) / frames
    if ending == PING_PONG:
        if frames < 3:
            raise ValueError(
                f"frames: a ping-pong needs at least 3 (start, turn, way back), got {frames}."
            )
        frames = half(frames)
    return np.arange(frames) / max(frames - 1, 1)


def half(frames: int) -> int:
    """The number of frames of a ping-pong up to its turning point, which is included."""
    return (frames + 1) // 2


def with_way_back(forward: list[float], frames: int, ending: str) -> list[float]:
    """Append the way back of a ping-pong; an even number of frames shows the turn twice."""
    return forward + forward[::-1][frames % 2 :] if ending == PING_PONG else forward


def retime(
    schedule: Times,
    distances: tuple[float, ...],
    frames: int,
    closing: float | None = None,
    power: float = 1.0,
) -> Times:
    """The times at which a path runs at constant perceptual speed.

    schedule: the times of a coarse pass. distances: the perceptual distances of its consecutive
    frames, one fewer than frames. closing: the distance from its last frame to its first, needed
    for a loop. power: what makes a distance a length, 0.5 for a squared distance. With s the sum
    of distance**power so far over its total, the new times are the piecewise linear inverse t(s) at
    equal steps of s; ends stay exact. If all distances are 0 (all frames equal), every schedule has
    constant speed and the coarse one is only resampled. Raises ValueError when distances and times
    do not match, and for a power that is not positive.
    """
    if not 0 < power < math.inf:
        raise ValueError(f"power: expected a positive number, got {power}.")
    if len(distances) != len(schedule) - 1:
        raise ValueError(
            f"times and steps: expected one distance fewer than times, got {len(schedule)} times "
            f"and {len(distances)} distances. Measure the images of this schedule."
        )
    if len(schedule) < 2:
        raise ValueError("times: expected at least two frames to re-time, got one.")
    check_frames(frames)
    if not all(math.isfinite(d) and d >= 0 for d in (*distances, closing or 0.0)):
        raise ValueError("steps: expected distances that are finite and not negative.")
    t, d = np.array(schedule.values), np.array(distances)
    if schedule.is_loop:
        if closing is None:
            raise ValueError("steps: a loop needs the distance from the last frame to the first.")
        t, d = np.append(t, schedule.end), np.append(d, closing)
    elif schedule.ending == PING_PONG:
        first_half = half(len(schedule))
        t, d = t[:first_half], d[: first_half - 1]
    s = np.concatenate([[0.0], np.cumsum(d**power)])
    s = s / s[-1] if s[-1] > 0 else np.linspace(0, 1, len(s))
    new = np.interp(uniform(frames, schedule.ending), s, t)
    new[0] = t[0]  # of several equal s np.interp takes the last, but this must be the start
    values = with_way_back(new.tolist(), frames, schedule.ending)
    return Times(tuple(values), schedule.ending, schedule.end)
