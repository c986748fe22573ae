"""Beats of clicks and of synthesized music, whose true beats are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dev.pictures.music import band, beats_of, clicks
from geodesic_morph.geometry.beats import Beats, beat_period, best_chain, find_beats
from geodesic_morph.geometry.onsets import RATE, onset_strength

FRAME = 1 / 24
SECONDS, START = 20.0, 0.5
TEMPOS = (60, 90, 120, 174)
RATES = (44100, 22050)


def heard(samples: np.ndarray, rate: int = 44100) -> Beats:
    return find_beats(strength(samples, rate))


def strength(samples: np.ndarray, rate: int = 44100) -> np.ndarray:
    return onset_strength(torch.from_numpy(samples.astype(np.float32))[None], rate)


def farthest(beats: np.ndarray, from_beats: np.ndarray) -> float:
    """The largest time between one of these beats and the nearest of those."""
    return float(np.abs(beats[:, None] - from_beats).min(axis=1).max())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bpm", TEMPOS)
def test_clicks_are_beats(bpm: int, rate: int) -> None:
    """Every beat found is a click, and between the first and the last none is left out.

    At 174 a minute every second one may be: people too count such music at half the tempo.
    """
    true = beats_of(bpm, SECONDS, START)
    found = heard(clicks(true, SECONDS, rate), rate)
    assert farthest(found.seconds, true) < FRAME / 2
    assert found.bpm is not None
    assert min(abs(found.bpm - bpm), abs(2 * found.bpm - bpm)) < 0.01 * bpm
    whole = true[:: round(bpm / found.bpm)]
    assert len(found) >= len(whole) - 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bpm", [75, 90, 100, 120, 128, 140, 174])
def test_a_band_is_followed(bpm: int, seed: int) -> None:
    """Drums with syncopes and hi-hats, bass, chords, noise: beats are within half a frame."""
    true = beats_of(bpm, SECONDS, START)
    found = heard(band(true, SECONDS, 44100, seed))
    assert farthest(found.seconds, true) < FRAME / 2
    assert len(found) >= 0.45 * len(true)


@pytest.mark.parametrize("bpm", [60, 75, 87, 120, 174])
def test_a_tempo_that_is_given_decides_what_a_beat_is(bpm: int) -> None:
    """At 60 a minute hi-hats between the beats may count as beats too, and at 174 every second one.

    With the tempo, even if it is off by 3 %, every beat is found and nothing between. (The noise
    that begins with the recording may count as the first.)
    """
    true = beats_of(bpm, SECONDS, START)
    onsets = strength(band(true, SECONDS, 44100))
    found = find_beats(onsets, 1.03 * bpm).seconds
    assert farthest(found[1:], true) < FRAME / 2
    assert farthest(true[1:-1], found) < FRAME / 2
    halves = find_beats(onsets).seconds
    assert farthest(halves, beats_of(2 * bpm, SECONDS, START - 30 / bpm)) < FRAME / 2


@pytest.mark.parametrize("bpm", [-1.0, 5.0, 1000.0, np.nan])
def test_a_tempo_that_nobody_plays_is_refused(bpm: float) -> None:
    with pytest.raises(ValueError, match="bpm: expected 20 to 400 beats a minute, or 0"):
        find_beats(np.ones(100), bpm)


@pytest.mark.parametrize("seed", range(3))
def test_people_do_not_play_like_clocks(seed: int) -> None:
    """Beats that are early or late by 12 ms, and a tempo that drifts from 110 to 120."""
    draw = np.random.default_rng(seed)
    true = START + np.cumsum(60 / np.linspace(110, 120, 36)) + 0.012 * draw.standard_normal(36)
    found = heard(band(true, SECONDS, 44100, seed))
    assert farthest(found.seconds, true) < FRAME
    assert farthest(true[2:-2], found.seconds) < FRAME


@pytest.mark.parametrize("bpm", TEMPOS)
def test_the_sample_rate_does_not_matter(bpm: int) -> None:
    """The same music at 44100 and at 22050 samples a second: the same beats to a frame."""
    true = beats_of(bpm, SECONDS, START)
    both = [heard(band(true, SECONDS, rate), rate).seconds for rate in RATES]
    assert farthest(both[0], both[1]) < FRAME
    assert farthest(both[1], both[0]) < FRAME


def test_the_volume_does_not_matter() -> None:
    """At half and at a hundredth of the volume all onsets are the same, and so are the beats."""
    loud = band(beats_of(120, SECONDS, START), SECONDS, 44100)
    assert np.array_equal(strength(loud), strength(loud / 2))
    assert np.allclose(strength(loud), strength(loud / 100), rtol=1e-3, atol=1e-5)
    assert np.array_equal(heard(loud).seconds, heard(loud / 100).seconds)


@pytest.mark.parametrize("frames", [1, 7, 48, 240])
def test_silence_in_front_moves_the_beats(frames: int) -> None:
    """k frames of silence before the music: the same beats k frames later, and none before."""
    music = band(beats_of(100, SECONDS, START), SECONDS, 44100)
    silence = np.zeros(round(frames * FRAME * 44100))
    plain, moved = heard(music), heard(np.concatenate([silence, music]))
    assert len(plain) == len(moved)
    assert np.abs(moved.seconds - plain.seconds - frames * FRAME).max() < FRAME / 2


def test_music_that_ends_early_has_no_beats_after_its_end() -> None:
    """Nor before its beginning, and none is lost in a pause of four beats."""
    true = beats_of(120, 12, 4)
    samples = clicks(np.concatenate([true[:6], true[10:]]), 20, 44100)
    found = heard(samples).seconds
    assert farthest(found, true) < FRAME / 2
    assert len(found) == len(true)


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_silence_has_no_beats(level: float) -> None:
    """Neither has the noise of a silent recording, 120 dB below full scale."""
    noise = level * np.random.default_rng(0).standard_normal(44100 * 5)
    assert not strength(noise).any()
    found = heard(noise)
    assert len(found) == 0
    assert found.bpm is None


def test_one_click_is_one_beat() -> None:
    found = heard(clicks(np.array([1.5]), 4, 44100))
    assert len(found) == 1
    assert found.bpm is None
    assert abs(found.seconds[0] - 1.5) < FRAME / 2


def test_sounds_that_do_not_repeat_are_their_own_beats() -> None:
    true = np.array([0.7, 5.1, 12.4])
    found = heard(clicks(true, 15, 44100)).seconds
    assert len(found) == 3
    assert farthest(found, true) < FRAME / 2


def test_ten_minutes_are_followed_to_the_end() -> None:
    """A long recording, in stereo: no beat is missed and none drifts."""
    seconds = 600.0
    true = beats_of(117.3, seconds, START)
    mono = torch.from_numpy(band(true, seconds, 22050).astype(np.float32))
    found = find_beats(onset_strength(mono.expand(2, -1), 22050)).seconds
    assert farthest(found, true) < FRAME
    assert farthest(true[2:-2], found) < FRAME


def test_the_period_is_the_gap_of_regular_onsets() -> None:
    """Also one that is no whole number of values."""
    for gap in (34.5, 50, 61.25):
        onsets = np.zeros(2000)
        places = np.arange(20, 1980, gap)
        np.add.at(onsets, np.floor(places).astype(int), 1 - places % 1)
        np.add.at(onsets, np.floor(places).astype(int) + 1, places % 1)
        period = beat_period(onsets - onsets.mean())
        assert period is not None
        assert min(abs(period - gap), abs(period - 2 * gap)) < 0.5
    assert beat_period(np.eye(1, 500, 250)[0]) is None


def best_of_all(onsets: np.ndarray, period: float) -> float:
    """The best score of any chain, by trying all of them."""
    from itertools import combinations, pairwise

    def score(chain: tuple[int, ...]) -> float:
        gaps = [b - a for a, b in pairwise(chain)]
        if any(not round(period / 2) <= gap <= round(2 * period) for gap in gaps):
            return -np.inf
        return sum(onsets[i] for i in chain) - sum(50 * np.log(gap / period) ** 2 for gap in gaps)

    places = range(len(onsets))
    return max(score(c) for size in range(1, 7) for c in combinations(places, size))


@pytest.mark.parametrize("seed", range(4))
def test_the_chain_is_the_best_of_all(seed: int) -> None:
    """Its score is the highest among all chains of a short piece."""
    onsets = np.random.default_rng(seed).normal(0, 1, 15)
    chain = best_chain(onsets, 3.4)
    gaps = np.diff(chain)
    score = onsets[chain].sum() - (50 * np.log(gaps / 3.4) ** 2).sum()
    assert score == pytest.approx(best_of_all(onsets, 3.4))


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_onsets_belong_to_their_time(channels: int) -> None:
    """`RATE` values a second from the beginning to the end; the click is the largest of them."""
    mono = torch.from_numpy(clicks(np.array([1.25]), 3, 44100).astype(np.float32))
    onsets = onset_strength(mono.expand(channels, -1), 44100)
    assert len(onsets) == 3 * RATE + 1
    assert (onsets >= 0).all()
    assert abs(onsets.argmax() / RATE - 1.25) < FRAME / 2


def test_a_piece_shorter_than_a_frame_of_the_spectrum_is_read() -> None:
    """Ten samples give one value, and no beat or one."""
    onsets = onset_strength(torch.ones(1, 10), 44100)
    assert onsets.shape == (1,)
    assert len(find_beats(onsets)) <= 1


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (torch.zeros(2, 0), 44100, r"audio: expected samples \[channels, length\], got \[2, 0\]"),
        (torch.zeros(5), 44100, r"audio: expected samples \[channels, length\], got \[5\]"),
        (torch.full((1, 4000), torch.nan), 44100, "audio: expected finite samples, got NaN"),
        (torch.full((1, 4000), torch.inf), 44100, "audio: expected finite samples, got NaN"),
        (torch.zeros(1, 4000), 10, "audio: expected a sample rate of at least 1000 Hz, got 10"),
    ],
)
def test_what_is_no_sound_is_refused(waveform: torch.Tensor, rate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        onset_strength(waveform, rate)
