"""A film shows rendered frames in order, keyframes always, at as even a pace as they allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.easing import EASE_IN
from geodesic_morph.geometry.placement import Gap, Placement, Rules
from geodesic_morph.geometry.playback import playback, progress
from geodesic_morph.geometry.times import ENDINGS, LOOP, PING_PONG, STOP, Times, times


def a_film(
    d: Sequence[float], frames: int, ending: str = STOP, keys: Sequence[int] = ()
) -> Placement:
    """A placement of given distances at equal times; its keyframes are the ends and `keys`."""
    n = len(d) + (ending != LOOP)
    ends = {0} if ending == LOOP else {0, n - 1}
    values = np.arange(n) / len(d)
    gaps = tuple(Gap(x, 0) for x in d)
    return Placement(
        Rules(frames, 20, ending, spare=0),
        tuple(values),
        gaps,
        (0,) * n,
        tuple(sorted({*ends, *keys})),
    )


DISTANCES = st.lists(st.floats(0, 1), min_size=2, max_size=40)


@given(DISTANCES, st.integers(3, 60), st.sampled_from(ENDINGS), st.data())
def test_a_film_has_its_frames_in_order_and_shows_all_keyframes(
    d: list[float], frames: int, ending: str, data: st.DataObject
) -> None:
    """Exactly F frames, never backwards, keyframes kept; no more repeats or skips than needed."""
    n = len(d) + (ending != LOOP)
    there = (frames + 1) // 2 if ending == PING_PONG else frames
    most = max(0, min(2, there - 2))
    keys = data.draw(st.lists(st.integers(0, n - 1), max_size=most))
    placement = a_film(d, frames, ending, keys)
    shown = playback(placement)
    assert len(shown) == frames
    shown = shown[:there]
    assert shown[0] == 0
    if ending != LOOP or n <= there:
        assert shown[-1] == n - 1
    moves = set(np.diff(shown).tolist())
    assert moves <= ({0, 1} if n <= there else set(range(1, n)))
    assert set(placement.keyframes) <= set(shown)


@given(DISTANCES, st.sampled_from([STOP, LOOP]))
def test_as_many_frames_as_were_rendered_are_shown_once_each(d: list[float], ending: str) -> None:
    n = len(d) + (ending != LOOP)
    assert playback(a_film(d, n, ending)) == tuple(range(n))


def test_frames_are_held_where_the_next_is_far() -> None:
    """Five lengths 1, 1, 2, 1, 1 over seven frames: one of the frames at the long step stays."""
    shown = playback(a_film((1, 1, 4, 1, 1), 7))
    assert shown in {(0, 1, 2, 2, 3, 4, 5), (0, 1, 2, 3, 3, 4, 5)}


def test_frames_are_skipped_where_steps_are_short() -> None:
    """Of lengths 1, ½, ½, 1 the frame between the halves is left out."""
    assert playback(a_film((1, 0.25, 0.25, 1), 4)) == (0, 1, 3, 4)
    assert playback(a_film((1, 0.25, 0.25, 1), 4, keys=(2,))) != (0, 1, 3, 4)


def test_progress_adds_up_roots_of_distances() -> None:
    """LPIPS is a square: distances 1, 4, 1 are lengths 1, 2, 1."""
    np.testing.assert_allclose(progress(a_film((1, 4, 1), 4)), [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(progress(a_film((1, 4, 1), 3, LOOP)), [0, 0.25, 0.75])


@given(DISTANCES, st.sampled_from([STOP, PING_PONG]), st.integers(3, 60), st.integers(3, 30))
def test_a_rising_pace_never_runs_back_and_keeps_the_ends(
    d: list[float], ending: str, frames: int, points: int
) -> None:
    """An eased film begins with the first frame, reaches the last, and has exactly F frames."""
    placement = a_film(d, frames, ending)
    shown = playback(placement, times(points, EASE_IN, ending))
    there = shown[: (frames + 1) // 2] if ending == PING_PONG else shown
    assert len(shown) == frames
    assert (there[0], there[-1]) == (0, len(d))
    assert (np.diff(there) >= 0).all()


def test_a_pace_bends_progress_not_time() -> None:
    """Eased in, the film is a quarter of the *distance* along when it is half over."""
    placement = a_film((1,) * 16, 9)
    assert playback(placement, times(9, EASE_IN)) == tuple(
        round(16 * (k / 8) ** 2) for k in range(9)
    )


def test_a_pace_shows_keyframes_it_passes_by() -> None:
    """The frame of the film that comes nearest to a keyframe shows the keyframe itself."""
    placement = a_film((1,) * 16, 4, keys=(7,))
    assert 7 in playback(placement, times(4))
    part = Times((0.6, 0.8, 1.0))
    assert 7 not in playback(placement, part)


def test_a_looping_pace_comes_round() -> None:
    """A loop's pace runs to its end, where the first frame would be shown again."""
    placement = a_film((1,) * 8, 8, LOOP)
    assert playback(placement, times(24, ending=LOOP)) == tuple(range(8))
