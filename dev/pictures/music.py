"""Music whose beats are known, for tests, pictures and the example workflow: clicks, and a band."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from dev.workflows.settings import SMALL_SETTINGS

# The roots of four bars, in Hz: A, A, C, G. Minor and major alike have these intervals.
ROOTS = (55.0, 55.0, 65.4, 49.0)
CHORD = (4.0, 4.76, 5.99, 8.0)


def beats_of(bpm: float, seconds: float, start: float) -> np.ndarray:
    """The times of beats from `start` to just before the end."""
    return np.arange(start, seconds - 0.05, 60 / bpm)


def clicks(beats: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """A metronome: [seconds · rate] samples in [−1, 1]."""
    samples = np.zeros(round(seconds * rate))
    t = np.arange(round(0.03 * rate)) / rate
    for beat in beats:
        _add(samples, beat, rate, np.sin(2 * np.pi * 1000 * t) * np.exp(-150 * t))
    return samples


def band(beats: np.ndarray, seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Drums, bass and chords over noise: [seconds · rate] samples in [−0.8, 0.8].

    Bass drum and snare in turns on the beats, with syncopes and hi-hats between them; a chord and
    another bass note on every fourth beat.
    """
    draw = np.random.default_rng(seed)
    samples = 0.004 * draw.standard_normal(round(seconds * rate))
    length = float(np.median(np.diff(beats)))
    for k, beat in enumerate(beats):
        root = ROOTS[k // 4 % len(ROOTS)]
        if k % 2 == 0:
            _add(samples, beat, rate, 0.9 * _bass_drum(rate))
            _add(samples, beat + 0.75 * length, rate, 0.5 * _bass_drum(rate))
        else:
            _add(samples, beat, rate, 0.5 * _snare(rate, draw))
        _add(samples, beat, rate, 0.25 * _bass(root, 0.9 * length, rate))
        _add(samples, beat, rate, 0.15 * _hat(rate, draw))
        _add(samples, beat + 0.5 * length, rate, 0.1 * _hat(rate, draw))
        if k % 4 == 0:
            _add(samples, beat, rate, 0.3 * _chord(root, 4 * length, rate, draw))
    return 0.8 * samples / np.abs(samples).max()


def _add(samples: np.ndarray, when: float, rate: int, sound: np.ndarray) -> None:
    """Add a sound at a time in seconds; what is beyond the end is not heard."""
    place = samples[round(when * rate) :][: len(sound)]
    place += sound[: len(place)]


def _bass_drum(rate: int) -> np.ndarray:
    """A sine that falls to 50 Hz."""
    t = np.arange(round(0.25 * rate)) / rate
    return np.sin(2 * np.pi * (50 * t + 1.3 * (1 - np.exp(-30 * t)))) * np.exp(-14 * t)


def _snare(rate: int, draw: np.random.Generator) -> np.ndarray:
    t = np.arange(round(0.18 * rate)) / rate
    noise = draw.standard_normal(len(t))
    return (0.6 * noise + 0.4 * np.sin(2 * np.pi * 190 * t)) * np.exp(-22 * t)


def _hat(rate: int, draw: np.random.Generator) -> np.ndarray:
    """High noise: differences of white noise."""
    t = np.arange(round(0.05 * rate)) / rate
    return np.diff(draw.standard_normal(len(t)), prepend=0) * np.exp(-90 * t)


def _bass(root: float, seconds: float, rate: int) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.tanh(3 * np.sin(2 * np.pi * root * t)) * np.minimum(1, 200 * t) * np.exp(-3 * t)


def _chord(root: float, seconds: float, rate: int, draw: np.random.Generator) -> np.ndarray:
    """Four tones that swell and fade."""
    t = np.arange(round(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * root * tone * t + draw.uniform(0, 6)) for tone in CHORD]
    return np.mean(tones, axis=0) * np.minimum(1, 8 * t) * np.exp(-0.5 * t)


def write_wave(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples [T] in [−1, 1] as a file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def ensure(folder: Path) -> None:
    """Write the music of `music_morph` on the small checkpoint into ComfyUI's input folder."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds, rate = 8.0, 44100
    samples = band(beats_of(120, seconds, 0.25), seconds, rate)
    write_wave(folder / SMALL_SETTINGS.music, samples, rate)
