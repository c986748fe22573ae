"""Where the frames of a morph are rendered, and from which step of the sampler.

With one noise the picture is a continuous but steep function of t: for most of the way nothing
happens, then everything does. So a morph is rendered in rounds. The first round renders the
keyframes, and few or no frames between them, from the first step on. Every later round puts new
frames into the gaps where the picture changes most:

- *Sharing*: a new frame takes the mix of its neighbours' states before step k as its own state and
  is sampled from step k on. Its steps before k cost nothing.
- *Bridging*: where a new frame did not shrink its gap, the picture jumps between two basins. Times
  in between do not help there, but later steps do: states of early steps decide on a basin, states
  of late steps blend. So k grows in that gap, and in no other.

Frames inserted where LPIPS is largest: latentblending. Pure bookkeeping: no model, no pictures.
Distances are squared ones, as LPIPS is: their square roots add up along a path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .legs import SAME_TIME
from .times import LOOP, PING_PONG, check_frames, half

# Gaps narrower than this get no frame: its time could not be told from its neighbours' times.
NARROWEST = 4 * SAME_TIME
# A frame that leaves more than this of its gap's distance on one side did nothing for it.
STUCK = 0.95


@dataclass(frozen=True)
class Rules:
    """How a morph is placed.

    frames: of the film. Of a ping-pong only the way there is rendered.
    steps: of the sampler.
    ending: one of `times.ENDINGS`. A loop has one gap more, from its last frame to its first.
    share: part of the steps, in [0, 1), that a new frame takes over from its neighbours.
    bridge: part of the steps, in [0, 1), that it takes over at most, where a gap does not close.
    tolerance: no new frame in gaps whose distance is this or less; 0 renders all frames. Where
        rendered frames are skipped, steps of the film are larger than the gaps.
    growth: part of the steps that is taken over more, each time a gap does not close.
    fail: a gap does not close where one of its two parts keeps more than this of its distance.
    patience: how often a frame at the latest step may do nothing for its gap before the gap is left
        to be a cut.
    between: frames of the first round between two keyframes, at most.
    worth: in one round only gaps of at least this part of the largest distance get a frame.
    centred: put a new frame at the estimated middle of the distance, not at the middle of t.
    spare: frames that are rendered and not shown, at most, as a part of those shown: the film is
        the most even choice. They are cheap, as most of them start late.

    Raises ValueError for numbers outside these ranges.
    """

    frames: int
    steps: int
    ending: str = "stop"
    share: float = 0.5
    bridge: float = 0.9
    tolerance: float = 0.0
    growth: float = 1 / 3
    fail: float = 0.5
    patience: int = 3
    between: int = 1
    worth: float = 0.5
    centred: bool = True
    spare: float = 0.75

    def __post_init__(self) -> None:
        check_frames(self.frames)
        if self.steps < 1:
            raise ValueError(f"steps: expected at least 1, got {self.steps}.")
        for name in ("share", "bridge"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name}: expected a part of the steps, from 0 to less than 1, got "
                    f"{getattr(self, name)}."
                )
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ValueError(
                f"tolerance: expected a distance of 0 or more, got {self.tolerance}. 0 renders all "
                "frames."
            )
        if not (math.isfinite(self.spare) and self.spare >= 0):
            raise ValueError(f"spare: expected a part of the frames, 0 or more, got {self.spare}.")

    @property
    def shown(self) -> int:
        """Frames of the film that are rendered for it: of a ping-pong the way there."""
        return half(self.frames) if self.ending == PING_PONG else self.frames

    @property
    def rendered(self) -> int:
        """The most frames that are rendered."""
        return self.shown + round(self.spare * self.shown)

    @property
    def earliest(self) -> int:
        """The step that a new frame starts at, where nothing failed."""
        return self._at_most(self.share)

    @property
    def latest(self) -> int:
        """The latest step that a new frame may start at."""
        return max(self.earliest, self._at_most(self.bridge))

    def _at_most(self, part: float) -> int:
        """A part of the steps in whole steps. The last step is always the frame's own."""
        return min(round(part * self.steps), self.steps - 1)

    def later(self, start_step: int) -> int:
        """The start step after a failure at this one."""
        return min(start_step + max(1, round(self.growth * self.steps)), self.latest)

    def first_times(self, knots: Sequence[float]) -> tuple[float, ...]:
        """The times of the first round, all rendered from step 0.

        knots: the keyframes' times, from 0 to 1. That of a loop ends with 1, the first keyframe
        again, where no frame stands. The keyframes are there, and as many frames between two of
        them as `between` allows, but no more than half of all frames unless the keyframes alone
        are more. Raises ValueError for fewer frames than keyframes.
        """
        legs = len(knots) - 1
        keyframes = len(knots) - (self.ending == LOOP)
        if legs < 1:
            raise ValueError(f"path: expected at least two keyframes, got {keyframes}.")
        if keyframes > self.shown:
            way = " on the way there of a ping-pong" if self.ending == PING_PONG else ""
            raise ValueError(
                f"frames: expected at least one for each of the {keyframes} keyframes{way}, got "
                f"{self.shown}. Ask for more frames or take keyframes out."
            )
        between = max(0, min(self.between, (self.shown // 2 - keyframes) // legs))
        parts = np.arange(between + 1) / (between + 1)
        inside = [a + (b - a) * parts for a, b in pairwise(knots)]
        values = np.concatenate([*inside, [] if self.ending == LOOP else [knots[-1]]])
        return tuple(values.tolist())


@dataclass(frozen=True)
class Insertion:
    """A frame to render.

    t: its time on the path. left, right: its neighbours, as numbers in the placement's `times`; in
    the closing gap of a loop, `right` is 0. start_step: k; its state before this step is a mix of
    its neighbours' states before this step, and its own from the noise on where k is 0. mix: the
    right neighbour's part of that mix, in (0, 1).
    """

    t: float
    left: int
    right: int
    start_step: int
    mix: float


@dataclass(frozen=True)
class Gap:
    """Between a frame and the next: their distance, and what is known about closing it.

    failures: how often in a row a frame at the latest step did nothing for it.
    """

    distance: float
    start_step: int
    failures: int = 0


@dataclass(frozen=True)
class Placement:
    """Frames that have been rendered. `times` rise strictly; frames are only ever added.

    gaps[i] lies between frames i and i+1; a loop's last one between its last frame and its first.
    start_steps: that of each frame. keyframes: their numbers in `times`.
    """

    rules: Rules
    times: tuple[float, ...]
    gaps: tuple[Gap, ...]
    start_steps: tuple[int, ...]
    keyframes: tuple[int, ...]

    @classmethod
    def start(cls, rules: Rules, knots: Sequence[float], distances: Sequence[float]) -> Placement:
        """After the first round.

        knots: as given to `rules.first_times`. distances: of consecutive frames of that round; for
        a loop also that from the last frame to the first. Raises ValueError for another number of
        distances, and for distances that are negative or not finite.
        """
        times = rules.first_times(knots)
        expected = len(times) - (rules.ending != LOOP)
        if len(distances) != expected:
            raise ValueError(
                f"distances: expected {expected} for {len(times)} frames, got {len(distances)}."
            )
        _check_distances(distances)
        gaps = tuple(Gap(float(d), rules.earliest) for d in distances)
        keyframes = tuple(times.index(knot) for knot in knots if knot in times)
        return cls(rules, times, gaps, (0,) * len(times), keyframes)

    @property
    def frames(self) -> int:
        """How many frames have been rendered."""
        return len(self.times)

    @property
    def distances(self) -> tuple[float, ...]:
        return tuple(gap.distance for gap in self.gaps)

    @property
    def evaluations(self) -> int:
        """Steps of single frames that were sampled so far; a plain render takes `steps` of them."""
        return sum(self.rules.steps - k for k in self.start_steps)

    @property
    def ends(self) -> tuple[float, ...]:
        """The times at both sides of all gaps: [gaps + 1]."""
        return (*self.times, 1.0) if self.rules.ending == LOOP else self.times

    def next(self, at_once: int) -> tuple[Insertion, ...]:
        """The frames of the next round, in order of t: none when the morph is done.

        The gaps of the largest distances get one frame each, the widest first where distances are
        equal. Raises ValueError for at_once < 1.
        """
        if at_once < 1:
            raise ValueError(f"at_once: expected at least 1 frame a round, got {at_once}.")
        short = self.frames < self.rules.shown
        room = max(0, (self.rules.shown if short else self.rules.rendered) - self.frames)
        widths = np.diff(self.ends)
        open_gaps = [i for i in range(len(widths)) if widths[i] >= NARROWEST and self._is_open(i)]
        # A cut gets no frames, which would show nothing new, unless there is nothing but cuts.
        wanted = [i for i in open_gaps if self.gaps[i].failures < self.rules.patience]
        if not wanted and not self.rules.tolerance and short:
            wanted = open_gaps
        ranked = sorted(wanted, key=lambda i: (-self.gaps[i].distance, -widths[i], i))
        chosen = ranked[: min(at_once, room)]
        least = self.rules.worth * max((self.gaps[i].distance for i in chosen), default=0.0)
        kept = (i for i in chosen if self.gaps[i].distance >= least)
        return tuple(self._insertion(i, float(widths[i])) for i in sorted(kept))

    def _is_open(self, i: int) -> bool:
        """Whether gap i is too large to be left as it is.

        Spare frames are there for a choice: half a step of the film is as near as it needs them.
        """
        distance, rules = self.gaps[i].distance, self.rules
        if self.frames < rules.shown:
            return distance > rules.tolerance or not rules.tolerance
        steps = rules.shown - (rules.ending != LOOP)
        length = float(np.sqrt(self.distances).sum())
        return distance > max(rules.tolerance, (length / steps / 2) ** 2)

    def _insertion(self, i: int, width: float) -> Insertion:
        u = self._middle(i) if self.rules.centred else 0.5
        right = (i + 1) % self.frames
        return Insertion(self.times[i] + u * width, i, right, self.gaps[i].start_step, u)

    def _middle(self, i: int) -> float:
        """Where in gap i half of its length is behind, in [0.29, 0.71].

        Speed is taken to change linearly over the gap. At each end it is the mean of this gap's
        own speed and the next gap's, but at a keyframe, where another leg begins, its own.
        """
        speeds = np.sqrt(self.distances) / np.diff(self.ends)
        before = i if i in self.keyframes else i - 1
        after = i if (i + 1) % self.frames in self.keyframes else i + 1
        a, b = ((speeds[i] + speeds[j]) / 2 for j in (before, after))
        # The root of a·u + (b − a)·u²/2 = (a + b)/4, in a form that is stable for a = b.
        return float((a + b) / 2 / (a + math.hypot(a, b) / math.sqrt(2))) if a + b > 0 else 0.5

    def add(
        self, insertions: Sequence[Insertion], parts: Sequence[tuple[float, float]]
    ) -> Placement:
        """With the frames of a round that `next` gave.

        parts: for each, its distances from its left and to its right neighbour. Raises ValueError
        for another number of them, and for distances that are negative or not finite.
        """
        if len(parts) != len(insertions):
            raise ValueError(
                f"parts: expected one pair of distances for each of the {len(insertions)} new "
                f"frames, got {len(parts)}."
            )
        _check_distances([d for pair in parts for d in pair])
        new = {one.left: (one, pair) for one, pair in zip(insertions, parts, strict=True)}
        times: list[float] = []
        gaps: list[Gap] = []
        start_steps: list[int] = []
        numbers: list[int] = []
        for i, t in enumerate(self.times):
            numbers.append(len(times))
            times.append(t)
            start_steps.append(self.start_steps[i])
            if i in new:
                one, pair = new[i]
                times.append(one.t)
                start_steps.append(one.start_step)
                gaps += [self._part(self.gaps[i], float(d)) for d in pair]
            else:
                gaps += self.gaps[i : i + 1]
        keyframes = tuple(numbers[k] for k in self.keyframes)
        return replace(
            self,
            times=tuple(times),
            gaps=tuple(gaps),
            start_steps=tuple(start_steps),
            keyframes=keyframes,
        )

    def _part(self, gap: Gap, distance: float) -> Gap:
        """One of the two gaps that a new frame makes of one."""
        if distance <= self.rules.fail * gap.distance:
            return Gap(distance, gap.start_step)
        stuck = gap.start_step == self.rules.latest and distance > STUCK * gap.distance
        return Gap(distance, self.rules.later(gap.start_step), gap.failures + 1 if stuck else 0)


def _check_distances(distances: Sequence[float]) -> None:
    if not all(math.isfinite(d) and d >= 0 for d in distances):
        raise ValueError("distances: expected numbers that are finite and not negative.")
