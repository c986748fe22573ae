"""Schedules that follow music: keyframes on beats, a pace that follows the onsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dev.pictures.music import band, beats_of, clicks
from geodesic_morph.geometry.beats import Beats, find_beats
from geodesic_morph.geometry.easing import CURVE, EASE_IN_OUT, EASINGS, LINEAR
from geodesic_morph.geometry.music import BASE, decaying, times_by_energy, times_on_beats
from geodesic_morph.geometry.onsets import RATE, onset_strength
from geodesic_morph.geometry.times import ENDINGS, LOOP, MAX_FRAMES, PING_PONG, STOP, times

FPS = 24.0
FORMULAS = [easing for easing in EASINGS if easing != CURVE]
BY_ENDING = pytest.mark.parametrize("ending", ENDINGS)


@st.composite
def beats(draw: st.DrawFn) -> tuple[Beats, int]:
    """Beats at least a quarter of a second apart, and the frames of a film around them."""
    gaps = draw(st.lists(st.floats(0.25, 2), min_size=1, max_size=40))
    seconds = draw(st.floats(0, 3)) + np.cumsum([0.0, *gaps])
    return Beats(seconds), int((seconds[-1] + draw(st.floats(0.1, 3))) * FPS)


def heard(samples: np.ndarray, rate: int = 44100) -> np.ndarray:
    return onset_strength(torch.from_numpy(samples.astype(np.float32))[None], rate)


def knots(keyframes: int, ending: str) -> np.ndarray:
    """The keyframes' times in the order in which a film shows them."""
    there = np.arange(keyframes) / (keyframes if ending == LOOP else keyframes - 1)
    return np.concatenate([there, there[-2::-1]]) if ending == PING_PONG else there


# On beats


@BY_ENDING
@pytest.mark.parametrize("easing", FORMULAS)
@given(found=beats(), keyframes=st.integers(2, 12))
def test_every_keyframe_stands_on_a_beat(
    found: tuple[Beats, int], keyframes: int, easing: str, ending: str
) -> None:
    """At the frame of a beat, or of a part of one, the time is exactly the keyframe's."""
    schedule = times_on_beats(found[0], found[1], FPS, keyframes, easing, ending)
    t = np.array(schedule.times.values)
    assert len(t) == found[1]
    assert t[0] == 0
    assert ((t >= 0) & (t <= 1)).all()
    if not schedule.keyframes:
        return
    assert t[list(schedule.keyframes)].tolist() == knots(keyframes, ending).tolist()
    assert set(schedule.keyframes) <= set(schedule.beats)
    if schedule.parts == 1:
        nearest = np.abs(np.array(schedule.beats)[:, None] / FPS - found[0].seconds).min(axis=1)
        assert nearest.max() <= 0.5 / FPS + 1e-9


@pytest.mark.parametrize("easing", FORMULAS)
@given(found=beats(), keyframes=st.integers(2, 12))
def test_a_film_that_stops_never_goes_back(
    found: tuple[Beats, int], keyframes: int, easing: str
) -> None:
    """From 0 to 1, still before the first beat and after the last; a loop does not reach 1."""
    schedule = times_on_beats(*found, FPS, keyframes, easing, STOP)
    t = np.array(schedule.times.values)
    assert (np.diff(t) >= -1e-12).all()
    assert (t[0], t[-1]) == (0, 1)
    if schedule.beats:
        assert (t[: schedule.beats[0] + 1] == 0).all()
        assert (t[schedule.beats[-1] :] == 1).all()
    loop = times_on_beats(*found, FPS, keyframes, easing, LOOP).times
    assert loop.is_loop
    assert (np.diff(loop.values) >= -1e-12).all()
    assert max(loop.values) < 1


@given(found=beats(), keyframes=st.integers(2, 12))
def test_keyframes_are_spread_evenly(found: tuple[Beats, int], keyframes: int) -> None:
    """The numbers of beats between keyframes differ by one at most, and first and last are used."""
    schedule = times_on_beats(*found, FPS, keyframes)
    if schedule.keyframes:
        counts = np.diff([schedule.beats.index(frame) for frame in schedule.keyframes])
        assert max(counts) - min(counts) <= 1
        assert schedule.keyframes[0] == schedule.beats[0]
        assert schedule.keyframes[-1] == schedule.beats[-1]


@pytest.mark.parametrize("easing", FORMULAS)
def test_each_beat_is_an_equal_step(easing: str) -> None:
    """Between two keyframes t rises by the same amount from beat to beat, by the easing."""
    schedule = times_on_beats(Beats(np.arange(9.0)), 200, FPS, 2, easing)
    t = np.array(schedule.times.values)
    assert t[::24].tolist() == [k / 8 for k in range(9)]
    middle = t[12:192:24] * 8 - np.arange(8)
    assert middle == pytest.approx({"ease in": 0.25, "ease out": 0.75}.get(easing, 0.5))


@pytest.mark.parametrize(("keyframes", "parts"), [(5, 1), (6, 2), (9, 2), (10, 4), (17, 4)])
def test_more_keyframes_than_beats_stand_on_parts_of_beats(keyframes: int, parts: int) -> None:
    """Five beats have four gaps, which are halved as often as needed; all stand on frames."""
    schedule = times_on_beats(Beats(np.arange(5.0)), 120, FPS, keyframes)
    assert schedule.parts == parts
    assert len(schedule.keyframes) == keyframes
    assert set(schedule.keyframes) <= set(range(0, 97, 24 // parts))


@BY_ENDING
@pytest.mark.parametrize("seconds", [[], [1.5]])
def test_without_beats_times_are_equal(seconds: list[float], ending: str) -> None:
    """Also where a film has too few frames for its keyframes."""
    for found, frames, keyframes in ((Beats(np.array(seconds)), 49, 2), (Beats(np.ones(1)), 3, 99)):
        schedule = times_on_beats(found, frames, FPS, keyframes, EASE_IN_OUT, ending)
        assert schedule.keyframes == schedule.beats == ()
        steps = np.abs(np.diff(schedule.times.values))
        assert steps == pytest.approx(steps[0])


@pytest.mark.parametrize("frames", [2, 3, 48])
def test_equal_times_there_and_back_are_those_of_morph_times(frames: int) -> None:
    """With an even number of frames the far end is held for two; two frames stay at the start."""
    found = times_on_beats(Beats(np.empty(0)), frames, FPS, 2, LINEAR, PING_PONG).times
    assert found == times_by_energy(np.zeros(9), frames, FPS, 0.1, PING_PONG)
    assert found.values == ((0, 0) if frames == 2 else times(frames, LINEAR, PING_PONG).values)


def test_a_ping_pong_turns_on_a_beat_and_comes_back() -> None:
    """Its keyframes stand on beats there and back: 2·keyframes − 1 of them."""
    schedule = times_on_beats(Beats(np.arange(0.5, 12, 0.5)), 290, FPS, 4, LINEAR, PING_PONG)
    t = np.array(schedule.times.values)
    assert len(schedule.keyframes) == 7
    assert t[0] == t[-1] == 0
    assert t.argmax() == schedule.keyframes[3]
    assert t.max() == 1
    assert all(frame % 12 == 0 for frame in schedule.keyframes)


def test_a_loop_ends_on_its_last_beat() -> None:
    """A beat just before the end is left out: the way from it to the first would be a jump."""
    t = times_on_beats(Beats(np.arange(0, 8.1, 0.5)), 193, FPS, 4, LINEAR, LOOP).times.values
    steps = np.diff([*t, 1.0])
    assert steps.max() < 1.5 * np.median(steps)


@pytest.mark.parametrize("bpm", [90, 120, 174])
@pytest.mark.parametrize("keyframes", [2, 5, 8])
def test_keyframes_of_a_film_land_on_the_music_s_beats(bpm: int, keyframes: int) -> None:
    """From samples to frames: within one frame at 24 frames a second."""
    true = beats_of(bpm, 20, 0.5)
    for samples in (band(true, 20, 44100), clicks(true, 20, 44100)):
        schedule = times_on_beats(find_beats(heard(samples)), 480, FPS, keyframes)
        assert len(schedule.keyframes) == keyframes
        for frame in schedule.keyframes:
            assert np.abs(true - frame / FPS).min() <= 1 / FPS


@pytest.mark.parametrize("frames", [3, 24, 100])
def test_silence_in_front_moves_the_keyframes(frames: int) -> None:
    """k frames of silence before the music: keyframes k frames later, to a frame."""
    music = band(beats_of(100, 10, 0.5), 10, 48000)
    silence = np.zeros(frames * 2000)
    plain, moved = (
        times_on_beats(find_beats(heard(np.concatenate(parts), 48000)), count, FPS, 4)
        for parts, count in (((music,), 240), ((silence, music), 240 + frames))
    )
    shifts = np.array(moved.keyframes) - np.array(plain.keyframes)
    assert np.abs(shifts - frames).max() <= 1


# By energy


@BY_ENDING
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_times_move_on_all_the_while(smoothing: float, ending: str) -> None:
    """Rising from 0 to 1; there and back; or up to 1 after the last frame."""
    onsets = heard(band(beats_of(120, 8, 0.5), 8, 44100))
    schedule = times_by_energy(onsets, 192, FPS, smoothing, ending)
    t = np.array(schedule.values)
    assert len(t) == 192
    assert t[0] == 0
    turn = t.argmax() if ending == PING_PONG else len(t) - 1
    assert (np.diff(t)[:turn] > 0).all()
    assert (np.diff(t)[turn:] < 0).all()
    assert t[-1] == {STOP: 1, PING_PONG: 0}.get(ending, t[-1])
    assert t.max() == 1 or (ending == LOOP and t.max() < 1)
    assert schedule.is_loop == (ending == LOOP)


def test_the_pace_is_in_proportion_to_the_energy_of_the_onsets() -> None:
    """Two attacks, one twice as strong: it moves the picture four times as far, apart from BASE."""
    onsets = np.zeros(10 * RATE)
    onsets[2 * RATE + 50], onsets[6 * RATE + 50] = 1, 2
    t = np.array(times_by_energy(onsets, 200, 20.0, 0.0).values)
    steps = np.diff(t)
    assert np.flatnonzero(steps > 0.05).tolist() == [49, 129]
    small = (steps[49] - BASE / 199, steps[129] - BASE / 199)
    assert small == pytest.approx(((1 - BASE) / 5, (1 - BASE) * 4 / 5))
    assert np.delete(steps, [49, 129]) == pytest.approx(BASE / 199)


def test_nothing_moves_before_it_is_heard() -> None:
    """An attack pushes from its own moment on; the push falls to 37 % in `smoothing` seconds."""
    onsets = np.zeros(5 * RATE)
    onsets[2 * RATE] = 1
    push = decaying(onsets, 0.5)
    assert not push[: 2 * RATE].any()
    assert push[2 * RATE] == 1
    assert push[2 * RATE + RATE // 2] == pytest.approx(np.exp(-1))
    steps = np.diff(times_by_energy(onsets, 120, FPS, 0.5).values)
    assert steps[:47] == pytest.approx(BASE / 119)
    assert steps.argmax() == 48


@BY_ENDING
def test_silence_gives_equal_times(ending: str) -> None:
    t = np.array(times_by_energy(np.zeros(400), 97, FPS, 0.1, ending).values)
    steps = np.abs(np.diff(t))
    assert steps == pytest.approx(steps[0])
    assert t[0] == 0


def test_the_volume_does_not_change_the_times() -> None:
    music = band(beats_of(100, 10, 0.5), 10, 44100)
    loud, quiet = (times_by_energy(heard(x), 240, FPS, 0.1) for x in (music, music / 2))
    assert loud == quiet


def test_one_frame_is_the_first_keyframe() -> None:
    for ending in ENDINGS:
        assert times_by_energy(np.ones(5), 1, FPS, 0.1, ending).values == (0.0,)
        assert times_on_beats(Beats(np.zeros(1)), 1, FPS, 2, LINEAR, ending).times.values == (0.0,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames: expected 1 to 4096, got 0"),
        ({"frames": MAX_FRAMES + 1}, "frames: expected 1 to 4096, got 4097"),
        ({"keyframes": 1}, "keyframes: expected at least 2, got 1"),
        ({"easing": "bouncy"}, "easing: expected one of linear, .*, got 'bouncy'"),
        ({"ending": "crash"}, "ending: expected one of stop, .*, got 'crash'"),
        ({"smoothing": -1.0}, "smoothing: expected 0 or more seconds, got -1.0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    by_energy: dict[str, Any] = {"onsets": np.ones(9), "frames": 9, "fps": FPS, "smoothing": 0.1}
    on_beats: dict[str, Any] = {
        "beats": Beats(np.arange(3)),
        "frames": 9,
        "fps": FPS,
        "keyframes": 2,
    }
    own = "smoothing" in settings
    function, given = (times_by_energy, by_energy) if own else (times_on_beats, on_beats)
    with pytest.raises(ValueError, match=message):
        function(**(given | settings))
