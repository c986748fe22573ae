"""Ways to place the frames of a morph. Each takes a renderer and returns a film."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from .frames import Distance, Film, Frame, Render, plain

COARSE = 12  # frames of the pass that re-timing measures
DEPTH, PARTS = 0.5, 10  # of latentblending: where branches begin, and steps between two levels


def equal_times(render: Render, frames: int) -> Film:
    """Frames at equal steps of t."""
    return Film(plain(render, np.linspace(0, 1, frames).tolist()), frames)


def retimed(
    render: Render, frames: int, distance: Distance, times: Any, power: float = 1.0
) -> Film:
    """A pass of 12 frames is measured; `frames` are rendered at equal distance**power."""
    coarse = times.times(COARSE)
    measured = distance(plain(render, coarse.values))
    new = times.retime(coarse, tuple(d**power for d in measured), frames)
    return Film(plain(render, new.values), COARSE + frames, 2)


def placed(
    render: Render,
    rules: Any,
    at_once: int,
    distance: Distance,
    geometry: Any,
) -> Film:
    """By the pack's placement between two keyframes."""
    knots = (0.0, 1.0)
    frames = plain(render, rules.first_times(knots))
    placement = geometry.placement.Placement.start(rules, knots, distance(frames))
    rounds = 1
    while insertions := placement.next(at_once):
        rounds += 1
        new = render(
            [one.t for one in insertions],
            [one.start_step for one in insertions],
            [_mixed(frames, one) for one in insertions],
        )
        parts = [
            tuple(distance([frames[one.left], frame, frames[one.right]]))
            for one, frame in zip(insertions, new, strict=True)
        ]
        placement = placement.add(insertions, parts)
        frames = sorted([*frames, *new], key=lambda frame: frame.t)
    renders = placement.evaluations / rules.steps
    return Film([frames[i] for i in geometry.playback.playback(placement)], renders, rounds)


def _mixed(frames: Sequence[Frame], one: Any) -> Tensor | None:
    if not one.start_step:
        return None
    return (1 - one.mix) * frames[one.left].states + one.mix * frames[one.right].states


def latentblending(render: Render, frames: int, steps: int, distance: Distance) -> Film:
    """latentblending's scheme (its code at fd5916a, written anew from a description).

    Both ends, then branches level by level, later and later; each is put into the largest LPIPS
    gap, from the slerped trajectories of the nearest frames on both sides of an earlier level.
    Guidance falls by a quarter towards the middle. Its crossfeed has no effect as it is set.
    """
    done = plain(render, (0.0, 1.0))
    for level, count in branches(frames - 2, steps).items():
        for _ in range(count):
            gap = int(np.argmax(distance(done)))
            t = (done[gap].t + done[gap + 1].t) / 2
            left = next(f for f in reversed(done[: gap + 1]) if f.start_step < level)
            right = next(f for f in done[gap + 1 :] if f.start_step < level)
            part = (t - left.t) / (right.t - left.t)
            states = slerp(left.states, right.states, part)
            guidance = 4.0 - (1 - abs(2 * t - 1))
            new = render([t], [level], [states], guidance)
            done = sorted([*done, *new], key=lambda frame: frame.t)
    renders = sum(steps - frame.start_step for frame in done) / steps
    return Film(done, renders, frames - 1)


def branches(count: int, steps: int) -> dict[int, int]:
    """How many frames begin at which step: stems grow from the left, as a staircase."""
    levels = range(int(steps * DEPTH), steps, math.ceil(steps / PARTS))
    stems = [1] * len(levels)
    while sum(stems) < count:
        equal = [i for i in range(len(stems) - 1) if stems[i] == stems[i + 1]]
        stems[equal[0] if equal else -1] += 1
    return dict(zip(levels, stems, strict=True))


def slerp(a: Tensor, b: Tensor, part: float) -> Tensor:
    """Along the great arc, for each state [steps, C, h, w] by itself."""
    u, v = a.flatten(1).double(), b.flatten(1).double()
    cosine = (u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1))
    angle = cosine.clamp(-1, 1).arccos()
    small = angle < 1e-4
    sine = angle.sin().where(~small, angle.new_ones(()))
    left = (((1 - part) * angle).sin() / sine).where(~small, angle.new_tensor(1 - part))
    right = ((part * angle).sin() / sine).where(~small, angle.new_tensor(part))
    return (left[:, None] * u + right[:, None] * v).view_as(a).to(a)


Ways = Mapping[str, Callable[[Render], Film]]
