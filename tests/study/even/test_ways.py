"""Each way places what it says, on a renderer whose pictures are functions of t."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from geodesic_morph.geometry import placement, playback, times
from study.even import ways
from study.even.frames import Film, Frame, Remembered, latent_distance
from study.even.quality import evenness, sharpness

STEPS, FRAMES = 20, 24
GEOMETRY = SimpleNamespace(placement=placement, playback=playback)


class Jumping:
    """Pictures that jump at 0.37; late starts show the mix they began with, early ones do not."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int, float | None]] = []

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]:
        done = []
        for t, k, taken in zip(times, start_steps, states, strict=True):
            self.asked.append((t, k, guidance))
            own = torch.full((STEPS, 1, 2, 2), float(t > 0.37))
            w = k / STEPS
            mixed = own if taken is None else (1 - w) * own + w * taken
            done.append(Frame(t, k, mixed[0, 0, :, :, None], mixed[0], mixed))
        return done

    @property
    def renders(self) -> float:
        return sum(STEPS - k for _, k, _ in self.asked) / STEPS


def squared(frames: Sequence[Frame]) -> list[float]:
    pictures = [frame.image for frame in frames]
    return [float((b - a).square().sum()) for a, b in pairwise(pictures)]


def in_order(film: Film) -> list[float]:
    """Its times, which begin at 0, rise and end at 1."""
    found = [frame.t for frame in film.frames]
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1]) == (0.0, 1.0)
    return found


def test_equal_times_are_plain_renders() -> None:
    render = Jumping()
    film = ways.equal_times(render, FRAMES)
    assert in_order(film) == np.linspace(0, 1, FRAMES).tolist()
    assert film.renders == render.renders == FRAMES


def test_re_timing_renders_two_passes() -> None:
    """12 measured and 24 more, which gather around the jump."""
    render = Jumping()
    film = ways.retimed(render, FRAMES, squared, times)
    assert film.renders == render.renders == 12 + FRAMES
    assert sum(4 / 11 <= t <= 5 / 11 for t in in_order(film)) == FRAMES - 2


@pytest.mark.parametrize("spare", [0.0, 1.0])
def test_placing_counts_all_it_asked_for(spare: float) -> None:
    """Evaluations are those of all frames rendered; the film has 24 of them."""
    render = Jumping()
    rules = placement.Rules(FRAMES, STEPS, spare=spare)
    film = ways.placed(render, rules, 2, squared, GEOMETRY)
    assert len(in_order(film)) == FRAMES
    assert film.renders == pytest.approx(render.renders)
    assert len(render.asked) == rules.rendered
    assert max(squared(film.frames)) < 0.2 * 4


def test_a_new_frame_begins_with_the_mix_of_its_neighbours() -> None:
    """At a quarter of the way: three parts of the left one's states, one of the right one's."""
    frames = Jumping()([0.0, 1.0], [0, 0], [None, None])
    one = placement.Insertion(0.25, 0, 1, 5, 0.25)
    mixed = ways._mixed(frames, one)
    assert mixed is not None
    torch.testing.assert_close(mixed, torch.full_like(mixed, 0.25))


def test_latentblending_s_levels_are_the_known_ones() -> None:
    """30 steps: branches of 15, 30 and 60 frames, from steps 15, 18, 21, 24 and 27."""
    for count, stems in ((13, [4, 3, 3, 2, 1]), (28, [7, 6, 6, 5, 4]), (58, [13, 12, 12, 11, 10])):
        assert ways.branches(count, 30) == dict(zip((15, 18, 21, 24, 27), stems, strict=True))


def test_latentblending_starts_from_earlier_levels_and_damps_guidance() -> None:
    """24 frames, none starts before half of the steps; guidance is 4 at the ends, 3 midway."""
    render = Jumping()
    film = ways.latentblending(render, FRAMES, STEPS, squared)
    assert len(in_order(film)) == FRAMES
    assert film.renders == pytest.approx(render.renders)
    assert [k for _, k, _ in render.asked[2:]] == sorted(k for _, k, _ in render.asked[2:])
    assert all(k >= STEPS // 2 for _, k, _ in render.asked[2:])
    assert render.asked[2][0::2] == (0.5, 3.0)


def test_slerp_keeps_norms_and_ends() -> None:
    """Ends are exact, norms of unit vectors stay, and equal vectors give themselves."""
    g = torch.Generator().manual_seed(0)
    a, b = (torch.nn.functional.normalize(torch.randn(3, 8, generator=g)) for _ in "ab")
    a, b = a.view(3, 2, 2, 2), b.view(3, 2, 2, 2)
    torch.testing.assert_close(ways.slerp(a, b, 0.0), a)
    torch.testing.assert_close(ways.slerp(a, b, 1.0), b)
    torch.testing.assert_close(ways.slerp(a, a, 0.3), a)
    norms = ways.slerp(a, b, 0.3).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(3))


def test_a_remembered_frame_is_not_rendered_again() -> None:
    """Plain frames are; those that start late depend on their states and are not."""
    inner = Jumping()
    render = Remembered(inner)
    ways.equal_times(render, FRAMES)
    ways.equal_times(render, FRAMES)
    assert len(inner.asked) == FRAMES
    (one,) = render([0.0], [0], [None])
    render([0.0], [3], [one.states])
    render([0.0], [3], [one.states])
    assert len(inner.asked) == FRAMES + 2


def test_latent_distance_is_relative() -> None:
    """‖a − b‖²/(‖a‖‖b‖): free of scale, 0 for equal latents, also where there is nothing."""

    def frame(value: Tensor) -> Frame:
        return Frame(0.0, 0, value, value, value)

    a, b = torch.tensor([3.0, 4.0]), torch.tensor([3.0, -4.0])
    assert latent_distance([frame(a), frame(b)]) == pytest.approx([64 / 25])
    assert latent_distance([frame(7 * a), frame(7 * b)]) == pytest.approx([64 / 25])
    assert latent_distance([frame(0 * a), frame(0 * a)]) == [0.0]


def test_evenness_is_of_lengths() -> None:
    """LPIPS 1 and 4 are lengths 1 and 2: their deviation is half, their mean one and a half."""
    found = evenness([1.0, 4.0])
    assert found == pytest.approx({"largest": 4.0, "sum": 5.0, "cv": 0.5 / 1.5})
    assert evenness([0.0, 0.0])["cv"] == 0


def test_blurred_pictures_are_less_sharp() -> None:
    g = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 32, 32, generator=g)
    blurred = torch.nn.functional.avg_pool2d(picture, 3, 1)
    assert float(sharpness(blurred)) < 0.5 * float(sharpness(picture))
