"""A placed morph as a film: which rendered frame is shown when.

Constant perceptual speed, as re-timing aims at (DiffMorpher, arXiv 2312.07409; IMPUS, arXiv
2311.06792), but among frames that are rendered already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .placement import Placement
from .times import LOOP, PING_PONG, Times, half, uniform


def progress(placement: Placement) -> np.ndarray:
    """How far along the morph each frame is, in [0, 1]: the length behind it, of the whole length.

    √distance is a length. Where nothing moves at all, time takes its place.
    """
    lengths = np.concatenate([[0.0], np.cumsum(np.sqrt(placement.distances))])
    if lengths[-1] == 0:
        lengths = np.array(placement.ends)
    return lengths[: placement.frames] / lengths[-1]


def playback(placement: Placement, pace: Times | None = None) -> tuple[int, ...]:
    """Which rendered frame each frame of the film shows: `rules.frames` numbers in `times`.

    Without `pace` the film runs at constant perceptual speed: its frames stand at equal steps of
    `progress`, as near as the rendered frames allow. Of as many frames as were asked for each is
    shown once; of fewer (where the tolerance was reached before) each at least once, of more none
    twice. Keyframes are always shown.
    With `pace`, a schedule whose times are read as progress, each frame of the film is the rendered
    one of the nearest progress, and the frame of the film that comes nearest to a keyframe shows
    it. A ping-pong's pace is read up to its middle, and the way back mirrors the way there.
    """
    rules = placement.rules
    done = progress(placement)
    wanted = uniform(rules.frames, rules.ending)
    shown = (
        _evenly(wanted, done, placement.keyframes, rules.ending)
        if pace is None
        else _nearest(_bent(wanted, pace), done, placement.keyframes)
    )
    return tuple(shown + shown[::-1][rules.frames % 2 :] if rules.ending == PING_PONG else shown)


def _bent(wanted: np.ndarray, pace: Times) -> np.ndarray:
    """The pace, itself a function of equal steps, at other steps."""
    values = np.array(pace.values[: half(len(pace))] if pace.ending == PING_PONG else pace.values)
    if pace.is_loop:
        values = np.append(values, pace.end)
    return np.interp(wanted, np.linspace(0, 1, len(values)), values)


def _nearest(wanted: np.ndarray, done: np.ndarray, keyframes: Sequence[int]) -> list[int]:
    apart = np.abs(wanted[:, None] - done[None])
    shown = apart.argmin(axis=1)
    for k in keyframes:
        # Only where the pace passes by: an excerpt of the path need not show all keyframes.
        if wanted.min() <= done[k] <= wanted.max():
            shown[apart[:, k].argmin()] = k
    return shown.tolist()


def _evenly(
    wanted: np.ndarray, done: np.ndarray, keyframes: Sequence[int], ending: str
) -> list[int]:
    """The numbers of least squared distance from `wanted`, by dynamic programming.

    They begin with the first frame and end with the last (any, for a loop of more frames than are
    wanted), never run back, never pass by a keyframe, and skip or repeat frames only as far as the
    counts ask for.
    """
    frames, rendered = len(wanted), len(done)
    if rendered == frames:
        return list(range(frames))
    cost = (wanted[:, None] - done[None]) ** 2
    number = np.arange(rendered)
    # Before frame i another one was shown, from the last keyframe before i on where frames are
    # skipped; or, where frames are repeated, frame i itself or the one before it.
    marks = np.array(sorted({*keyframes, 0}))
    first = marks[np.maximum(np.searchsorted(marks, number) - 1, 0)]
    best = np.where(number == 0, cost[0], np.inf)
    came_from = np.zeros((frames, rendered), dtype=np.int64)
    for f in range(1, frames):
        if rendered < frames:
            before = np.maximum(number - 1, 0)
            came_from[f] = np.where(best < best[before], number, before)
            best = best[came_from[f]] + cost[f]
        else:
            came_from[f] = [
                low + int(np.argmin(best[low:high])) if high > low else 0
                for low, high in zip(first, number, strict=True)
            ]
            best = np.where(number > 0, best[came_from[f]], np.inf) + cost[f]
    last = rendered - 1
    if ending == LOOP and rendered > frames:
        last = int(marks[-1] + np.argmin(best[marks[-1] :]))
    shown = [last]
    for f in range(frames - 1, 0, -1):
        shown.append(int(came_from[f, shown[-1]]))
    return shown[::-1]
