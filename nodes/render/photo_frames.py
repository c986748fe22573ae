"""What the frames of photos show: their reconstructions, or the photos themselves."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...geometry.legs import SAME_TIME
from ...geometry.pasting import paste
from ...geometry.times import LOOP, Times
from ..noise.images import ImagePath

RENDERED, PASTED = "rendered", "pasted in"
PHOTO_FRAMES = (RENDERED, PASTED)
# Of a film's images [F, H, W, 3] and their times, the images that are shown.
Finish = Callable[[Tensor, Times], Tensor]


def as_rendered(images: Tensor, _times: Times) -> Tensor:
    return images


def finish_of(choice: str, photos: ImagePath | None) -> Finish:
    """How a film is finished. Raises ValueError where there are no photos to paste in."""
    if choice == RENDERED:
        return as_rendered
    if photos is None:
        raise ValueError(
            f"photo_frames: expected photos for '{choice}', got none. Connect Image Keyframe to "
            f"image_path, or choose '{RENDERED}'."
        )

    def finish(images: Tensor, times: Times) -> Tensor:
        return paste(images, _shown(photos, images, times), times.is_loop)

    return finish


def _shown(photos: ImagePath, images: Tensor, times: Times) -> dict[int, Tensor]:
    """The photo of each frame that stands on one, by the frame's number."""
    knots = photos.noises.knots(times.ending == LOOP).tolist()
    found = {}
    for k, t in enumerate(times.values):
        near = min(range(len(knots)), key=lambda i: abs(knots[i] - t))
        if abs(knots[near] - t) <= SAME_TIME:
            photo = photos.photos[near % len(photos.photos)]
            found[k] = _middle(photo, *images.shape[1:3])
    return found


def _middle(photo: Tensor, height: int, width: int) -> Tensor:
    """The part of a photo that ComfyUI's VAE encodes: whole latent pixels, from its middle."""
    top, left = ((a - b) // 2 for a, b in zip(photo.shape[:2], (height, width), strict=True))
    return photo[top : top + height, left : left + width]
