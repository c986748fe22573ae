"""The prompts of consecutive frames, in batches for a sampler or a model.

A `FrameBatch` says which frames it holds, and builds their CONDITIONING each time it is read. No
CONDITIONING is kept here, so it is freed as soon as its user drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from ...geometry.cloud import conditioning_from_clouds
from ...geometry.path import Path, groups, joined

# Paths of all entries, and the times of one batch → its CONDITIONING.
Build = Callable[[Sequence[Path], Sequence[float]], Any]


def conditioning_along(paths: Sequence[Path], times: Sequence[float]) -> list[list[Any]]:
    """The CONDITIONING of the frames of one batch, one entry for each path."""
    return conditioning_from_clouds([joined(path, times) for path in paths])


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """The prompts of frames start … stop − 1.

    build: makes their CONDITIONING, with one row for each frame or one row for all of them.
    """

    start: int
    stop: int
    build: Callable[[], Any]

    @property
    def count(self) -> int:
        """The number of frames."""
        return self.stop - self.start

    @property
    def conditioning(self) -> Any:
        """The CONDITIONING, built anew at every call."""
        return self.build()


def batches_along(
    paths: Sequence[Path],
    times: Sequence[float],
    frames_per_batch: int,
    build: Build = conditioning_along,
) -> list[FrameBatch]:
    """The prompts of F times on the paths of all entries, in order.

    A batch holds at most `frames_per_batch` frames (0: no limit), and only frames that can share a
    conditioning. Its rows are as many as the legs of its own frames need.
    """

    def batch(start: int, stop: int) -> FrameBatch:
        return FrameBatch(start, stop, lambda: build(paths, times[start:stop]))

    edges = {0, len(times)}
    for path in paths:
        edges |= {group.stop for group in groups(path, times)}
    size = frames_per_batch or max(len(times), 1)
    return [
        batch(start, min(start + size, b))
        for a, b in pairwise(sorted(edges))
        for start in range(a, b, size)
    ]


def batches_of(positives: Sequence[Any], counts: Sequence[int]) -> list[FrameBatch]:
    """The prompts of batches of these sizes: one for all, one per batch, or one per frame.

    Raises ValueError, naming the input `positive`, for numbers of prompts that do not match.
    """
    if len(positives) not in (1, len(counts)):
        raise ValueError(
            f"positive: expected one conditioning, or one for each of the {len(counts)} batches "
            f"of latents, got {len(positives)}. Connect both outputs of one node."
        )
    per_batch = positives if len(positives) == len(counts) else list(positives) * len(counts)
    result, start = [], 0
    for number, (conditioning, count) in enumerate(zip(per_batch, counts, strict=True), start=1):
        check_usable("positive", conditioning)
        for rows, _ in conditioning:
            if len(rows) not in (1, count):
                raise ValueError(
                    f"positive: expected one prompt, or one for each of the {count} frames of "
                    f"batch {number}, got {len(rows)}."
                )
        result.append(given_batch(start, start + count, conditioning))
        start += count
    return result


def given_batch(start: int, stop: int, conditioning: Any) -> FrameBatch:
    """A batch whose CONDITIONING exists already."""
    return FrameBatch(start, stop, lambda: conditioning)


def pick(batches: Sequence[FrameBatch], frames: Sequence[int]) -> list[FrameBatch]:
    """The prompts of these frames only, numbered anew from 0."""
    result, start = [], 0
    for batch in batches:
        inside = [frame - batch.start for frame in frames if batch.start <= frame < batch.stop]
        if inside:
            stop = start + len(inside)
            result.append(given_batch(start, stop, rows_of(batch.conditioning, inside)))
            start = stop
    return result


def split(batch: FrameBatch, size: int) -> list[FrameBatch]:
    """The same frames in batches of at most `size`."""
    starts = range(batch.start, batch.stop, size)
    parts = [(start, min(start + size, batch.stop)) for start in starts]
    conditioning = batch.conditioning
    return [
        given_batch(a, b, rows_of(conditioning, range(a - batch.start, b - batch.start)))
        for a, b in parts
    ]


def rows_of(conditioning: Any, frames: Sequence[int]) -> Any:
    """The conditioning of some frames of a batch; one prompt for all frames stays as it is."""
    found = []
    for rows, extras in conditioning:
        if len(rows) == 1:
            found.append([rows, extras])
            continue
        kept = {
            key: value[list(frames)] if _is_per_frame(value, len(rows)) else value
            for key, value in extras.items()
        }
        found.append([rows[list(frames)], kept])
    return found


def _is_per_frame(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == count


# Keys of a conditioning that only work inside a sampler, and their names in errors.
_NEEDS_A_SAMPLER = {
    "control": "a ControlNet",
    "gligen": "GLIGEN",
    "hooks": "hooks (LoRA, keyframes)",
}


def check_usable(name: str, conditioning: Any) -> None:
    """Raise ValueError for a CONDITIONING that cannot be used at one noise level alone."""
    if not conditioning:
        raise ValueError(f"{name}: expected a prompt, got an empty conditioning. Connect one.")
    for rows, extras in conditioning:
        if not isinstance(rows, Tensor):
            raise ValueError(
                f"{name}: expected the rows of an encoded prompt, got {type(rows).__name__}. "
                "Connect a text encoder."
            )
        for key, what in _NEEDS_A_SAMPLER.items():
            if key in extras:
                raise ValueError(
                    f"{name}: expected a plain prompt, got one with {what}, which the density "
                    "nodes do not support. Apply it to their output."
                )
        if extras.get("start_percent", 0.0) > 0 or extras.get("end_percent", 1.0) < 1:
            raise ValueError(
                f"{name}: expected a prompt for all steps, got one with a timestep range. Density "
                "is measured at one noise level; connect the prompt for that level, without a "
                "range."
            )


def check_one_prompt(name: str, conditioning: Any) -> None:
    """Raise ValueError unless a CONDITIONING holds one usable prompt for all frames."""
    check_usable(name, conditioning)
    for rows, _ in conditioning:
        if len(rows) != 1:
            raise ValueError(f"{name}: expected one prompt for all frames, got {len(rows)}.")
