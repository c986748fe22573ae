"""Beats of a recording, from its onset strength.

Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36(1), 2007: the tempo
is the lag at which the onsets resemble themselves, and the beats are the chain of moments that has
strong onsets and nearly equal gaps. A chain ends and begins where there are onsets, so that silence
before and after the music has no beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .onsets import RATE

# Tempos from 40 to 240 beats a minute; where several fit, the one nearer to 120 is likelier.
FASTEST, SLOWEST, USUAL, OCTAVES = 0.25, 1.5, 0.5, 1.0
# How far a gap may be from the tempo: a gap that is 10 % off costs 0.45 times an ordinary onset.
TIGHTNESS = 50.0
# Onsets are blurred by so many seconds, and compared with their surroundings of so many.
BLUR, SURROUNDINGS = 0.02, 1.0
# One attack counts no more than so many ordinary ones.
STRONGEST = 2.0
# A beat is heard if its onset has this share of the root mean square of all. Those at both ends
# that are not are left out. Where fewer than a third are, the piece has no beat.
HEARD, FEWEST = 0.35, 1 / 3
# A tempo that somebody gives may be off by this share.
GIVEN = 0.1


@dataclass(frozen=True, eq=False)
class Beats:
    """The times of the beats in seconds, rising, and the tempo in beats a minute.

    bpm: None where fewer than two beats were found.
    """

    seconds: np.ndarray

    @property
    def bpm(self) -> float | None:
        if len(self.seconds) < 2:
            return None
        return 60 * (len(self) - 1) / float(self.seconds[-1] - self.seconds[0])

    def __len__(self) -> int:
        return len(self.seconds)


def find_beats(onsets: np.ndarray, bpm: float = 0.0) -> Beats:
    """The beats of a recording. onsets: [n], what `onset_strength` returns.

    bpm: about how many beats a minute there are, if that is known; 0 finds it. The piece has one
    tempo, which may drift a little. Where onsets do not repeat, as with a single click, the onsets
    themselves are the beats. Without onsets there are none. Raises ValueError for a `bpm` that is
    neither 0 nor from 20 to 400.
    """
    if bpm != 0 and not 20 <= bpm <= 400:
        raise ValueError(f"bpm: expected 20 to 400 beats a minute, or 0 to find them, got {bpm}.")
    if not onsets.any():
        return Beats(np.empty(0))
    strength = _gaussian(onsets, BLUR * RATE)
    strength /= (strength**2).sum() / strength.sum()  # silence before or after changes nothing
    strength = np.minimum(strength, STRONGEST)
    above = strength - _gaussian(strength, SURROUNDINGS * RATE)
    period = beat_period(above, bpm)
    if period is None:
        return Beats(_peaks(strength) / RATE)
    chain = best_chain(above, period)
    onset = strength[chain]
    heard = np.flatnonzero(onset >= HEARD * np.sqrt((onset**2).mean()))
    if len(heard) < FEWEST * len(chain):
        return Beats(_peaks(strength) / RATE)
    return Beats(chain[heard[0] : heard[-1] + 1] / RATE)


def beat_period(onsets: np.ndarray, bpm: float = 0.0) -> float | None:
    """The time from beat to beat, in values of `onsets`; None if nothing repeats.

    The lag τ whose autocorrelation A(τ) + A(2τ)/2 + A(4τ)/4 is highest, weighted by a Gaussian of
    log₂ τ: twice and four times a beat is where bars repeat. bpm: only lags near this tempo count;
    0 for all.
    """
    n = len(onsets)
    given = 60 / bpm if bpm else 0.0
    fastest, slowest = ((1 - GIVEN) * given, (1 + GIVEN) * given) if bpm else (FASTEST, SLOWEST)
    longest = round(4 * slowest * RATE) + 1
    spectrum = np.fft.rfft(onsets, 1 << (n + longest).bit_length())
    repeated = np.fft.irfft(np.abs(spectrum) ** 2)[: longest + 1]
    lags = np.arange(round(fastest * RATE), round(slowest * RATE) + 1)
    likely = np.exp(-0.5 * (np.log2(lags / ((given or USUAL) * RATE)) / OCTAVES) ** 2)
    score = likely * (repeated[lags] + repeated[2 * lags] / 2 + repeated[4 * lags] / 4)
    best = int(lags[np.argmax(score)])
    if score.max() <= 0.02 * repeated[0]:
        return None
    return _vertex(repeated, best)


def _vertex(values: np.ndarray, k: int) -> float:
    """The place of a maximum near k, by the parabola through three values."""
    a, b, c = values[k - 1 : k + 2]
    bend = a - 2 * b + c
    return k + float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5)) if bend < 0 else float(k)


def best_chain(onsets: np.ndarray, period: float) -> np.ndarray:
    """The chain of beats with the highest score, as indices of `onsets`, rising.

    The score of a chain is the sum of its onsets minus `TIGHTNESS`·ln²(gap / period) for each gap.
    With C(i) the best score of a chain that ends at i: C(i) = onsets(i) + max(0, max over j < i of
    C(j) − TIGHTNESS·ln²((i − j) / period)), for gaps from half to twice the period.
    """
    shortest, longest = max(1, round(period / 2)), round(2 * period)
    gaps = np.arange(longest, shortest - 1, -1)
    penalty = TIGHTNESS * np.log(gaps / period) ** 2
    score = np.zeros(longest + len(onsets))  # with zeros in front, where no chain is
    before = np.full(len(onsets), -1)
    for i, onset in enumerate(onsets.tolist()):
        earlier = score[i : i + len(gaps)] - penalty
        best = int(earlier.argmax())
        score[longest + i] = onset
        if earlier[best] > 0:
            score[longest + i] += earlier[best]
            before[i] = i - gaps[best]
    chain = [int(score[longest:].argmax())]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1])


def _peaks(strength: np.ndarray) -> np.ndarray:
    """Moments that are stronger than all others within half a second, of at least half the top."""
    padded = np.pad(strength, RATE // 2)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * (RATE // 2) + 1).max(axis=1)
    return np.flatnonzero((strength == around) & (strength > 0.5 * strength.max()))


def _gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    """Values blurred by a Gaussian of this width; beyond both ends there is nothing."""
    reach = round(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(values, kernel / kernel.sum())[reach : reach + len(values)]
