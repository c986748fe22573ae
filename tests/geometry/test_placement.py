"""Frames are put where the picture changes; keyframes stay, and the film runs at an even pace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.placement import NARROWEST, Gap, Placement, Rules
from geodesic_morph.geometry.playback import playback, progress
from geodesic_morph.geometry.times import (
    ENDINGS,
    LOOP,
    MAX_FRAMES,
    PING_PONG,
    STOP,
)
from tests.geometry.synthetic_pictures import (
    ENDS,
    Picture,
    around,
    film,
    jump,
    line,
    plateau,
    rounds,
    ruled,
    still,
    two_jumps,
    walks,
)


@st.composite
def all_rules(draw: st.DrawFn) -> Rules:
    return Rules(
        frames=draw(st.integers(7, 40)),
        steps=draw(st.integers(1, 30)),
        ending=draw(st.sampled_from(ENDINGS)),
        share=draw(st.floats(0, 0.8)),
        bridge=draw(st.floats(0, 0.95)),
        growth=draw(st.floats(0.05, 0.5)),
        fail=draw(st.floats(0.3, 0.9)),
        patience=draw(st.integers(1, 4)),
        between=draw(st.integers(0, 5)),
        worth=draw(st.floats(0, 1)),
        centred=draw(st.booleans()),
        spare=draw(st.just(0.0) | st.floats(0, 3)),
    )


@st.composite
def all_knots(draw: st.DrawFn) -> tuple[float, ...]:
    """Knots of two to four keyframes."""
    inner = draw(st.lists(st.integers(1, 9), max_size=2, unique=True))
    return (0.0, *sorted(k / 10 for k in inner), 1.0)


# Laws of every placement


@given(walks(), all_rules(), all_knots(), st.integers(1, 6))
def test_every_round_keeps_what_was_there_and_its_books(
    f: Picture, rules: Rules, knots: tuple[float, ...], at_once: int
) -> None:
    """Times rise, frames stay, distances are those of neighbours, evaluations are all counted."""
    before: Placement | None = None
    for placement, pictures in rounds(f, rules, knots, at_once):
        assert (np.diff(placement.ends) > 0).all()
        assert len(pictures) == placement.frames <= rules.rendered
        np.testing.assert_allclose(placement.distances, around(rules, pictures), atol=1e-12)
        assert placement.evaluations == sum(rules.steps - k for k in placement.start_steps)
        if before is not None:
            assert set(before.times) < set(placement.times)
            assert placement.frames - before.frames <= at_once
        before = placement
    assert before is not None
    assert rules.shown <= before.frames <= rules.rendered
    if rules.spare == 0:
        assert before.frames == rules.shown


@given(walks(), all_rules(), all_knots(), st.integers(1, 6))
def test_keyframes_are_plain_renders(
    f: Picture, rules: Rules, knots: tuple[float, ...], at_once: int
) -> None:
    """Every keyframe is there at its own time, from step 0; the first round is so as a whole."""
    placement, _ = film(f, rules, knots, at_once)
    stops = knots[:-1] if rules.ending == LOOP else knots
    assert tuple(placement.times[k] for k in placement.keyframes) == stops
    plain = {t for t, k in zip(placement.times, placement.start_steps, strict=True) if k == 0}
    assert plain >= set(rules.first_times(knots)) >= set(stops)


@given(walks(), all_rules(), st.integers(1, 6))
def test_no_frame_starts_outside_what_share_and_bridge_allow(
    f: Picture, rules: Rules, at_once: int
) -> None:
    """Frames after the first round start at `earliest` or later, `latest` or earlier."""
    assert 0 <= rules.earliest <= rules.latest < rules.steps
    first = set(rules.first_times(ENDS))
    placement, _ = film(f, rules, ENDS, at_once)
    for t, k in zip(placement.times, placement.start_steps, strict=True):
        assert t in first or rules.earliest <= k <= rules.latest


@given(st.lists(st.floats(0, 1), min_size=3, max_size=12), all_rules(), st.integers(1, 6))
def test_the_largest_gap_never_grows_on_a_path_that_never_turns_back(
    steps: list[float], rules: Rules, at_once: int
) -> None:
    """One coordinate that only rises, plain renders: lengths of parts add up to the gap's."""
    heights = np.cumsum([0.0, *steps])
    at = np.linspace(0, 1, len(heights))
    rules = replace(rules, ending=STOP, share=0, bridge=0)
    found = rounds(lambda t: np.array([np.interp(t, at, heights)]), rules, ENDS, at_once)
    largest = [max(placement.distances) for placement, _ in found]
    assert (np.diff(largest) <= 1e-12).all()
    totals = [np.sqrt(placement.distances).sum() for placement, _ in found]
    np.testing.assert_allclose(totals, heights[-1], atol=1e-6)


@given(st.integers(2, 60), st.integers(1, 8))
def test_a_straight_path_is_cut_evenly(frames: int, at_once: int) -> None:
    """At constant speed no gap is more than twice as wide as another one."""
    widths = np.diff(film(line, ruled(frames, 20), at_once=at_once)[0].ends)
    assert widths.max() <= 2 * widths.min() + 1e-12


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_path_that_never_moves_gets_equal_times(ending: str) -> None:
    """No distance at all divides by zero nowhere; 17 frames on one leg stand at sixteenths."""
    frames = {STOP: 17, PING_PONG: 33, LOOP: 16}[ending]
    placement, _ = film(still, ruled(frames, 20, ending))
    np.testing.assert_allclose(placement.ends, np.linspace(0, 1, 17))
    assert len(playback(placement)) == frames
    np.testing.assert_allclose(progress(placement), placement.times)


# Where frames go


def test_a_new_frame_halves_the_largest_gap() -> None:
    """One frame a round goes to the middle of the largest distance, from the state before k."""
    rules = ruled(24, 20, share=0.2, between=0, centred=False)
    placement = Placement.start(rules, (0.0, 0.5, 1.0), (1.0, 3.0))
    (one,) = placement.next(1)
    assert (one.t, one.left, one.right, one.start_step, one.mix) == (0.75, 1, 2, 4, 0.5)


def test_a_round_takes_the_largest_gaps_in_order_of_time() -> None:
    """Of four gaps the two largest, listed as they follow each other."""
    placement = Placement.start(ruled(24, 20, centred=False), ENDS, (0.3, 0.1, 0.4, 0.2))
    assert [one.t for one in placement.next(2)] == [0.125, 0.625]
    assert len(placement.next(9)) == 4


def test_a_round_leaves_out_gaps_that_are_not_worth_it() -> None:
    """`worth` is a part of the largest distance of the round."""
    placement = Placement.start(ruled(24, 20, worth=0.5), ENDS, (0.3, 0.1, 0.4, 0.2))
    assert [one.left for one in placement.next(4)] == [0, 2, 3]


def test_frames_gather_at_a_jump() -> None:
    """Half of all frames stand within a tenth of the way around it; elsewhere nothing happens."""
    placement, _ = film(jump, ruled(24, 20))
    near = [t for t in placement.times if abs(t - 0.37) < 0.1]
    assert len(near) >= 12


def test_frames_gather_at_both_of_two_jumps() -> None:
    """Neither is left for the other."""
    placement, _ = film(two_jumps, ruled(24, 20))
    for at in (0.22, 0.81):
        assert sum(abs(t - at) < 0.1 for t in placement.times) >= 6


def test_no_frame_is_put_into_a_plateau_twice() -> None:
    """Where the picture stands still for most of the way, few frames are spent."""
    placement, _ = film(plateau, ruled(24, 20))
    assert sum(0.2 < t < 0.8 for t in placement.times) <= 4


def test_a_curved_path_is_halved_at_the_middle_of_its_distance() -> None:
    """With `centred`, speed is taken to rise evenly: on t² a gap's middle comes late."""
    rules = ruled(24, 20, centred=True)
    placement, _ = film(lambda t: np.array([t * t]), rules, at_once=1)
    plain, _ = film(lambda t: np.array([t * t]), replace(rules, centred=False), at_once=1)
    lengths, of_plain = np.sqrt(placement.distances), np.sqrt(plain.distances)
    assert lengths.std() / lengths.mean() < of_plain.std() / of_plain.mean()


def test_speeds_on_the_other_side_of_a_keyframe_do_not_count() -> None:
    """Another leg has another speed: a gap between two keyframes is halved at its middle."""
    placement = Placement.start(ruled(24, 20, between=0), (0.0, 0.5, 1.0), (1.0, 9.0))
    assert [one.t for one in placement.next(2)] == [0.25, 0.75]


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.sampled_from([STOP, LOOP]))
def test_a_centred_frame_stays_away_from_its_neighbours(d: list[float], ending: str) -> None:
    """Whatever the speeds around it, a new frame is in the middle 42 % of its gap."""
    placement = Placement.start(ruled(24, 20, ending, centred=True), ENDS, d)
    for one in placement.next(4):
        assert 0.29 <= one.mix <= 0.71
        left, right = placement.ends[one.left], placement.ends[one.left + 1]
        assert one.t == pytest.approx(left + one.mix * (right - left))


# Bridging


def test_start_steps_grow_only_where_a_gap_did_not_close() -> None:
    """A part above `fail` of its gap starts a third of the steps later; the other part does not."""
    rules = ruled(24, 21, share=0, bridge=0.9, growth=1 / 3, fail=0.7, between=0)
    placement = Placement.start(rules, ENDS, (1.0,))
    placement = placement.add(placement.next(1), [(0.71, 0.7)])
    assert placement.gaps == (Gap(0.71, 7), Gap(0.7, 0))


def test_a_gap_that_does_not_close_costs_at_least_one_step() -> None:
    """Where the growth is less than half a step, it is one."""
    assert ruled(24, 20, share=0.5, bridge=0.9, growth=0.01).later(10) == 11


def test_start_steps_grow_no_further_than_the_latest() -> None:
    """The bridge is the limit; from then on, frames that do nothing are counted, in a row."""
    rules = ruled(24, 20, share=0.2, bridge=0.6, between=0)
    placement = Placement.start(rules, ENDS, (1.0,))
    seen = []
    for _ in range(4):
        (one,) = placement.next(1)
        seen.append(one.start_step)
        placement = placement.add((one,), [(1.0, 0.0)])
    assert seen == [4, 11, 12, 12]
    assert placement.gaps[0] == Gap(1.0, 12, 2)
    placement = placement.add(placement.next(1), [(0.9, 0.2)])
    assert placement.gaps[:2] == (Gap(0.9, 12), Gap(0.2, 12))


def test_a_jump_is_bridged() -> None:
    """With bridging the largest step falls to a small part of the jump; without it stays."""
    rules = ruled(24, 20)
    bridged, _ = film(jump, rules)
    cut, _ = film(jump, replace(rules, share=0, bridge=0))
    assert max(cut.distances) > 0.9
    assert max(bridged.distances) < 0.1
    assert bridged.evaluations < cut.evaluations == 24 * 20


def test_a_cut_gets_no_frames_in_vain() -> None:
    """Without bridging a jump is left to be a cut after some tries; all else is placed evenly."""
    placement, _ = film(jump, ruled(24, 20, share=0, bridge=0, patience=3))
    lengths = sorted(np.sqrt(placement.distances))
    assert lengths[-1] > 0.9
    assert lengths[-2] < 0.02
    assert sum(abs(t - 0.37) < 0.05 for t in placement.times) <= 8


def test_a_straight_path_is_never_bridged() -> None:
    """Where every gap closes, all new frames start at the share."""
    placement, _ = film(line, ruled(24, 20, share=0.2))
    assert sorted(set(placement.start_steps)) == [0, 4]


def test_gaps_too_narrow_to_tell_times_apart_get_no_frame() -> None:
    """Frames that can't be placed at a jump go elsewhere; the count stays exact."""
    rules = ruled(200, 20, share=0, bridge=0, patience=10**6)
    placement, _ = film(jump, rules, at_once=1)
    assert placement.frames == 200
    assert min(np.diff(placement.ends)) >= NARROWEST / 2


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "frames: expected 1 to 4096, got 0"),
        ({"frames": MAX_FRAMES + 1}, "frames: expected 1 to 4096"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"share": 1.0}, "share: expected a part of the steps, from 0 to less than 1, got 1.0"),
        ({"bridge": -0.1}, "bridge: expected a part of the steps"),
        ({"share": float("nan")}, "share: expected a part of the steps"),
        ({"spare": -0.5}, r"spare: expected a part of the frames, 0 or more, got -0.5"),
        ({"tolerance": -1.0}, r"tolerance: expected a distance of 0 or more, got -1.0"),
        ({"tolerance": float("nan")}, "tolerance: expected a distance of 0 or more, got nan"),
    ],
)
def test_rules_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    """The message names the input, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        Rules(**{"frames": 24, "steps": 20, **change})  # type: ignore[arg-type]


def test_fewer_frames_than_keyframes_are_refused() -> None:
    """Every keyframe needs a frame of its own; half of a ping-pong is the way there."""
    knots = (0.0, 0.5, 1.0)
    with pytest.raises(ValueError, match="at least one for each of the 3 keyframes, got 2"):
        ruled(2, 20).first_times(knots)
    with pytest.raises(ValueError, match="3 keyframes on the way there of a ping-pong, got 2"):
        ruled(4, 20, PING_PONG).first_times(knots)
    assert ruled(2, 20, LOOP).first_times(knots) == (0.0, 0.5)
    with pytest.raises(ValueError, match="path: expected at least two keyframes"):
        ruled(2, 20).first_times((0.0,))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_distances_must_be_numbers(bad: float) -> None:
    """A VAE that gives NaN must not place frames."""
    rules = ruled(24, 20, between=0)
    with pytest.raises(ValueError, match="distances: expected numbers that are finite"):
        Placement.start(rules, ENDS, (bad,))
    placement = Placement.start(rules, ENDS, (1.0,))
    with pytest.raises(ValueError, match="distances: expected numbers that are finite"):
        placement.add(placement.next(1), [(0.5, bad)])


def test_counts_must_match() -> None:
    rules = ruled(24, 20, between=0)
    with pytest.raises(ValueError, match="distances: expected 1 for 2 frames, got 2"):
        Placement.start(rules, ENDS, (1.0, 1.0))
    placement = Placement.start(rules, ENDS, (1.0,))
    with pytest.raises(ValueError, match="parts: expected one pair of distances for each of the 1"):
        placement.add(placement.next(1), [])
    with pytest.raises(ValueError, match="at_once: expected at least 1 frame a round, got 0"):
        placement.next(0)
