"""The prompts and latents of all frames, in batches that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...geometry.path import Path, changing_keys
from ...geometry.times import Times
from ..latents import FRAME_COUNT, FRAMES, check_one_image, repeat_latent
from ..prompt.batches import batches_along
from .made_when_read import entries_along

# Whether all frames start from the same noise, or each from its own.
ONE_FOR_ALL, ONE_PER_FRAME = "one for all", "one per frame"
NOISES = (ONE_FOR_ALL, ONE_PER_FRAME)
# What the browser does with first_frame after each queued run.
AFTER_RUN = ("stay", "go on")


def schedule(
    paths: Sequence[Path],
    times: Times,
    latent: dict[str, Any],
    frames_per_batch: int,
    noise: str = ONE_FOR_ALL,
    part: range | None = None,
) -> list[tuple[list[list[Any]], dict[str, Any]]]:
    """Pairs of a CONDITIONING and a LATENT of equal batch size, in the order of the frames.

    Both are made together, because ComfyUI silently repeats or cuts a CONDITIONING of another size.
    ComfyUI keeps the whole list in its cache, so the rows are made when they are read.
    noise: one of `NOISES`; one per frame does not depend on the size of batches. part: the frames
    to make; None for all. Raises ValueError for anything but one image in `latent`.
    """
    check_one_image(latent)
    paths = [path.closed() if times.is_loop else path for path in paths]
    part = part or range(len(times))
    pairs = []
    own = times.values[part.start : part.stop]
    for batch in batches_along(paths, own, frames_per_batch, entries_along):
        frames = list(part[batch.start : batch.stop])
        repeated = repeat_latent(latent, batch.count, frames if noise == ONE_PER_FRAME else None)
        pairs.append((batch.conditioning, repeated | {FRAMES: frames, FRAME_COUNT: len(times)}))
    return pairs


def cut_by(paths: Sequence[Path]) -> list[str]:
    """The keys of the conditioning whose values change along the path and so end batches."""
    return sorted({key for path in paths for key in changing_keys(path)})


def part_of(frames: int, first_frame: int, frame_limit: int) -> range:
    """The frames of one run of a long film. frame_limit: how many at most; 0 for all that are left.

    Raises ValueError, naming the input, where no frame is left.
    """
    if first_frame >= frames:
        raise ValueError(
            f"first_frame: expected 0 to {frames - 1}, got {first_frame}. The film has {frames} "
            "frames: all of them are made. Set first_frame to 0 for another film."
        )
    return range(frames)[first_frame:][: frame_limit or frames]
