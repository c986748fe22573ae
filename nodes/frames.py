"""From paths and times to what the native KSampler takes: batches that match, one noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..geometry.cloud import conditioning_from_clouds
from ..geometry.path import Frames, Path, sample
from ..geometry.times import Times

# What a batch of latents says of itself, for noise that has frames of its own: the number of each
# image's frame, and of how many. ComfyUI's `batch_index` already says that all share one noise.
FRAMES, FRAME_COUNT = "geodesic_frames", "geodesic_frame_count"


@dataclass(frozen=True, eq=False)
class Prompts:
    """The CONDITIONING of consecutive frames, start … stop − 1: one row of it for each."""

    start: int
    stop: int
    conditioning: Any


def prompts_at(
    paths: Sequence[Path], times: Sequence[float], frames_per_batch: int
) -> list[Prompts]:
    """The conditionings of F times on the paths of all entries, in order.

    A batch holds at most `frames_per_batch` frames (0: no limit), and only frames whose
    dictionaries agree.
    """
    entries = [sample(path, times) for path in paths]
    batches = []
    for start, stop in _chunks(entries, len(times), frames_per_batch):
        t = times[start]
        if stop - start == 1 and all(path.is_stop(t) for path in paths):
            # Alone in its batch a keyframe needs no repeated rows: it is the prompt itself.
            conditioning = conditioning_from_clouds([path.at(t) for path in paths])
        else:
            conditioning = [_slice(groups, start, stop) for groups in entries]
        batches.append(Prompts(start, stop, conditioning))
    return batches


def schedule(
    paths: Sequence[Path], times: Times, latent: dict[str, Any], frames_per_batch: int
) -> list[tuple[list[list[Any]], dict[str, Any]]]:
    """Pairs of a CONDITIONING and a LATENT of equal batch size, in the order of the frames.

    ComfyUI tiles or cuts silently where the two differ, so they are made together. Batches are
    those of `prompts_at`. Raises ValueError for anything but one image in `latent`.
    """
    check_one_image(latent)
    paths = [path.closed() if times.is_loop else path for path in paths]
    return [
        (
            batch.conditioning,
            repeat_latent(latent, batch.stop - batch.start)
            | {FRAMES: list(range(batch.start, batch.stop)), FRAME_COUNT: len(times)},
        )
        for batch in prompts_at(paths, times.values, frames_per_batch)
    ]


def _chunks(
    entries: Sequence[Sequence[Frames]], count: int, frames_per_batch: int
) -> list[tuple[int, int]]:
    """Ranges of frames that stay inside one group of every entry and under the limit."""
    cuts = {0, count}
    for groups in entries:
        end = 0
        for group in groups:
            end += len(group.points)
            cuts.add(end)
    edges = sorted(cuts)
    size = frames_per_batch or count
    return [
        (start, min(start + size, b)) for a, b in pairwise(edges) for start in range(a, b, size)
    ]


def _slice(groups: Sequence[Frames], start: int, stop: int) -> list[Any]:
    """One conditioning entry [tensor, dict] for the frames of a range inside one group."""
    for group in groups:
        if start < len(group.points):
            extras = dict(group.extras)
            pooled = extras.get("pooled_output")
            if pooled is not None:
                extras["pooled_output"] = pooled[start:stop]
            return [group.points[start:stop], extras]
        start, stop = start - len(group.points), stop - len(group.points)
    raise IndexError("a range of frames beyond the last group")


def repeat_latent(latent: dict[str, Any], frames: int) -> dict[str, Any]:
    """The one image `frames` times, every copy with the noise a single render of it would get.

    ComfyUI draws the noise of image n of a batch from `batch_index[n]`; equal indices share it.
    """
    samples = latent["samples"]
    repeated = samples.repeat(frames, *([1] * (samples.ndim - 1)))
    index = latent.get("batch_index", [0])[0]
    return {**latent, "samples": repeated, "batch_index": [index] * frames}


def check_one_image(latent: dict[str, Any]) -> None:
    """Raise ValueError unless a latent holds exactly one image."""
    count = latent["samples"].shape[0]
    if count != 1:
        raise ValueError(
            f"latent: expected one image, got a batch of {count}. The number of frames comes from "
            "'times'; set batch_size to 1, or pick one with LatentFromBatch."
        )
