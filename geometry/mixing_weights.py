"""The weights of keyframes in a mix, as people write them: "0.5, 0.3, 0.2"."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def normalised(weights: Sequence[float] | None, count: int) -> list[float]:
    """K shares that sum to 1; None gives equal ones.

    Raises ValueError for a wrong count, negative weights, or weights that are all 0.
    """
    if weights is None:
        return [1 / count] * count
    if len(weights) != count:
        raise ValueError(
            f"weights: expected {count}, one per keyframe, got {len(weights)}. Leave the text "
            "empty for equal weights."
        )
    values = np.array(weights, dtype=np.float64)
    if (values < 0).any() or not 0 < values.sum() < math.inf:
        raise ValueError(
            f"weights: expected numbers of at least 0 that are not all 0, got {list(weights)}."
        )
    return (values / values.sum()).tolist()


def parse_weights(text: str) -> list[float] | None:
    """Read "0.5, 0.3, 0.2"; None for empty text. Raises ValueError for other text."""
    parts = [part.strip() for part in text.split(",")]
    if parts == [""]:
        return None
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise ValueError(
            f"weights: expected numbers separated by commas such as '0.5, 0.3, 0.2', got '{text}'."
        ) from None
