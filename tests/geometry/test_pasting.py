"""Pictures pasted into a film: exact where they stand, an ease beside them, nothing elsewhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodesic_morph.geometry.pasting import EASE, paste

from .strategies import SEEDS, normal


@st.composite
def films(draw: st.DrawFn) -> tuple[Tensor, dict[int, Tensor]]:
    """A film [F, 2, 3, 3] in [0, 1], and pictures at some of its frames."""
    count = draw(st.integers(1, 16))
    seed = draw(SEEDS)
    numbers = draw(st.sets(st.integers(0, count - 1), max_size=4))
    frames = normal(seed, count, 2, 3, 3).sigmoid()
    return frames, {k: normal(seed + 1 + k, 2, 3, 3).sigmoid() for k in numbers}


@given(films(), st.booleans())
def test_pictures_are_exact_and_frames_farther_away_stay(
    film: tuple[Tensor, dict[int, Tensor]], is_loop: bool
) -> None:
    frames, pictures = film
    found = paste(frames, pictures, is_loop)
    assert bool(((found >= 0) & (found <= 1)).all())
    count = len(frames)
    for k in range(count):
        if k in pictures:
            assert torch.equal(found[k], pictures[k])
            continue
        apart = [abs(k - place) for place in pictures]
        if is_loop:
            apart += [count - d for d in apart]
        if min(apart, default=count) > EASE:
            assert torch.equal(found[k], frames[k])


@given(films(), st.booleans())
def test_backwards_is_the_film_backwards(
    film: tuple[Tensor, dict[int, Tensor]], is_loop: bool
) -> None:
    frames, pictures = film
    last = len(frames) - 1
    back = paste(frames.flip(0), {last - k: p for k, p in pictures.items()}, is_loop)
    torch.testing.assert_close(back.flip(0), paste(frames, pictures, is_loop))


@given(films(), st.integers(0, 15))
def test_a_loop_has_no_first_frame(film: tuple[Tensor, dict[int, Tensor]], shift: int) -> None:
    """Turned by some frames it is pasted as before."""
    frames, pictures = film
    count = len(frames)
    turned = {(k + shift) % count: p for k, p in pictures.items()}
    found = paste(frames.roll(shift, 0), turned, True)
    torch.testing.assert_close(found, paste(frames, pictures, True).roll(shift, 0))


@given(films(), st.booleans())
def test_pictures_that_are_the_frames_change_nothing(
    film: tuple[Tensor, dict[int, Tensor]], is_loop: bool
) -> None:
    frames, pictures = film
    own = {k: frames[k] for k in pictures}
    assert torch.equal(paste(frames, own, is_loop), frames)


def test_the_ease_makes_the_largest_step_smaller() -> None:
    """Of a still film with another picture in its middle: half, where there is room."""
    frames = torch.zeros(9, 1, 1, 1)
    found = paste(frames, {4: torch.ones(1, 1, 1)})[:, 0, 0, 0]
    assert found.tolist() == pytest.approx([0, 0, 0.25, 0.75, 1, 0.75, 0.25, 0, 0])
    assert max(abs(float(b - a)) for a, b in pairwise(found)) == pytest.approx(0.5)


def test_between_two_pictures_the_weights_add_up_to_one() -> None:
    """Two pictures that lack the same, three frames apart: what is between them lacks it whole."""
    pictures = {k: torch.full((1, 1, 1), 0.5) for k in (0, 3)}
    assert paste(torch.zeros(4, 1, 1, 1), pictures).unique().tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(
    "pictures", [{4: torch.zeros(2, 2, 3)}, {-1: torch.zeros(2, 2, 3)}, {0: torch.zeros(2, 3, 3)}]
)
def test_a_picture_that_does_not_fit_is_refused(pictures: dict[int, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"pictures: expected \[2, 2, 3\] at a frame below 4, got"):
        paste(torch.zeros(4, 2, 2, 3), pictures)
