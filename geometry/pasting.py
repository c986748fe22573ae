"""Pictures pasted into a film at its keyframes, with an ease on both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

EASE = 2  # frames on each side of a keyframe that lean towards its picture


def paste(frames: Tensor, pictures: Mapping[int, Tensor], is_loop: bool = False) -> Tensor:
    """A film in which some frames are given pictures, exactly.

    frames: [F, H, W, C] in [0, 1]. pictures: [H, W, C] in [0, 1], by the number of their frame.
    is_loop: whether the last frame is followed by the first. What a picture has more than the frame
    in its place is added to the `EASE` frames on both sides too, with weights that fall from 1 to 0
    along a cosine; so the film does not jump into the picture and out of it. Where the next picture
    is nearer than that, the weights reach 0 there.

    Raises ValueError for a number outside the film, and for a picture of another shape.
    """
    count = len(frames)
    for k, picture in pictures.items():
        if not 0 <= k < count or picture.shape != frames.shape[1:]:
            raise ValueError(
                f"pictures: expected {list(frames.shape[1:])} at a frame below {count}, got "
                f"{list(picture.shape)} at frame {k}."
            )
    pasted = frames.clone()
    for k, picture in pictures.items():
        rest = picture.to(frames) - frames[k]
        for step in (-1, 1):
            for place, weight in _side(k, step, count, pictures, is_loop):
                pasted[place] += weight * rest
    for k, picture in pictures.items():
        pasted[k] = picture
    return pasted.clamp_(0, 1)


def _side(
    k: int, step: int, count: int, pictures: Mapping[int, Tensor], is_loop: bool
) -> list[tuple[int, float]]:
    """The frames beside frame k in one direction that its picture eases, and their weights."""
    places: list[int] = []
    for distance in range(1, EASE + 1):
        place = k + step * distance
        place = place % count if is_loop else place
        if not 0 <= place < count or place in pictures:
            break
        places.append(place)
    reach = len(places) + 1
    weights = [math.cos(math.pi / 2 * d / reach) ** 2 for d in range(1, reach)]
    return list(zip(places, weights, strict=True))
