"""A morph frame by frame, and what a renderer has to offer so that every way can be measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """A rendered frame.

    image [H, W, 3] in 0 to 1; latent [C, h, w], denoised; states [steps, C, h, w], before each
    step. Of those before start_step nothing was sampled: they are the mix it started from.
    """

    t: float
    start_step: int
    image: Tensor
    latent: Tensor
    states: Tensor


class Render(Protocol):
    """The seam between placing and rendering.

    times: one for each frame. start_steps: the step each begins at. states: for each the states
    [steps, C, h, w] it takes over; None where it begins at step 0. guidance: another than usual.
    """

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]: ...


# From consecutive frames, one number for each two neighbours; squared, as LPIPS is.
Distance = Callable[[Sequence[Frame]], list[float]]


@dataclass(frozen=True, eq=False)
class Film:
    """The frames that are played, in order; renders: evaluations, in those of a plain render."""

    frames: list[Frame]
    renders: float
    rounds: int = 1

    @property
    def images(self) -> Tensor:
        return torch.stack([frame.image for frame in self.frames])


class Remembered:
    """A renderer that renders no plain frame twice, for ways that share most of theirs.

    Evaluations are counted by the ways themselves, so a remembered frame costs what it would.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._plain: dict[float, Frame] = {}

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]:
        if guidance is not None or any(start_steps):
            return self._render(times, start_steps, states, guidance)
        new = [t for t in dict.fromkeys(times) if t not in self._plain]
        if new:
            done = self._render(new, [0] * len(new), [None] * len(new))
            self._plain |= dict(zip(new, done, strict=True))
        return [self._plain[t] for t in times]


def plain(render: Render, times: Sequence[float]) -> list[Frame]:
    """Frames rendered from the first step on."""
    return render(times, [0] * len(times), [None] * len(times))


def latent_distance(frames: Sequence[Frame]) -> list[float]:
    """Relative change of the denoised latents, ‖a − b‖²/(‖a‖‖b‖): needs no decoder, no weights."""
    return [_relative(a.latent, b.latent) for a, b in pairwise(frames)]


def _relative(a: Tensor, b: Tensor) -> float:
    size = float(a.norm() * b.norm())
    return float((a - b).square().sum()) / size if size else 0.0


def lpips_distance(perceptual: Any, network: Any, device: torch.device | str = "cpu") -> Distance:
    """LPIPS by the pack's own measuring."""

    def distance(frames: Sequence[Frame]) -> list[float]:
        images = torch.stack([frame.image for frame in frames])
        return list(perceptual.measure([images], network, "", 32, device).distances)

    return distance
