"""What a LATENT holds: which frames, which noise level; and the checks that refuse a LATENT.

A LATENT is a dictionary with `samples`, [B, C, H, W] (or [B, C, T, H, W] for video). ComfyUI's own
nodes copy keys that they do not know, so what we write here travels with the samples:

FRAMES, FRAME_COUNT   which frames of how many a batch of Morph Schedule holds
NOISE_LEVEL, SIGMA    how far Invert Image went
MODEL                 which model it used, a `Fingerprint`
NOISED                that a sampler continues from these samples (latents of a density path)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..geometry.noise_level import NoiseLevel
from .fingerprint import Fingerprint, check_model
from .internals import is_flow, with_model_channels

# The frame number of each image, and how many frames there are. ComfyUI's `batch_index` is not free
# for this: equal numbers there make all frames share one noise.
FRAMES, FRAME_COUNT = "geodesic_frames", "geodesic_frame_count"
# The noise level as a share of the model's time, 1 for pure noise, and as the model's own σ.
NOISE_LEVEL, SIGMA = "geodesic_noise_level", "geodesic_sigma"
MODEL = "geodesic_model"
# Share, σ and a digest of the samples. Nodes that change the samples copy the key; the digest then
# shows that it is out of date.
NOISED = "geodesic_noised"

# A latent whose norm ‖z‖/√D is outside this range is not noise. That catches the latents of
# pictures of SD1.5 and SDXL, but not of models whose picture latents have unit variance.
NOISE_RATIOS = (0.4, 2.5)
# Two unit vectors whose sum is shorter than this are opposite.
OPPOSITE = 1e-6


# Batches


def repeat_latent(
    latent: dict[str, Any], frames: int, places: Sequence[int] | None = None
) -> dict[str, Any]:
    """One image `frames` times; every copy gets the noise of a single render of this image.

    ComfyUI draws the noise of image n of a batch from `batch_index[n]`; equal indices share it.
    places: for each copy, where its own noise stands among those that ComfyUI draws for a batch.
    """
    samples = latent["samples"]
    repeated = samples.repeat(frames, *([1] * (samples.ndim - 1)))
    first = latent.get("batch_index", [0])[0]
    index = [first] * frames if places is None else [first + place for place in places]
    return {**latent, "samples": repeated, "batch_index": index}


def check_one_image(latent: dict[str, Any], frames_from: str = "'times'") -> None:
    """Raise ValueError unless a latent holds exactly one image.

    frames_from: the input that says how many frames there are, for the error.
    """
    count = latent["samples"].shape[0]
    if count != 1:
        raise ValueError(
            f"latent: expected one image, got a batch of {count}. The number of frames comes from "
            f"{frames_from}; set batch_size to 1, or pick one with LatentFromBatch."
        )


def plain_samples(name: str, latent: dict[str, Any]) -> Tensor:
    """The samples of a LATENT. Raises ValueError, naming the input, for nested ones."""
    samples = latent["samples"]
    if samples.is_nested:
        raise ValueError(
            f"{name}: this model's latents are nested (picture and sound together), which this "
            "node can't take. Use a model of pictures alone."
        )
    return samples


def check_finite(name: str, samples: Tensor, cause: str) -> None:
    """Raise ValueError for NaN or infinity. cause: what the person should look at."""
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity. Check {cause}.")


def check_channels(model: Any, name: str, channels: int) -> None:
    """Raise ValueError unless latents have as many channels as those of the model."""
    expected = model.get_model_object("latent_format").latent_channels
    if channels != expected:
        raise ValueError(
            f"{name}: expected {expected} channels as this model has, got {channels}. Use one "
            "checkpoint for all of them: its VAE, its model and the images inverted with it."
        )


# Pictures


def encoded_pictures(model: Any, name: str, latent: dict[str, Any]) -> Tensor:
    """The latents [B, C, ...] of pictures that this model can work on, in float32.

    Raises ValueError, naming the input, for nested, empty or infinite latents, or other channels.
    """
    plain_samples(name, latent)
    samples = with_model_channels(model, latent)
    check_channels(model, name, samples.shape[1])
    check_finite(name, samples, "the VAE")
    if not bool(samples.flatten(1).any(dim=1).all()):
        raise ValueError(
            f"{name}: expected an encoded image, got an empty latent. Connect VAE Encode."
        )
    return samples.float()


def single_picture(model: Any, name: str, latent: dict[str, Any]) -> Tensor:
    """The latent [1, C, ...] of one picture. Raises ValueError for anything else."""
    samples = encoded_pictures(model, name, latent)
    if len(samples) != 1:
        raise ValueError(
            f"{name}: expected one image, got a batch of {len(samples)}. Pick one with "
            "LatentFromBatch."
        )
    if NOISE_LEVEL in latent or NOISED in latent:
        raise ValueError(
            f"{name}: expected a picture, got noise of Invert Image or a density path. Connect VAE "
            "Encode; Invert Image comes after this node."
        )
    return samples


# The noise of inverted images


@dataclass(frozen=True)
class InvertedLevel:
    """The noise level of inverted images: a share of the model's time, and its σ at that time."""

    share: float
    sigma: float
    flow: bool

    def of(self, count: int) -> NoiseLevel:
        """The noise level of `count` points."""
        return NoiseLevel(torch.full((count,), self.sigma, dtype=torch.float64), self.flow)

    @property
    def sampler_scale(self) -> float:
        """The factor from the noise of Invert Image to the latent that a sampler starts from."""
        return float(self.of(1).sampler_scale)


def check_inverted(name: str, latent: dict[str, Any]) -> None:
    """Raise ValueError for a LATENT that does not say how far it was inverted."""
    if NOISE_LEVEL not in latent or SIGMA not in latent:
        raise ValueError(
            f"{name}: expected an inverted image, got a latent without a noise level. Connect "
            "Invert Image, or Load Inversion: Save Inversion keeps the level, SaveLatent drops it."
        )


def inverted_noise(model: Any, name: str, latent: dict[str, Any]) -> Tensor:
    """The noises [B, C, ...] that Invert Image made with this model; otherwise ValueError."""
    samples = plain_samples(name, latent)
    check_inverted(name, latent)
    check_channels(model, name, samples.shape[1])
    check_inverting_model(model, name, latent)
    check_finite(name, samples, "the model")
    if not bool(samples.flatten(1).any(dim=1).all()):
        raise ValueError(f"{name}: expected the noise of an image, got zeros. Check the model.")
    return samples.detach().cpu()


def check_inverting_model(model: Any, name: str, latent: dict[str, Any]) -> None:
    """Raise ValueError where another model inverted a LATENT, as far as that is known."""
    made_by: Fingerprint | None = latent.get(MODEL)
    if made_by is not None:
        check_model(name, made_by, model)


def inverted_pair(
    model: Any, latent_a: dict[str, Any], latent_b: dict[str, Any]
) -> tuple[InvertedLevel, tuple[Tensor, Tensor]]:
    """The noise level of two inverted images and their noises [1, C, ...], as a path's two ends.

    Raises ValueError for anything but one image each, of one size and one noise level.
    """
    points = []
    for name, latent in (("latent_a", latent_a), ("latent_b", latent_b)):
        points.append(inverted_noise(model, name, latent))
        if len(points[-1]) != 1:
            raise ValueError(
                f"{name}: expected one inverted image, got a batch of {len(points[-1])}. Pick one "
                "with LatentFromBatch."
            )
    if points[0].shape != points[1].shape:
        raise ValueError(
            f"latent_a and latent_b: expected one size, got {list(points[0].shape[1:])} and "
            f"{list(points[1].shape[1:])}. Scale both images alike before they are encoded."
        )
    levels = [(latent[NOISE_LEVEL], latent[SIGMA]) for latent in (latent_a, latent_b)]
    if not same_level(levels[0][1], levels[1][1]):
        raise ValueError(
            f"latent_a and latent_b: expected one noise level, got {levels[0][0]:g} and "
            f"{levels[1][0]:g} (sigma {levels[0][1]:.4g} and {levels[1][1]:.4g}). Give both Invert "
            "Image nodes the same noise_level and steps."
        )
    a, b = points[0].float(), points[1].float()
    if float((a / a.norm() + b / b.norm()).norm()) < OPPOSITE:
        raise ValueError(
            "latent_a and latent_b: expected images with one shortest arc between them, got exact "
            "opposites. Change one of them a little."
        )
    return level_of(model, "latent_a and latent_b", *levels[0]), (a, b)


def same_level(a: float, b: float) -> bool:
    """Whether two σ are one noise level."""
    return math.isclose(a, b, rel_tol=1e-3)


def level_of(model: Any, name: str, share: float, sigma: float) -> InvertedLevel:
    """The noise level of latents. Raises ValueError for pure noise of a flow model."""
    level = InvertedLevel(share, sigma, is_flow(model))
    if level.flow and sigma > 1 - 1e-4:
        raise ValueError(
            f"{name}: at noise_level 1 a flow model's latents are noise alone, and "
            "no sampler can go on from them. Invert images to a lower level, such as 0.6."
        )
    return level


def keyframe_noise(latent: dict[str, Any]) -> Tensor:
    """The noise [1, C, ...] of one image, inverted to noise_level 1; otherwise ValueError."""
    samples = plain_samples("latent", latent)
    check_inverted("latent", latent)
    if len(samples) != 1:
        raise ValueError(
            f"latent: expected one inverted image, got a batch of {len(samples)}. Pick one with "
            "LatentFromBatch."
        )
    check_finite("latent", samples, "the model and the steps of the inversion")
    level = latent[NOISE_LEVEL]
    if level < 1:
        raise ValueError(
            f"latent: expected an image inverted to noise_level 1, got {level:g}. Only that level "
            "is pure noise, from which samplers start."
        )
    ratio = norm_ratios(samples)[0]
    if not NOISE_RATIOS[0] <= ratio <= NOISE_RATIOS[1]:
        raise ValueError(
            f"latent: expected the noise of an image, of norm ratio near 1, got {ratio:.2f}. "
            "Connect Invert Image, with enough steps; the latent of a picture is not noise."
        )
    return samples.detach()


def norm_ratios(noise: Tensor) -> list[float]:
    """‖z‖ / √D of every noise of a batch [B, ...]; near 1 for unit Gaussians."""
    rows = noise.flatten(1).double()
    return (rows.norm(dim=1) / math.sqrt(rows.shape[1])).tolist()


# Latents of a density path, from which a sampler continues


def noised(samples: Tensor, level: InvertedLevel) -> dict[str, Any]:
    """The key that marks a LATENT from which a sampler continues, with its noise level."""
    return {NOISED: (level.share, level.sigma, _digest(samples))}


def level_if_noised(latent: dict[str, Any]) -> tuple[float, float] | None:
    """Share and σ of latents that a density path made; None for others.

    Raises ValueError for latents of a density path that were changed afterwards.
    """
    if NOISED not in latent:
        return None
    share, sigma, digest = latent[NOISED]
    if digest != _digest(latent["samples"]):
        raise ValueError(
            "latents: these came from a density path and were changed since. Connect the path's "
            "latents directly; for rendered frames, go through VAE Decode and VAE Encode."
        )
    return share, sigma


def _digest(samples: Tensor) -> str:
    values = samples.detach().to("cpu", torch.float32).contiguous()
    return hashlib.blake2b(values.numpy().tobytes(), digest_size=16).hexdigest()
