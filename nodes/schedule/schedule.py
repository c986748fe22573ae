"""The prompts and latents of all frames, in batches that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Cuts:
    """How a film of so many frames is cut: into runs, and each run into batches."""

    frames: int
    frames_per_batch: int
    first_frame: int = 0
    frame_limit: int = 0

    @property
    def part(self) -> range:
        """The frames of this run.

        Raises ValueError, naming the input, where no frame is left.
        """
        if self.first_frame >= self.frames:
            raise ValueError(
                f"first_frame: expected 0 to {self.frames - 1}, got {self.first_frame}. The film "
                f"has {self.frames} frames: all of them are made. Set first_frame to 0 for another "
                "film."
            )
        return self._part

    @property
    def _part(self) -> range:
        return range(self.frames)[self.first_frame :][: self.frame_limit or self.frames]

    @property
    def batches(self) -> list[range]:
        """The frames of each batch, as long as no key of the conditioning cuts them further."""
        part = self._part
        size = self.frames_per_batch or max(len(part), 1)
        return [part[start : start + size] for start in range(0, len(part), size)]

    def difference(self, other: Cuts) -> tuple[str, int, int]:
        """An input of Morph Schedule by which two cuts differ, and both values.

        The last one that differs: where two films have two lengths, the numbers of their times.
        """
        names = {"frames_per_batch": "frames_per_batch", "first_frame": "first_frame"}
        names |= {"frame_limit": "frame_limit", "frames": "times"}
        values = [(shown, getattr(self, n), getattr(other, n)) for n, shown in names.items()]
        return [value for value in values if value[1] != value[2]][-1]
