"""Loops, ping-pongs, films that end at a tolerance, and frames to choose from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.placement import Placement
from geodesic_morph.geometry.playback import playback
from geodesic_morph.geometry.times import (
    ENDINGS,
    LOOP,
    PING_PONG,
)
from tests.geometry.synthetic_pictures import (
    ENDS,
    Picture,
    around,
    circle,
    film,
    jump,
    line,
    rounds,
    ruled,
    still,
    walks,
)


@given(walks(), st.integers(8, 30), st.sampled_from(ENDINGS))
def test_spare_frames_are_rendered_and_the_film_chooses_among_them(
    f: Picture, frames: int, ending: str
) -> None:
    """A spare of 1 renders twice as many at most; the film shows as many as ever, none twice."""
    rules = ruled(frames, 20, ending, spare=1)
    placement, _ = film(f, rules)
    shown = playback(placement)[: rules.shown]
    assert rules.shown <= placement.frames <= 2 * rules.shown
    assert len(set(shown)) == rules.shown
    assert set(placement.keyframes) <= set(shown)


def test_spare_frames_make_a_jump_more_even() -> None:
    """Steps of the film vary less than where each rendered frame is shown."""
    unevenness = []
    for spare in (0, 1):
        placement, pictures = film(jump, ruled(24, 20, spare=spare))
        shown = [pictures[i] for i in playback(placement)]
        lengths = np.sqrt(around(placement.rules, shown))
        unevenness.append(lengths.std() / lengths.mean())
    assert unevenness[1] < 0.8 * unevenness[0]


def test_spare_frames_end_where_they_give_no_more_choice() -> None:
    """No gap longer than half of the film's mean step is left, so there are enough of them."""
    rules = ruled(24, 20, spare=9)
    placement, _ = film(line, rules)
    lengths = np.sqrt(placement.distances)
    assert lengths.max() <= lengths.sum() / 23 / 2
    assert placement.frames <= 4 * 24
    assert film(still, rules)[0].frames == 24


def test_a_cut_gets_no_spare_frames() -> None:
    """All else is even soon, and frames at the jump would show nothing new."""
    placement, _ = film(jump, ruled(24, 20, share=0, bridge=0, spare=9))
    assert placement.frames == 24


def test_a_loop_has_a_gap_from_its_last_frame_to_its_first() -> None:
    """The way back from the last keyframe to t = 1, the first again, is filled like any other."""
    rules = ruled(12, 20, LOOP, between=0, centred=False)
    placement = Placement.start(rules, (0.0, 0.5, 1.0), (1.0, 2.0))
    (one,) = placement.next(1)
    assert (one.t, one.left, one.right) == (0.75, 1, 0)
    placement = placement.add((one,), [(0.5, 0.6)])
    assert placement.times == (0.0, 0.5, 0.75)
    assert placement.distances == (1.0, 0.5, 0.6)


def test_a_loop_on_a_circle_is_even_and_never_reaches_1() -> None:
    """16 frames on a circle stand at sixteenths."""
    placement, _ = film(circle, ruled(16, 20, LOOP, between=3), (0.0, 0.5, 1.0))
    np.testing.assert_allclose(placement.times, np.arange(16) / 16, atol=1e-3)
    assert playback(placement) == tuple(range(16))


@given(walks(), st.integers(5, 30))
def test_a_ping_pong_renders_the_way_there_and_mirrors_it(f: Picture, frames: int) -> None:
    """(n + 1) // 2 renders; the film reads the same from both ends."""
    placement, _ = film(f, ruled(frames, 20, PING_PONG))
    shown = playback(placement)
    assert placement.frames == (frames + 1) // 2
    assert len(shown) == frames
    assert shown == shown[::-1]
    assert shown[: placement.frames] == tuple(range(placement.frames))


def test_a_tolerance_ends_it_when_no_step_is_larger() -> None:
    """Fewer frames than asked for, all steps within the tolerance, none spent on smaller gaps."""
    last, _ = film(line, ruled(100, 20, tolerance=0.05))
    assert max(last.distances) <= 0.05
    assert last.frames < 20
    before = rounds(line, ruled(100, 20, tolerance=0.05))[-2][0]
    assert max(before.distances) > 0.05


def test_a_tolerance_does_not_wait_for_a_cut() -> None:
    """A jump that can't be bridged does not use up all frames."""
    placement, _ = film(jump, ruled(100, 20, share=0, bridge=0, tolerance=0.01))
    assert placement.frames < 20


def test_many_keyframes_are_the_whole_first_round() -> None:
    """Frames between keyframes are part of the first round only while they are few."""
    knots = tuple(np.linspace(0, 1, 6).tolist())
    assert ruled(12, 20).first_times(knots) == knots
    assert len(ruled(24, 20).first_times(knots)) == 11
    assert len(ruled(6, 20).first_times(knots)) == 6
    assert ruled(24, 20).first_times(ENDS) == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert ruled(24, 20, LOOP).first_times(ENDS) == (0.0, 0.25, 0.5, 0.75)
