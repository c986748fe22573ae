"""Written prompts on the frames of a film: marks, the legs between them, and every frame's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .easing import easing_function
from .legs import knots
from .prompt_text import END, PERCENT, SECONDS, Entry, PromptTextError
from .times import LOOP, PING_PONG, Times, check_frames, half, with_way_back


@dataclass(frozen=True)
class Mark:
    """A prompt at a frame. entry: the line that says so; for a hold, that of the prompt's text."""

    frame: int
    text: str
    entry: Entry


@dataclass(frozen=True)
class Stop:
    """A prompt for a while: a keyframe of the path.

    first, last: the frames at which it stands. frames: how many the way that leads here takes; for
    the first stop, the way that closes a loop (0 where there is none).
    """

    text: str
    first: int
    last: int
    frames: int
    entry: Entry


@dataclass(frozen=True)
class Timeline:
    """Where every prompt stands in a film of `frames` frames, in order."""

    stops: tuple[Stop, ...]
    frames: int
    ending: str

    @property
    def forward(self) -> int:
        """The number of frames before the way back of a ping-pong; else of all frames."""
        return _forward(self.frames, self.ending)

    @property
    def weights(self) -> list[float]:
        """The weights of the path's keyframes: frames of the legs that end there."""
        return [float(max(stop.frames, 1)) for stop in self.stops]

    @property
    def times(self) -> Times:
        """One time per frame. At each mark exactly its keyframe's knot on the path."""
        weights = self.weights
        legs = [*weights[1:], weights[0]] if self.ending == LOOP else weights[1:]
        at = knots(legs).tolist()
        values: list[float] = []
        for k, stop in enumerate(self.stops):
            values += [at[k]] * (stop.last + 1 - len(values))
            following = self._following(k)
            if following is None:
                break
            length = following.frames
            shares = easing_function(following.entry.easing)(np.arange(1, length) / length)
            values += (at[k] + (at[k + 1] - at[k]) * shares).tolist()
        values += [values[-1]] * (self.forward - len(values))
        return Times(tuple(with_way_back(values, self.frames, self.ending)), self.ending)

    def _following(self, k: int) -> Stop | None:
        """The stop that the way behind stop k leads to: the first again in a loop."""
        if k + 1 < len(self.stops):
            return self.stops[k + 1]
        return self.stops[0] if self.ending == LOOP else None


def timeline(entries: Sequence[Entry], frames: int, fps: float, ending: str) -> Timeline:
    """Place the entries of a text on the frames of a film.

    Before the first mark stands the first prompt, behind the last one the last, unless a loop leads
    back to the first. In a ping-pong frames count on the way there. Raises PromptTextError for
    places outside the film or not after the one before, and for fewer than two different prompts;
    ValueError for a number of frames that `check_frames` refuses, and for too short a ping-pong.
    """
    check_frames(frames)
    if ending == PING_PONG and frames < 3:
        raise ValueError(
            f"frames: a ping-pong needs at least 3 (start, turn, way back), got {frames}."
        )
    marks = _marks(entries, _forward(frames, ending), fps)
    joined: list[list[Mark]] = []
    for mark in marks:
        if joined and joined[-1][-1].text == mark.text:
            joined[-1].append(mark)
        else:
            joined.append([mark])
    if len(joined) < 2:
        first = marks[0].entry
        raise PromptTextError(
            first.line, first.column, "expected at least two different prompts, got one."
        )
    spans = [(0 if k == 0 else group[0].frame, group[-1].frame) for k, group in enumerate(joined)]
    closing = frames - spans[-1][1] if ending == LOOP else 0
    ways = [closing, *(b[0] - a[1] for a, b in pairwise(spans))]
    stops = [
        Stop(group[0].text, *span, way, group[0].entry)
        for group, span, way in zip(joined, spans, ways, strict=True)
    ]
    return Timeline(tuple(stops), frames, ending)


def _forward(frames: int, ending: str) -> int:
    """The number of frames before the way back."""
    return half(frames) if ending == PING_PONG else frames


def _marks(entries: Sequence[Entry], frames: int, fps: float) -> list[Mark]:
    marks: list[Mark] = []
    for entry in entries:
        before = marks[-1].frame if marks else 0
        frame = _frame(entry, before, frames - 1, fps)
        if frame > frames - 1:
            raise PromptTextError(
                entry.line,
                entry.column,
                f"expected a frame from 0 to {frames - 1}, the last one, got {frame}. Make the "
                "film longer, or write 'end'.",
            )
        if marks and frame <= before:
            raise PromptTextError(
                entry.line,
                entry.column,
                f"expected a frame after {before}, where the line before stands, got {frame}.",
            )
        if entry.text is None:
            if not marks:
                raise PromptTextError(
                    entry.line, entry.column, "expected a prompt before 'hold', got none."
                )
            marks.append(Mark(frame, marks[-1].text, entry))
        else:
            marks.append(Mark(frame, entry.text, entry))
    return marks


def _frame(entry: Entry, before: int, last: int, fps: float) -> int:
    """The frame of an entry; a time between two frames is rounded to the nearer one."""
    when = entry.when
    if when.unit == END:
        return last
    factor = {SECONDS: fps, PERCENT: last / 100}.get(when.unit, 1.0)
    frame = int(np.floor(when.amount * factor + 0.5))
    return before + frame if when.relative else frame
