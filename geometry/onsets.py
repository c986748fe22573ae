"""Onset strength: how much begins to sound at each moment of a recording (spectral flux).

The front end of Ellis's beat tracker ("Beat Tracking by Dynamic Programming", Journal of New Music
Research 36(1), 2007): a spectrogram in 40 mel bands, its logarithm, the rise from one frame to the
next, and the mean of these rises over the bands. Two things differ. The logarithm is log(1 + 1000x)
with x = 1 for the loudest band of the recording, so the volume does not matter and noise far below
the music counts little. And frames follow each other in equal times, not in a number of samples, so
the sample rate does not matter either.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# Onset strengths per second.
RATE = 100
# The length of a frame, in seconds; the number of bands and their range, in Hz.
WINDOW = 0.032
BANDS, LOWEST, HIGHEST = 40, 30.0, 8000.0
COMPRESSION = 1000.0
# Amplitudes below this are silence: 80 dB below full scale, more than the noise of 16 bits.
SILENCE = 1e-4
# A rise is steepest when an attack enters the frame, so many seconds before it is in the middle. So
# the frame of a moment stands so much earlier.
LEAD = 0.01
FRAMES_AT_ONCE = 512


def onset_strength(waveform: Tensor, sample_rate: int) -> np.ndarray:
    """How strongly something begins at each moment: [n] float64, not negative, `RATE` a second.

    waveform: [C, T] samples; channels are mixed to one. Value k is for the time k / RATE seconds,
    from 0 to the end. All values are 0 if the recording is silent. Works on pieces of 5 seconds, so
    memory beside the recording stays at a few megabytes. Raises ValueError for samples that are not
    finite, no samples, and a sample rate below 1000 Hz.
    """
    if sample_rate < 1000:
        raise ValueError(
            f"audio: expected a sample rate of at least 1000 Hz, got {sample_rate}. Load the file "
            "again, or resample it."
        )
    if waveform.ndim != 2 or waveform.numel() == 0:
        raise ValueError(
            f"audio: expected samples [channels, length], got {list(waveform.shape)}. Load a file "
            "that is not empty."
        )
    bands = _band_amplitudes(waveform, sample_rate)
    if not torch.isfinite(bands).all():
        raise ValueError(
            "audio: expected finite samples, got NaN or infinity. Load the file again, or look at "
            "the node that made it."
        )
    loudest = float(bands.max())
    if loudest < SILENCE:
        return np.zeros(len(bands) - 1)
    compressed = torch.log1p(bands * (COMPRESSION / loudest))
    return compressed.diff(dim=0).clamp_(min=0).mean(dim=1).double().numpy()


def _band_amplitudes(waveform: Tensor, sample_rate: int) -> Tensor:
    """The amplitude in each mel band, [n + 1, bands]; the first row is before the beginning."""
    length = round(WINDOW * sample_rate)
    seconds = waveform.shape[1] / sample_rate
    times = np.arange(-1, math.floor(seconds * RATE) + 1) / RATE - LEAD
    starts = np.rint(times * sample_rate).astype(np.int64) - length // 2
    window = torch.hann_window(length)
    filters = _mel_filters(length, sample_rate)
    offsets = torch.arange(length)
    rows = []
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        begins = torch.from_numpy(starts[first : first + FRAMES_AT_ONCE])
        piece = _mono(waveform, int(begins[0]), int(begins[-1]) + length)
        frames = piece[(begins - begins[0])[:, None] + offsets] * window
        spectrum = torch.fft.rfft(frames).abs() * (2 / float(window.sum()))
        rows.append((spectrum.square() @ filters).sqrt())
    return torch.cat(rows)


def _mono(waveform: Tensor, begin: int, end: int) -> Tensor:
    """Samples begin to end of the mean of all channels, [end − begin] float32 on the CPU.

    Before the beginning and after the end of the recording there is silence.
    """
    inside = waveform[:, max(begin, 0) : max(end, 0)].float().mean(dim=0).cpu()
    before = min(max(-begin, 0), end - begin)
    return torch.nn.functional.pad(inside, (before, end - begin - before - len(inside)))


def _mel_filters(length: int, sample_rate: int) -> Tensor:
    """Triangles at equal distances on the mel scale, [length // 2 + 1, bands].

    Bands beyond half the sample rate hold nothing, and are left out.
    """

    def hertz(mel: np.ndarray) -> np.ndarray:
        return 700 * (10 ** (mel / 2595) - 1)

    lowest, highest = (2595 * math.log10(1 + end / 700) for end in (LOWEST, HIGHEST))
    edges = hertz(np.linspace(lowest, highest, BANDS + 2))
    bins = np.arange(length // 2 + 1)[:, None] * sample_rate / length
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (peak - low), (high - bins) / (high - peak)
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    return torch.from_numpy(triangles[:, triangles.any(axis=0)].astype(np.float32))
