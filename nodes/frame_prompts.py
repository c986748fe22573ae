"""CONDITIONINGs of frames: one prompt for all or one for each, and what can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .frames import Prompts

# What a conditioning may bring that needs more of a sampler than its model.
MODELS = {"control": "a ControlNet", "gligen": "GLIGEN", "hooks": "hooks (LoRA, keyframes)"}


def check_usable(name: str, conditioning: Any) -> None:
    """Raise ValueError for a CONDITIONING that has no meaning at one noise level, or needs more."""
    if not conditioning:
        raise ValueError(f"{name}: expected a prompt, got an empty conditioning. Connect one.")
    for rows, extras in conditioning:
        if not isinstance(rows, Tensor):
            raise ValueError(f"{name}: expected rows of an encoded prompt, got {rows!r}.")
        for key, what in MODELS.items():
            if key in extras:
                raise ValueError(
                    f"{name}: expected a plain prompt, got one with {what}, which the density "
                    "nodes can't follow. Apply it to what they give."
                )
        if extras.get("start_percent", 0.0) > 0 or extras.get("end_percent", 1.0) < 1:
            raise ValueError(
                f"{name}: expected a prompt for all steps, got one with a timestep range. Density "
                "is asked at one noise level; give the prompt that is meant there."
            )


def check_one_prompt(name: str, conditioning: Any) -> None:
    """Raise ValueError unless a CONDITIONING holds one usable prompt for all frames."""
    check_usable(name, conditioning)
    for rows, _ in conditioning:
        if len(rows) != 1:
            raise ValueError(f"{name}: expected one prompt for all frames, got {len(rows)}.")


def frame_prompts(positives: Sequence[Any], counts: Sequence[int]) -> list[Prompts]:
    """The prompts of batches of so many frames: one for all, one a batch, or one a frame."""
    if len(positives) not in (1, len(counts)):
        raise ValueError(
            f"positive: expected one conditioning, or one for each of the {len(counts)} batches "
            f"of latents, got {len(positives)}. Connect both outputs of one node."
        )
    each = positives if len(positives) == len(counts) else list(positives) * len(counts)
    found, start = [], 0
    for number, (conditioning, count) in enumerate(zip(each, counts, strict=True), start=1):
        check_usable("positive", conditioning)
        for rows, _ in conditioning:
            if len(rows) not in (1, count):
                raise ValueError(
                    f"positive: expected one prompt, or one for each of the {count} frames of "
                    f"batch {number}, got {len(rows)}."
                )
        found.append(Prompts(start, start + count, conditioning))
        start += count
    return found


def pick(prompts: Sequence[Prompts], frames: Sequence[int]) -> list[Prompts]:
    """The prompts of some frames alone, numbered anew."""
    found, start = [], 0
    for part in prompts:
        inside = [frame - part.start for frame in frames if part.start <= frame < part.stop]
        if inside:
            stop = start + len(inside)
            found.append(Prompts(start, stop, rows_of(part.conditioning, inside)))
            start = stop
    return found


def cut(part: Prompts, size: int) -> list[Prompts]:
    """The same in batches of at most `size` frames."""
    starts = range(part.start, part.stop, size)
    parts = [(start, min(start + size, part.stop)) for start in starts]
    return [
        Prompts(a, b, rows_of(part.conditioning, range(a - part.start, b - part.start)))
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
