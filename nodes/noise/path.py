"""Chains of noises, from seeds or inverted images: the values of GEODESIC_NOISE_PATH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...geometry.legs import check_weight, knots
from ..internals import seed_noise


@dataclass(frozen=True, eq=False)
class NoiseKeyframe:
    """One noise: drawn from a seed, or `latent` [1, C, ...], an inverted image.

    weight: relative length in time of the leg that ends here; for the first keyframe, of the leg
    that closes a loop.
    """

    seed: int
    weight: float = 1.0
    latent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class NoisePath:
    """A chain of noise keyframes."""

    keyframes: tuple[NoiseKeyframe, ...] = ()

    def append(self, keyframe: NoiseKeyframe) -> NoisePath:
        """This path with one more keyframe. Raises ValueError for images of different size."""
        check_weight(keyframe.weight)
        for number, earlier in enumerate(self.keyframes, start=1):
            a, b = earlier.latent, keyframe.latent
            if a is not None and b is not None and a.shape != b.shape:
                raise ValueError(
                    f"latent: expected the size of keyframe {number}, {list(a.shape)}, got "
                    f"{list(b.shape)}. Encode all images at one size, with one model's VAE."
                )
        return replace(self, keyframes=(*self.keyframes, keyframe))

    def knots(self, is_loop: bool) -> np.ndarray:
        """The times of the keyframes; a loop ends with the first keyframe again."""
        if len(self.keyframes) < 2:
            raise ValueError(
                "noise_path: expected at least two keyframes, got one. Chain another Noise "
                "Keyframe behind it."
            )
        weights = [keyframe.weight for keyframe in self.keyframes[1:]]
        return knots([*weights, self.keyframes[0].weight] if is_loop else weights)

    @property
    def seeds(self) -> list[int | None]:
        """The seed of each keyframe, None for an inverted image."""
        return [k.seed if k.latent is None else None for k in self.keyframes]

    def draw(self, like: Tensor, images: Sequence[int] | None) -> Tensor:
        """All noises for images like `like` [B, C, ...]: [K, images, C, ...], on the CPU.

        images: which images of a batch, as in ComfyUI's `batch_index`; None for the B of this one.
        A seed gives the same noise as in ComfyUI itself. Raises ValueError where an inverted image
        has another size.
        """
        noises = []
        for number, keyframe in enumerate(self.keyframes, start=1):
            if keyframe.latent is None:
                noises.append(seed_noise(like, keyframe.seed, images))
                continue
            if keyframe.latent.shape[1:] != like.shape[1:]:
                raise ValueError(
                    f"noise_path, keyframe {number}: this inverted image is a latent of "
                    f"{list(keyframe.latent.shape[1:])}, but the latent to sample is "
                    f"{list(like.shape[1:])}. Give both the same size."
                )
            count = len(like) if images is None else len(images)
            noises.append(keyframe.latent.to("cpu", like.dtype).expand(count, *like.shape[1:]))
        return torch.stack(noises)
