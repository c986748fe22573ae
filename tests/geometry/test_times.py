"""A schedule stays in [0, 1], begins and ends where it should, and re-timing evens its steps."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from geodesic_morph.geometry.easing import (
    CURVE,
    DEFAULT_CURVE,
    EASE_IN,
    EASE_IN_OUT,
    EASE_OUT,
    EASINGS,
    LINEAR,
    easing_function,
)
from geodesic_morph.geometry.times import (
    ENDINGS,
    LOOP,
    MAX_FRAMES,
    PING_PONG,
    STOP,
    Times,
    retime,
    times,
)

FRAMES = st.integers(3, 200)
STEEP = "[[0, 0], [0.1, 0.02], [0.5, 0.9], [0.7, 0.9], [1, 1]]"
BY_EASING = pytest.mark.parametrize("easing", EASINGS)


@st.composite
def curves(draw: st.DrawFn, rising: bool = False, whole: bool = False) -> str:
    """Curve points as the editor writes them; `whole` ones run from 0 to 1 in t too."""
    inner = draw(st.lists(st.integers(1, 99), max_size=6, unique=True))
    u = [0.0, *(x / 100 for x in sorted(inner)), 1.0]
    heights = st.floats(0, 1).map(lambda t: round(t, 6))
    t = draw(st.lists(heights, min_size=len(u), max_size=len(u)))
    t = sorted(t) if rising else t
    if whole:
        t[0], t[-1] = 0.0, 1.0
    return json.dumps([list(point) for point in zip(u, t, strict=True)])


# Schedules


@BY_EASING
@pytest.mark.parametrize("ending", ENDINGS)
@given(frames=FRAMES)
def test_a_schedule_has_one_time_in_0_1_per_frame_and_starts_at_0(
    easing: str, ending: str, frames: int
) -> None:
    """n frames give n times, all in [0, 1], of which the first is 0."""
    schedule = times(frames, easing, ending, STEEP)
    assert len(schedule) == len(schedule.values) == frames
    assert schedule.values[0] == 0.0
    assert all(0 <= t <= 1 for t in schedule.values)
    assert schedule.ending == ending
    assert schedule.is_loop == (ending == LOOP)


@pytest.mark.parametrize("ending", ENDINGS)
@given(frames=FRAMES, data=st.data())
def test_no_curve_leaves_0_1(ending: str, frames: int, data: st.DataObject) -> None:
    """Whatever the curve does between its points, no frame is before 0 or after 1."""
    curve = data.draw(curves(whole=ending == LOOP))
    assert all(0 <= t <= 1 for t in times(frames, CURVE, ending, curve).values)


@BY_EASING
@given(frames=FRAMES)
def test_a_schedule_that_stops_rises_from_0_to_1(easing: str, frames: int) -> None:
    """ "stop" is monotone for every easing and its last frame is the last keyframe exactly."""
    values = times(frames, easing, STOP, STEEP).values
    assert (np.diff(values) >= 0).all()
    assert values[-1] == 1.0


@given(FRAMES, curves(rising=True))
def test_a_rising_curve_gives_a_rising_schedule(frames: int, curve: str) -> None:
    """Monotone points make a monotone schedule, up to rounding."""
    assert (np.diff(times(frames, CURVE, STOP, curve).values) >= -1e-15).all()


@BY_EASING
@given(frames=FRAMES)
def test_a_ping_pong_is_a_palindrome_that_reaches_1(easing: str, frames: int) -> None:
    """ "ping-pong" reads the same from both ends and rises to 1 in the middle."""
    values = times(frames, easing, PING_PONG, STEEP).values
    assert values == values[::-1]
    there = values[: (frames + 1) // 2]
    assert there[-1] == 1.0
    assert there == times(len(there), easing, STOP, STEEP).values
    assert values.count(1.0) == (1 if frames % 2 else 2)


@given(st.integers(1, 200))
def test_a_loop_never_shows_its_first_keyframe_twice(frames: int) -> None:
    """A linear "loop" is at i/n: uniform steps, the one from the last frame to t = 1 included."""
    values = times(frames, ending=LOOP).values
    assert list(values) == [i / frames for i in range(frames)]
    np.testing.assert_allclose(np.diff([*values, 1.0]), 1 / frames, rtol=0, atol=1e-15)


@BY_EASING
@given(frames=FRAMES)
def test_no_eased_loop_reaches_1(easing: str, frames: int) -> None:
    """No frame of a loop is at t = 1, with any easing."""
    assert max(times(frames, easing, LOOP, STEEP).values) < 1


@pytest.mark.parametrize("ending", [STOP, LOOP])
@BY_EASING
def test_one_frame_is_the_first_prompt(easing: str, ending: str) -> None:
    """A schedule of one frame stands at 0."""
    assert times(1, easing, ending).values == (0.0,)


def test_the_limits_are_allowed() -> None:
    """The longest schedule and the shortest ping-pong can be made."""
    assert len(times(MAX_FRAMES)) == MAX_FRAMES
    assert times(3, ending=PING_PONG).values == (0.0, 1.0, 0.0)


@given(st.integers(2, 500))
def test_linear_times_are_the_nearest_numbers_to_their_fractions(frames: int) -> None:
    """Frame i of n is i/(n−1) as division gives it: a third is the nearest number to 1/3."""
    expected = [i / (frames - 1) for i in range(frames)]
    assert list(times(frames).values) == expected


# Easing


@BY_EASING
def test_an_easing_is_exact_at_its_ends(easing: str) -> None:
    """Every easing maps 0 to 0 and 1 to 1 without rounding."""
    assert easing_function(easing)(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("easing", "formula"),
    [
        (LINEAR, lambda u: u),
        (EASE_IN, lambda u: u**2),
        (EASE_OUT, lambda u: u * (2 - u)),
        (EASE_IN_OUT, lambda u: 3 * u**2 - 2 * u**3),
        (CURVE, lambda u: u),
    ],
)
def test_an_easing_is_its_polynomial(
    easing: str, formula: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The easings are the line, the parabola, its mirror image and the smooth step."""
    u = np.linspace(0, 1, 101)
    np.testing.assert_allclose(easing_function(easing)(u), formula(u), rtol=0, atol=1e-15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_ease_in_out_is_symmetric(u: list[float]) -> None:
    """The way out of the start is the way into the end: f(1−u) = 1 − f(u)."""
    ease = easing_function(EASE_IN_OUT)
    np.testing.assert_allclose(ease(1 - np.array(u)), 1 - ease(np.array(u)), rtol=0, atol=1e-14)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_ease_out_is_ease_in_backwards(u: list[float]) -> None:
    """out(u) = 1 − in(1−u)."""
    slow, fast = easing_function(EASE_IN), easing_function(EASE_OUT)
    np.testing.assert_allclose(fast(np.array(u)), 1 - slow(1 - np.array(u)), rtol=0, atol=1e-14)


# Curves


@given(curves())
def test_a_curve_passes_through_its_points(curve: str) -> None:
    """At every u of the editor's points the curve has that point's t, without rounding."""
    u, t = np.array(json.loads(curve)).T
    assert easing_function(CURVE, curve)(u).tolist() == t.tolist()


@given(curves(), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_curve_is_scipys_pchip(curve: str, at: list[float]) -> None:
    """The curve agrees with scipy's monotone cubic through the same points."""
    u, t = np.array(json.loads(curve)).T
    expected = PchipInterpolator(u, t)(at)
    got = easing_function(CURVE, curve)(np.array(at))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)


@given(curves())
def test_a_curve_never_overshoots(curve: str) -> None:
    """Between two points the curve stays between their values."""
    u, t = np.array(json.loads(curve)).T
    at = np.linspace(0, 1, 301)
    got = easing_function(CURVE, curve)(at)
    k = np.clip(np.searchsorted(u, at, side="right") - 1, 0, len(u) - 2)
    low, high = np.minimum(t[k], t[k + 1]), np.maximum(t[k], t[k + 1])
    assert (got >= low - 1e-14).all()
    assert (got <= high + 1e-14).all()


def test_the_default_curve_is_linear() -> None:
    """The default curve is the straight line."""
    curved = times(33, CURVE, curve=DEFAULT_CURVE).values
    assert curved == pytest.approx(times(33).values, abs=1e-15)


@given(curves(whole=True), st.sampled_from(EASINGS[:-1]))
def test_the_curve_is_read_for_the_curve_easing_alone(curve: str, easing: str) -> None:
    """Another easing gives the same times whatever the editor holds."""
    assert times(9, easing, STOP, curve) == times(9, easing)


# Re-timing


def distances_of(schedule: Times, s: Callable[[np.ndarray], np.ndarray]) -> tuple[float, ...]:
    """Perceptual distances of consecutive frames on a path whose arc length is s(t)."""
    return tuple(np.abs(np.diff(s(np.array(schedule.values)))).tolist())


POSITIVE = st.lists(st.floats(0.01, 10), min_size=1, max_size=20).map(tuple)
ANY = st.lists(st.sampled_from([0.0, 0.0, 0.5, 3.0]), min_size=1, max_size=12).map(tuple)


@pytest.mark.parametrize("s", [lambda t: t**2, lambda t: 2 * t + np.sin(5 * t) / 3, np.sqrt])
@pytest.mark.parametrize("ending", [STOP, PING_PONG])
@pytest.mark.parametrize("frames", [9, 16])
def test_retiming_evens_out_a_known_curve(
    s: Callable[[np.ndarray], np.ndarray], ending: str, frames: int
) -> None:
    """After re-timing, frames on a path of arc length s(t) are at equal steps of s."""
    coarse = times(4001, ending=ending)
    new = retime(coarse, distances_of(coarse, s), frames)
    steps = np.array(distances_of(new, s))
    turn = {PING_PONG: frames // 2 if frames % 2 == 0 else 0}.get(ending, 0)
    steps = np.delete(steps, turn - 1) if turn else steps  # even: the turn is shown twice
    np.testing.assert_allclose(steps, steps.mean(), rtol=2e-2)


def test_retiming_follows_the_piecewise_linear_inverse() -> None:
    """Distances 3 and 1 put the frame of half the way two thirds into the first step."""
    new = retime(Times((0.0, 0.5, 1.0)), (3.0, 1.0), 5)
    assert new.values == pytest.approx((0.0, 1 / 6, 1 / 3, 0.5, 1.0))


@given(ANY, st.integers(2, 40))
def test_retiming_keeps_both_ends_exactly(distances: tuple[float, ...], frames: int) -> None:
    """First and last frame stay the first and last keyframe, also beside steps of distance 0."""
    values = retime(times(len(distances) + 1), distances, frames).values
    assert (values[0], values[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("ending", ENDINGS)
@given(distances=ANY, closing=st.sampled_from([0.0, 0.0, 1.0]), frames=st.integers(3, 40))
def test_retimed_schedules_are_schedules(
    ending: str, distances: tuple[float, ...], closing: float, frames: int
) -> None:
    """Whatever was measured, zeros included, n frames come out, rising (there) and in [0, 1]."""
    coarse = times(max(len(distances) + 1, 3), ending=ending)
    distances = (distances * 2)[: len(coarse) - 1] if len(distances) > 1 else distances * 2
    new = retime(coarse, distances, frames, closing)
    assert len(new) == frames
    assert new.ending == ending
    there = new.values[: (frames + 1) // 2] if ending == PING_PONG else new.values
    assert (np.diff(there) >= 0).all()


@given(st.integers(2, 50), st.floats(1e-6, 1e6))
def test_equal_distances_change_nothing(frames: int, distance: float) -> None:
    """A schedule that already runs at constant speed stays as it is."""
    coarse = times(frames)
    new = retime(coarse, (distance,) * (frames - 1), frames)
    assert new.values == pytest.approx(coarse.values, abs=1e-12)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("easing", EASINGS)
def test_no_distance_at_all_resamples_the_schedule(ending: str, easing: str) -> None:
    """When all frames look alike the times stay finite, and at one length stay themselves."""
    coarse = times(9, easing, ending)
    new = retime(coarse, (0.0,) * 8, 9, closing=0.0)
    assert new.values == pytest.approx(coarse.values, abs=1e-12)


@given(POSITIVE, st.integers(3, 40))
def test_a_retimed_ping_pong_is_still_a_palindrome(half: tuple[float, ...], frames: int) -> None:
    """Both ways of a ping-pong are re-timed equally, and the turning point is still reached."""
    there = (*half, 1.0)
    coarse = times(2 * len(there) + 1, ending=PING_PONG)
    values = retime(coarse, (*there, *there[::-1]), frames).values
    assert values == values[::-1]
    assert values[(frames + 1) // 2 - 1] == 1.0


def test_the_step_at_the_turn_of_an_even_ping_pong_does_not_count() -> None:
    """An even ping-pong shows its turning point twice: this step of distance 0 does not count."""
    new = retime(times(4, ending=PING_PONG), (5.0, 0.0, 5.0), 5)
    assert new.values == pytest.approx((0.0, 0.5, 1.0, 0.5, 0.0))


def test_a_loop_counts_its_closing_distance() -> None:
    """The step from the last frame to the first is part of a loop's length."""
    coarse = times(2, ending=LOOP)
    assert retime(coarse, (1.0,), 4, closing=1.0).values == pytest.approx((0, 0.25, 0.5, 0.75))
    assert retime(coarse, (1.0,), 4, closing=3.0).values == pytest.approx((0, 0.5, 2 / 3, 5 / 6))


@given(POSITIVE, st.floats(0.01, 10), st.integers(1, 40))
def test_a_retimed_loop_has_even_steps_round_the_whole_cycle(
    distances: tuple[float, ...], closing: float, frames: int
) -> None:
    """On a loop's measured arc length the new frames are 1/n apart, over the seam too."""
    coarse = times(len(distances) + 1, ending=LOOP)
    new = retime(coarse, distances, frames, closing)
    s = np.concatenate([[0], np.cumsum([*distances, closing])])
    at = np.interp([*new.values, 1.0], [*coarse.values, 1.0], s / s[-1])
    np.testing.assert_allclose(np.diff(at), 1 / frames, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ending", [STOP, LOOP])
def test_retiming_to_one_frame_gives_the_first_prompt(ending: str) -> None:
    """One frame stands at 0, whatever was measured."""
    coarse = times(5, ending=ending)
    assert retime(coarse, (1.0, 2.0, 3.0, 4.0), 1, closing=1.0).values == (0.0,)


@given(POSITIVE, st.integers(2, 30), st.floats(1e-3, 1e3))
def test_the_unit_of_distance_does_not_matter(
    distances: tuple[float, ...], frames: int, unit: float
) -> None:
    """Distances in another unit give the same times."""
    coarse = times(len(distances) + 1)
    scaled = tuple(unit * d for d in distances)
    expected = retime(coarse, distances, frames).values
    assert retime(coarse, scaled, frames).values == pytest.approx(expected, abs=1e-9)


def test_a_loop_along_a_curve_that_turns_back_is_retimed_along_that_curve() -> None:
    """A loop that comes back to t = 0 is never sent on to t = 1 by re-timing."""
    curve = "[[0, 0], [0.5, 0.5], [1, 0]]"
    coarse = times(8, "curve", "loop", curve)
    retimed = retime(coarse, (1.0,) * 7, 16, closing=1.0)
    assert coarse.end == retimed.end == 0.0
    assert max(retimed.values) <= max(coarse.values)
    assert retimed.values[-1] == pytest.approx(coarse.values[-1] / 2)


@pytest.mark.parametrize("curve", ["[[0, 0.2], [1, 1]]", "[[0, 0], [1, 0.7]]"])
def test_a_loop_that_does_not_come_back_is_refused(curve: str) -> None:
    """A loop's curve begins and ends where the first keyframe is."""
    with pytest.raises(ValueError, match="curve: a loop comes back to where it began"):
        times(8, "curve", "loop", curve)
    assert len(times(8, "curve", "stop", curve)) == 8
