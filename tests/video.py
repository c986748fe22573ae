"""Reading the videos that workflows save."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np


def decode(content: bytes) -> tuple[list[np.ndarray], Fraction | None]:
    """All frames of a video, each [H, W, 3] uint8, and its frames per second."""
    with av.open(io.BytesIO(content), mode="r") as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate
