"""What travels on GEODESIC_NOISE_PATH: a chain of noises, from seeds or from inverted images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import comfy.sample
import numpy as np
import torch
from torch import Tensor

from ..geometry.legs import check_weight, knots

# Set by Invert Image: how far up the noise goes, 1 for all the way, and that in the model's own σ.
NOISE_LEVEL, SIGMA = "geodesic_noise_level", "geodesic_sigma"
# Set on a density path's latents, from which a sampler goes on: level, σ, and the tensor it says
# this of, weakly. Nodes that change the tensor keep the key; the tensor tells.
NOISED = "geodesic_noised"
# A latent whose norm is further from √D than this is no noise. That catches pictures' own latents
# of SD1.5 and SDXL, but not those of models whose latents have unit variance themselves.
NOISE_RATIOS = (0.4, 2.5)


@dataclass(frozen=True, eq=False)
class NoiseKeyframe:
    """One noise: drawn from a seed, or `latent` [1, C, ...], an inverted image.

    weight: relative length in time of the leg that ends here; the first one's closes a loop.
    """

    seed: int
    weight: float = 1.0
    latent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class NoisePath:
    """A chain of noise keyframes."""

    keyframes: tuple[NoiseKeyframe, ...] = ()

    def append(self, keyframe: NoiseKeyframe) -> NoisePath:
        """This path with one more keyframe. Raises ValueError for images unlike in size."""
        check_weight(keyframe.weight)
        for number, other in enumerate(self.keyframes, start=1):
            one, two = other.latent, keyframe.latent
            if one is not None and two is not None and one.shape != two.shape:
                raise ValueError(
                    f"latent: expected the size of keyframe {number}, {list(one.shape)}, got "
                    f"{list(two.shape)}. Encode all images at one size, with one model's VAE."
                )
        return replace(self, keyframes=(*self.keyframes, keyframe))

    def knots(self, is_loop: bool) -> np.ndarray:
        """The times of the keyframes; of the first again at the end of a loop."""
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
        A seed gives what ComfyUI itself draws there. Raises ValueError where an inverted image has
        another size.
        """
        noises = []
        for number, keyframe in enumerate(self.keyframes, start=1):
            if keyframe.latent is None:
                generator = torch.Generator("cpu").manual_seed(keyframe.seed)
                noises.append(comfy.sample.prepare_noise_inner(like, generator, images))
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


def keyframe_latent(latent: dict[str, Any]) -> Tensor:
    """The noise [1, C, ...] of one inverted image. Raises ValueError for anything else."""
    samples = latent["samples"]
    if samples.is_nested or len(samples) != 1:
        got = "nested latents" if samples.is_nested else f"a batch of {len(samples)}"
        raise ValueError(
            f"latent: expected one inverted image, got {got}. Pick one with LatentFromBatch."
        )
    ratio = norm_ratios(samples)[0]
    if not math.isfinite(ratio):
        raise ValueError(
            "latent: expected finite numbers, got NaN or infinity. Check the model and the steps "
            "of the inversion."
        )
    level = latent.get(NOISE_LEVEL, 1.0)
    if level < 1:
        raise ValueError(
            f"latent: expected an image inverted to noise_level 1, got {level:g}. Only there is it "
            "noise alone, as samplers start from."
        )
    if not NOISE_RATIOS[0] <= ratio <= NOISE_RATIOS[1]:
        raise ValueError(
            f"latent: expected the noise of an image, of norm ratio near 1, got {ratio:.2f}. "
            "Connect Invert Image, with enough steps; a picture's own latent is no noise."
        )
    return samples.detach()


def norm_ratios(noise: Tensor) -> list[float]:
    """‖z‖ / √D of every noise of a batch [B, ...]; near 1 for unit Gaussians."""
    rows = noise.flatten(1).double()
    return (rows.norm(dim=1) / math.sqrt(rows.shape[1])).tolist()
