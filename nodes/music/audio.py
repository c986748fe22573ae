"""What a node reads from an AUDIO: one recording, and how many frames a film of it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...geometry.times import MAX_FRAMES


def one_recording(audio: Any) -> tuple[Tensor, int]:
    """The samples [C, T] and the sample rate of an AUDIO.

    Raises ValueError for a batch of recordings, and for one without samples.
    """
    if not isinstance(audio, Mapping) or "waveform" not in audio or "sample_rate" not in audio:
        raise ValueError("audio: expected sound, got none. Connect Load Audio.")
    waveform, rate = audio["waveform"], int(audio["sample_rate"])
    if waveform.ndim != 3 or waveform.numel() == 0:
        raise ValueError(
            "audio: expected samples [1, channels, length], got "
            f"{'x'.join(map(str, waveform.shape))}. Load a file with sound in it."
        )
    if len(waveform) != 1:
        raise ValueError(
            f"audio: expected one recording, got a batch of {len(waveform)}. Use one node for each."
        )
    return waveform[0], rate


def frame_count(samples: int, rate: int, fps: float) -> int:
    """The frames of a film as long as the recording: at least 1.

    Raises ValueError for more than 4096.
    """
    if not fps > 0:
        raise ValueError(f"fps: expected more than 0 frames a second, got {fps}.")
    seconds = samples / rate
    frames = max(1, round(seconds * fps))
    if frames > MAX_FRAMES:
        raise ValueError(
            f"audio and fps: expected at most {MAX_FRAMES} frames, got {frames}: {seconds:.1f} "
            f"seconds with {fps:g} frames each. Cut the audio to {int(MAX_FRAMES / fps)} seconds "
            f"(Trim Audio Duration), or lower fps to {int(MAX_FRAMES / seconds * 10) / 10:g}."
        )
    return frames
