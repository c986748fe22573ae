"""Re-timing by lengths: pictures whose distance is a squared one, as LPIPS is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.easing import EASE_IN, EASE_IN_OUT, EASE_OUT
from geodesic_morph.geometry.times import (
    ENDINGS,
    LOOP,
    PING_PONG,
    STOP,
    Times,
    retime,
    times,
)

LENGTHS = st.lists(st.floats(0.1, 10), min_size=2, max_size=12).map(tuple)
ANY = st.lists(st.sampled_from([0.0, 0.0, 0.5, 3.0]), min_size=1, max_size=12).map(tuple)
BY_ENDING = pytest.mark.parametrize("ending", ENDINGS)


@dataclass(frozen=True)
class Pictures:
    """Pictures along a broken line, at constant speed between two coarse times.

    A picture is a point, and every part of the line has a direction of its own.
    """

    coarse: Times
    lengths: tuple[float, ...]  # of the parts of the line; a loop's last part leads back

    def at(self, t: float) -> np.ndarray:
        """The picture at t."""
        corners = [*self.coarse.values, self.coarse.end][: len(self.lengths) + 1]
        return np.clip((t - np.array(corners[:-1])) / np.diff(corners), 0, 1) * self.lengths

    def length(self, a: float, b: float) -> float:
        """Length of the line from a to b."""
        return float(np.abs(self.at(b) - self.at(a)).sum())

    def retimed(self, frames: int, power: float) -> Times:
        """Measure the coarse pass by squared distance, and re-time it."""
        seen = [self.at(t) for t in self.coarse.values]
        distances = tuple(float(((a - b) ** 2).sum()) for a, b in pairwise(seen))
        return retime(self.coarse, distances, frames, self.lengths[-1] ** 2, power)


def pictures(ending: str, lengths: tuple[float, ...]) -> Pictures:
    """Pictures of which the coarse pass sees every corner of the line, at uneven times."""
    count = {STOP: len(lengths) + 1, LOOP: len(lengths), PING_PONG: 2 * len(lengths) + 1}[ending]
    # A ping-pong of an odd number of frames shows its way there as "stop" does.
    return Pictures(times(count, EASE_IN, ending), lengths)


@BY_ENDING
@given(lengths=LENGTHS, frames=st.integers(3, 40))
def test_square_roots_of_squared_distances_give_constant_speed(
    ending: str, lengths: tuple[float, ...], frames: int
) -> None:
    """Every new step is equally long along the line, and so is the step that closes a loop."""
    path = pictures(ending, lengths)
    new = path.retimed(frames, 0.5).values
    shown = [*new, 1.0] if ending == LOOP else new
    steps = np.array([path.length(a, b) for a, b in pairwise(shown)])
    if ending == PING_PONG and frames % 2 == 0:
        steps = np.delete(steps, frames // 2 - 1)  # it rests at the far end
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-6)


def test_squared_distances_count_a_long_step_too_much() -> None:
    """A step three times as long counts nine times, so it gets more frames than its length asks."""
    path = pictures(STOP, (1.0, 3.0))
    corner = path.coarse.values[1]
    before = {power: [t < corner for t in path.retimed(17, power).values] for power in (0.5, 1.0)}
    assert sum(before[0.5]) == 4  # a quarter of 16 steps
    assert sum(before[1.0]) == 2  # a tenth


@given(st.integers(2, 40), st.integers(2, 30), st.sampled_from([EASE_IN, EASE_OUT, EASE_IN_OUT]))
def test_the_coarse_times_do_not_matter_on_a_straight_line(
    frames: int, count: int, easing: str
) -> None:
    """Pictures at constant speed, seen at any times, are shown at equal times."""
    coarse = times(count, easing)
    squared = tuple(float(d) ** 2 for d in np.diff(coarse.values))
    new = retime(coarse, squared, frames, power=0.5)
    assert new.values == pytest.approx(times(frames).values, abs=1e-9)


@given(ANY, st.integers(2, 40), st.sampled_from([0.5, 1.0, 2.0]))
def test_ends_stay_exact_at_every_power(
    distances: tuple[float, ...], frames: int, power: float
) -> None:
    """First and last frame stay the first and last keyframe, also beside steps of distance 0."""
    values = retime(times(len(distances) + 1), distances, frames, power=power).values
    assert (values[0], values[-1]) == (0.0, 1.0)


@given(LENGTHS, st.integers(3, 40))
def test_a_ping_pong_by_lengths_reads_the_same_from_both_ends(
    lengths: tuple[float, ...], frames: int
) -> None:
    """There and back are re-timed alike, and the far end is reached."""
    values = pictures(PING_PONG, lengths).retimed(frames, 0.5).values
    assert values == values[::-1]
    assert max(values) == 1.0


@BY_ENDING
def test_equal_frames_keep_their_times(ending: str) -> None:
    """Without any distance there is nothing to divide by, and the times stay what they were."""
    coarse = times(9, EASE_IN, ending)
    new = retime(coarse, (0.0,) * 8, 9, closing=0.0, power=0.5)
    assert new.values == pytest.approx(coarse.values, abs=1e-12)


@pytest.mark.parametrize("power", [0.0, -1.0, float("nan"), float("inf")])
def test_a_power_that_is_not_positive_is_refused(power: float) -> None:
    """It would make lengths infinite, or all of them equal."""
    with pytest.raises(ValueError, match=r"power: expected a positive number, got"):
        retime(times(3), (1.0, 0.0), 5, power=power)
