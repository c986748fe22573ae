"""A morph rendered in rounds: frames go where the picture changes (`geometry.placement`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from comfy.utils import ProgressBar
from torch import Tensor

from ...geometry.legs import SAME_TIME
from ...geometry.perceptual import Steps
from ...geometry.placement import Insertion, Placement, Rules
from ...geometry.playback import playback
from ...geometry.times import LOOP, Times
from ..internals import previewer
from .distances import Distance, Picture, distance_of
from .photo_frames import Finish, as_rendered
from .sampling import Frame, FrameSampler

OFF, SOFT, STRONG = "off", "soft", "strong"
# The latest step, as a part of all steps, that a new frame may begin with where a gap does not
# close. On the first pairs of `python -m study even` up to 0.7 closed no gap, 0.8 halved the
# largest step, and from 0.85 on it was a quarter.
BRIDGES = {OFF: 0.0, SOFT: 0.8, STRONG: 0.9}
# Frames a round, where so many gaps are worth one. More would be placed blindly.
AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class RenderedMorph:
    """The frames of a film in order, and how they came about.

    images [F, H, W, 3]; samples [F, C, ...]; evaluations: model evaluations of single frames, and
    of as many frames rendered one by one. states_bytes: what the kept states took.
    """

    images: Tensor
    samples: Tensor
    times: Times
    steps: Steps
    placement: Placement
    plain_evaluations: int
    states_bytes: int

    @property
    def work(self) -> float:
        """Model evaluations, as a share of those of plain renders of all frames."""
        return self.placement.evaluations / self.plain_evaluations

    @property
    def report(self) -> str:
        """One line for people."""
        return (
            f"{len(self.images)} frames for {self.work:.0%} of the work of plain renders; largest "
            f"step {self.steps.largest:.3g} ({self.steps.metric}); kept states "
            f"{self.states_bytes / 2**20:.0f} MB"
        )


class Progress:
    """Progress over all evaluations, with a preview of what is being rendered."""

    def __init__(self, model: Any) -> None:
        self.bar = ProgressBar(1)
        self.preview = previewer(model)
        self.done, self.total = 0, 1

    def __call__(self, frames: int, denoised: Tensor) -> None:
        self.done += frames
        self.total = max(self.total, self.done)
        self.bar.update_absolute(self.done, self.total, self.preview(denoised))

    def expect(self, evaluations: int) -> None:
        """Set the total to what is done and this many more."""
        self.total = self.done + max(evaluations, 0)

    def finish(self) -> None:
        """Everything is done, also where fewer evaluations were needed than expected."""
        self.bar.update_absolute(max(self.done, 1), max(self.done, 1))


@dataclass(eq=False)
class MorphRenderer:
    """Renders a morph.

    sampler: renders frames. decode: latents [F, C, ...] → images [F, H, W, 3]. distance: a name of
    `distances.DISTANCES`. on_round(pictures, steps): called after each round with what is there.
    finish: what is shown of the film's images, when all are there.
    """

    sampler: FrameSampler
    decode: Callable[[Tensor], Tensor]
    distance: str
    progress: Progress
    on_round: Callable[[Sequence[Picture], Steps], None] = field(
        default=lambda pictures, steps: None  # noqa: ARG005
    )
    finish: Finish = as_rendered

    def run(self, rules: Rules, pace: Times | None = None) -> RenderedMorph:
        """All rounds. Raises ValueError for what `Rules` and the path refuse, or a VAE's NaN."""
        knots = self._knots(rules)
        times = rules.first_times(knots)
        later = rules.rendered - len(times)
        self.progress.expect(len(times) * rules.steps + later * (rules.steps - rules.earliest))
        frames = self.sampler.render(times)
        pictures = self._pictures(frames)
        measure = self._measure(pictures)
        distances = measure(_neighbours(pictures, rules.ending))
        placement = Placement.start(rules, knots, distances)
        self._show(pictures, placement, measure)
        while insertions := placement.next(AT_ONCE):
            left = rules.rendered - placement.frames - len(insertions)
            own = sum(rules.steps - one.start_step for one in insertions)
            self.progress.expect(own + left * (rules.steps - rules.earliest))
            new = self._insert(insertions, frames)
            seen = self._pictures(new)
            placement = placement.add(insertions, _parts(insertions, pictures, seen, measure))
            for insertion, frame, picture in reversed(
                list(zip(insertions, new, seen, strict=True))
            ):
                frames.insert(insertion.left + 1, frame)
                pictures.insert(insertion.left + 1, picture)
            self._show(pictures, placement, measure)
        self.progress.finish()
        return self._film(frames, pictures, placement, measure, pace)

    def _knots(self, rules: Rules) -> list[float]:
        """The times of all keyframes, of prompts and of noises."""
        chains = [path.knots for path in self.sampler.paths]
        if self.sampler.noises is not None:
            chains.append(self.sampler.noises.knots(rules.ending == LOOP))
        for path in self.sampler.paths:
            path.locate(0.0)  # raises for a path of one keyframe
        merged: list[float] = []
        for knot in np.sort(np.concatenate(chains)).tolist():
            if not merged or knot - merged[-1] > SAME_TIME:
                merged.append(knot)
        return merged

    def _insert(self, insertions: Sequence[Insertion], frames: Sequence[Frame]) -> list[Frame]:
        states = [
            self.sampler.mixed_states(one, frames[one.left], frames[one.right])
            for one in insertions
        ]
        return self.sampler.render(
            [one.t for one in insertions], [one.start_step for one in insertions], states
        )

    def _pictures(self, frames: Sequence[Frame]) -> list[Picture]:
        images = self.decode(torch.stack([frame.samples for frame in frames]))
        if not bool(torch.isfinite(images).all()):
            raise ValueError(
                "vae: expected finite pixels, got NaN or infinity. Check the VAE, or run it in a "
                "higher precision (--fp32-vae)."
            )
        return [Picture(frame.samples, image) for frame, image in zip(frames, images, strict=True)]

    def _measure(self, pictures: Sequence[Picture]) -> Distance:
        height, width = pictures[0].image.shape[:2]
        return distance_of(self.distance, height, width)

    def _show(self, pictures: Sequence[Picture], placement: Placement, measure: Distance) -> None:
        steps = placement.distances[: len(pictures) - 1]
        if steps:
            self.on_round(pictures, Steps(steps, 0.0, measure.name))

    def _film(
        self,
        frames: Sequence[Frame],
        pictures: Sequence[Picture],
        placement: Placement,
        measure: Distance,
        pace: Times | None,
    ) -> RenderedMorph:
        rules = placement.rules
        shown = playback(placement, pace)
        times = Times(tuple(placement.times[k] for k in shown), rules.ending)
        images = self.finish(torch.stack([pictures[k].image for k in shown]), times)
        film = [replace(pictures[k], image=image) for k, image in zip(shown, images, strict=True)]
        distances = measure([*pairwise(film), (film[-1], film[0])])
        return RenderedMorph(
            images,
            torch.stack([picture.samples for picture in film]),
            times,
            Steps(tuple(distances[:-1]), distances[-1], measure.name),
            placement,
            rules.frames * rules.steps,
            sum(frame.states.numel() * frame.states.element_size() for frame in frames),
        )


def _neighbours(pictures: Sequence[Picture], ending: str) -> list[tuple[Picture, Picture]]:
    closing = [(pictures[-1], pictures[0])] if ending == LOOP else []
    return [*pairwise(pictures), *closing]


def _parts(
    insertions: Sequence[Insertion],
    pictures: Sequence[Picture],
    new: Sequence[Picture],
    measure: Distance,
) -> list[tuple[float, float]]:
    """For each new frame the distances from its left and to its right neighbour."""
    pairs = []
    for one, picture in zip(insertions, new, strict=True):
        pairs += [(pictures[one.left], picture), (picture, pictures[one.right])]
    found = measure(pairs)
    return list(zip(found[0::2], found[1::2], strict=True))
