"""What Morph Schedule says under itself."""

from __future__ import annotations

from collections.abc import Sequence


def batches_note(
    counts: Sequence[int], frames_per_batch: int, cut_by: Sequence[str], sampler: str | None
) -> str:
    """How the frames were divided into batches, and what has to be known about that.

    counts: the frames of each batch. cut_by: keys of the conditioning whose values change along the
    path, so that batches end there. sampler: one that gets the frames and draws noise in each step.
    """
    lines = []
    if len(counts) > 1:
        lines.append(
            f"{sum(counts)} frames in {len(counts)} batches. One hint, mask or picture for each "
            "frame: cut it with Frames in Step, or each batch begins again at the first."
        )
    if cut_by and frames_per_batch != 1:
        keys = ", ".join(f"'{key}'" for key in cut_by)
        lines.append(
            f"{keys} changes along the path, and frames with different values cannot share a "
            "batch. AnimateDiff needs all frames in one: give all prompts the same value."
        )
    if sampler and max(counts) > 1:
        lines.append(
            f"{sampler} draws noise in every step, another one for each frame of a batch: frames "
            "flicker. Set frames_per_batch to 1, then all draw the same."
        )
    return "\n".join(lines)
