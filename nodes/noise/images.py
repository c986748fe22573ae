"""Photos as one path: their noises and their prompts together, the values of GEODESIC_IMAGE_PATH.

Each photo is inverted once, to the path's noise level. Between two photos the prompt follows the
Wasserstein geodesic, and the noise is mixed by COG with measured correlations, so that it keeps its
strength although inverted images are correlated (arXiv 2408.08558, equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...geometry.cloud import clouds_from_conditioning
from ...geometry.legs import check_weight
from ...geometry.path import Keyframe, Path
from ...geometry.times import Times
from ..fingerprint import Fingerprint, check_model, fingerprint
from ..inputs import as_paths, check_entries
from ..latents import InvertedLevel, level_of, same_level
from ..prompt.batches import check_one_prompt
from . import inversion
from .mixed import COG, KeyframeNoises, along
from .path import NoiseKeyframe, NoisePath

STEPS, REFINEMENTS, NOISE_LEVEL = 50, 1, 0.6
# Of photos in a path. Their correlations take time and memory that grow with the square.
MOST = 20


@dataclass(frozen=True, eq=False)
class ImagePath:
    """A chain of inverted photos.

    noises: of unit variance, at `level`. prompts: one path for each entry of the conditioning.
    made_by: the model that inverted them. photos: each [H, W, 3] in [0, 1], all of one size.
    """

    noises: NoisePath
    prompts: tuple[Path, ...]
    level: InvertedLevel
    made_by: Fingerprint
    photos: tuple[Tensor, ...]

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the photos."""
        height, width, _ = self.photos[0].shape
        return width, height

    @cached_property
    def _inverted(self) -> KeyframeNoises:
        """All noises [K, C, ...]; kept, because their correlations take a while to measure."""
        latents = [k.latent for k in self.noises.keyframes if k.latent is not None]
        return KeyframeNoises(torch.cat(latents), self.noises.seeds, 0, {})

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape [C, ...] of one latent."""
        return tuple(self._inverted.noises.shape[1:])

    def at(self, times: Sequence[float], ending: str) -> Tensor:
        """The noises at these times, [F, C, ...]; at a keyframe its own, bit for bit."""
        mixed = along(self.noises, Times(tuple(times), ending), COG)
        return mixed.mix(self._inverted, range(len(times)))

    def check_for(self, model: Any) -> None:
        """Raise ValueError unless this is a path that this model can render."""
        if len(self.noises.keyframes) < 2:
            raise ValueError(
                "image_path: expected at least two photos, got one. Chain another Image Keyframe "
                "behind it."
            )
        check_model("image_path", self.made_by, model)


def prompts_between(path: Any) -> tuple[Path, ...]:
    """The prompts from one image to another: those of a path, a coupling, or of two photos.

    Raises ValueError for more photos, or one.
    """
    if not isinstance(path, ImagePath):
        return as_paths(path)
    if len(path.photos) != 2:
        raise ValueError(
            f"path: expected two photos, got {len(path.photos)}: this path leads from one image to "
            "another. Give every two photos a chain of their own."
        )
    return path.prompts


@dataclass(frozen=True)
class PhotoSettings:
    """How a photo is inverted, and the weight of the leg that ends there."""

    steps: int = STEPS
    noise_level: float = NOISE_LEVEL
    weight: float = 1.0


def append_photo(
    model: Any,
    vae: Any,
    image: Tensor,
    prompt: Any,
    settings: PhotoSettings,
    previous: ImagePath | None,
) -> tuple[ImagePath, inversion.Inversion]:
    """A path with one more photo, [1, H, W, 3] in [0, 1], and its inversion.

    Everything is checked before the photo is inverted. Raises ValueError, naming the input, for
    anything but one photo of three channels and one prompt, where size, model or noise level are
    not those of the path so far, and for more than `MOST` photos.
    """
    pixels = _size_of(image)
    check_one_prompt("prompt", prompt)
    check_weight(settings.weight)
    sigma = inversion.ascending_sigmas(model, settings.steps, settings.noise_level)[-1]
    level = level_of(model, "noise_level", settings.noise_level, float(sigma))
    if previous is not None:
        _check_fits(previous, model, level, pixels)
    prompts = _longer(previous, prompt, settings.weight)
    inverted = inversion.invert(
        model,
        prompt,
        {"samples": vae.encode(image)},
        settings.steps,
        settings.noise_level,
        REFINEMENTS,
        ("image", "prompt"),
    )
    noise = inverted.latent["samples"].detach().to("cpu", torch.float32)
    before = NoisePath() if previous is None else previous.noises
    noises = before.append(NoiseKeyframe(0, settings.weight, noise))
    photo = image[0].detach().to("cpu", torch.float32).clamp(0, 1)
    if previous is None:
        return ImagePath(noises, prompts, level, fingerprint(model), (photo,)), inverted
    photos = (*previous.photos, photo)
    return replace(previous, noises=noises, prompts=prompts, photos=photos), inverted


def _size_of(image: Tensor) -> tuple[int, int]:
    """Width and height of one photo. Raises ValueError for batches and for other channels."""
    count, height, width, channels = image.shape
    if count != 1:
        raise ValueError(
            f"image: expected one photo, got a batch of {count}. Pick one with ImageFromBatch, and "
            "give every photo an Image Keyframe of its own."
        )
    if channels != 3:
        raise ValueError(
            f"image: expected 3 channels (red, green, blue), got {channels}. Remove the alpha "
            "channel with Split Image with Alpha."
        )
    return width, height


def _check_fits(path: ImagePath, model: Any, level: InvertedLevel, pixels: tuple[int, int]) -> None:
    """Raise ValueError unless a photo has the size, the model and the noise level of a path."""
    if len(path.photos) >= MOST:
        raise ValueError(
            f"previous: expected fewer than {MOST} photos before this one, got "
            f"{len(path.photos)}. Render the film in parts that begin with the photo where the "
            "part before ends."
        )
    if pixels != path.pixels:
        ours, theirs = ("x".join(map(str, size)) for size in (pixels, path.pixels))
        raise ValueError(
            f"image: expected the size of the photos before it, {theirs} pixels, got {ours}. Scale "
            "or crop it with Upscale Image (crop: center)."
        )
    check_model("previous", path.made_by, model)
    if not same_level(level.sigma, path.level.sigma):
        raise ValueError(
            f"noise_level: expected that of the photos before it, {path.level.share:g} (sigma "
            f"{path.level.sigma:.4g}), got {level.share:g} (sigma {level.sigma:.4g}). Give all "
            "Image Keyframes of a path the same noise_level and steps."
        )


def _longer(previous: ImagePath | None, prompt: Any, weight: float) -> tuple[Path, ...]:
    """The prompts of a path with one more, paired by optimal transport."""
    keyframes = [Keyframe(cloud, weight) for cloud in clouds_from_conditioning(prompt)]
    if previous is None:
        return tuple(Path((keyframe,)) for keyframe in keyframes)
    names = ("previous", "prompt")
    check_entries(previous.prompts, keyframes, names)
    pairs = zip(previous.prompts, keyframes, strict=True)
    return tuple(path.append(keyframe, names) for path, keyframe in pairs)
