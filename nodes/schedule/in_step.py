"""One picture, mask or latent for each frame, cut into the batches of a Morph Schedule."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..latents import FRAME_COUNT, FRAMES


def frames_of(latents: dict[str, Any]) -> tuple[list[int], int]:
    """The numbers of the frames that a batch of a schedule holds, and how many there are in all.

    Raises ValueError for other latents.
    """
    if FRAMES not in latents or FRAME_COUNT not in latents:
        raise ValueError(
            "latents: expected those of Morph Schedule, which say which frames they hold, got "
            "others. Connect the output 'latents' of Morph Schedule."
        )
    return latents[FRAMES], latents[FRAME_COUNT]


def cut(name: str, batch: Tensor, latents: dict[str, Any]) -> Tensor:
    """Those of a batch [F, ...] that belong to the frames of `latents`: [f, ...].

    Raises ValueError, naming the input, unless there is one for each frame of the whole film.
    """
    frames, count = frames_of(latents)
    if len(batch) != count:
        raise ValueError(
            f"{name}: expected one for each of the {count} frames, got {len(batch)}. Repeat or cut "
            "the batch to that number first; one for all frames needs no Frames in Step."
        )
    return batch[frames]


def cut_latent(latent: dict[str, Any], latents: dict[str, Any]) -> dict[str, Any]:
    """One latent for each frame, cut in the same way, with the initial noise of the schedule."""
    mask = latent.get("noise_mask")
    kept = {} if mask is None else {"noise_mask": _mask(mask, latents)}
    return {**latents, "samples": cut("latent", latent["samples"], latents), **kept}


def _mask(mask: Tensor, latents: dict[str, Any]) -> Tensor:
    """A latent's mask: one for all frames stays, one for each frame is cut."""
    return mask if len(mask) == 1 else cut("latent's mask", mask, latents)
