"""NOISE objects for SamplerCustomAdvanced: mixes of the noises of a path.

A NOISE has a `seed` and `generate_noise(latent)`. Ours mix at that call, because the size is not
known before. The frames of a latent are read from the keys of `nodes/latents.py` if it comes from
Morph Schedule, otherwise from ComfyUI's `batch_index`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import comfy.model_management as management
import torch
from comfy.utils import ProgressBar
from torch import Tensor

from ...geometry import arc, gaussian, nao
from ...geometry.legs import locate
from ...geometry.times import Times
from ..latents import FRAME_COUNT, FRAMES, plain_samples
from .path import NoisePath

COG, SLERP, LERP, NAO = "COG", "SLERP", "LERP", "NAO"
METHODS = (COG, SLERP, LERP, NAO)
EUCLIDEAN, STANDARDISED, MODE_NORM = "Euclidean", "standardised", "mode norm"
CENTROIDS = (COG, EUCLIDEAN, STANDARDISED, MODE_NORM, NAO)
RESCALED = {STANDARDISED: gaussian.standardised, MODE_NORM: gaussian.mode_norm}

PROGRESS_EVERY = 50  # steps of an optimisation; milliseconds each, or seconds for a video


@dataclass(frozen=True, eq=False)
class KeyframeNoises:
    """The noises of a path at one size, [K, C, ...].

    seeds: of the noises (None for an image), for their correlations. optimised: NAO's path by leg,
    or its centroid as number 0.
    """

    noises: Tensor
    seeds: Sequence[int | None]
    seed: int
    optimised: dict[int, Tensor]

    @cached_property
    def correlations(self) -> Tensor:
        return gaussian.correlation(self.noises, self.seeds)

    def leg(self, k: int) -> tuple[Tensor, Tensor]:
        """The noises at both ends of leg k; the last leg of a loop ends at the first noise."""
        count = len(self.noises)
        return self.noises[k % count], self.noises[(k + 1) % count]


# From the noises and the numbers of F frames to these frames, [F, C, ...].
Mix = Callable[[KeyframeNoises, Sequence[int]], Tensor]


@dataclass(frozen=True, eq=False)
class MixedNoise:
    """A NOISE of `frames` frames, or one noise for any image (None), mixed from a path.

    memory: NAO's results by draw and size, so that later batches use them again.
    """

    path: NoisePath
    mix: Mix
    frames: int | None = None
    memory: dict[Any, dict[int, Tensor]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of the first keyframe. Samplers that add noise draw their own noise from it."""
        return self.path.keyframes[0].seed

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """The noise of a LATENT's images, [B, C, ...] on the CPU like ComfyUI's own.

        Raises ValueError for nested latents, and what `frames_and_draws` and `NoisePath.draw`
        raise.
        """
        like = plain_samples("latent_image", input_latent)
        frames, draws = frames_and_draws(input_latent, self.frames)
        # A batch without `batch_index` is drawn in one, as ComfyUI does: image n of it is draw n.
        batch = len(like) if draws is None else None
        order = list(range(len(like)) if draws is None else draws)
        different = list(dict.fromkeys(order))
        drawn = self.path.draw(like, None if draws is None else different)
        if len(different) == 1:
            return self._mixed(drawn[:, 0], frames, (different[0], batch))
        out = torch.empty(like.shape, dtype=like.dtype, device="cpu")
        for k, draw in enumerate(different):
            places = [n for n, drawn_as in enumerate(order) if drawn_as == draw]
            out[places] = self._mixed(drawn[:, k], [frames[n] for n in places], (draw, batch))
        return out

    def _mixed(self, noises: Tensor, frames: Sequence[int], draw: tuple[Any, ...]) -> Tensor:
        """[F, C, ...] from one draw of the keyframes' noises [K, C, ...]."""
        optimised = self.memory.setdefault((*draw, tuple(noises.shape), noises.dtype), {})
        return self.mix(KeyframeNoises(noises, self.path.seeds, self.seed, optimised), frames)


def frames_and_draws(
    latent: dict[str, Any], count: int | None
) -> tuple[list[int], Sequence[int] | None]:
    """Which frame each image of a LATENT is, and which draw of the seeds it takes.

    count: frames of the noise, or None for one mix for all images. With None every image takes a
    draw of its own, as with RandomNoise; the draws are None where there is no `batch_index`. Raises
    ValueError where the latent's frames are not those of the noise.
    """
    size = len(latent["samples"])
    index = latent.get("batch_index")
    if index is not None and len(index) != size:
        raise ValueError(
            f"latent_image: expected one batch_index for each of its {size} images, got "
            f"{len(index)}. Make the batch anew, or cut it with LatentFromBatch."
        )
    if count is None:
        return [0] * size, index
    if latent.get(FRAMES) is not None:
        return _scheduled(latent, count)
    if index is None and size == count:
        return list(range(size)), [0] * size
    if index is None or len(set(index)) != size or not all(0 <= i < count for i in index):
        got = f"a batch of {size}" if index is None else f"images {list(index)} of a batch"
        raise ValueError(
            f"latent_image: expected one latent for each of the noise's {count} frames, got {got}. "
            f"Connect Morph Schedule's latents, or an empty latent with batch_size {count} (in "
            "parts by Rebatch Latents)."
        )
    return list(index), [0] * size


def _scheduled(latent: dict[str, Any], count: int) -> tuple[list[int], Sequence[int]]:
    """`frames_and_draws` for latents of Morph Schedule, which share one draw."""
    size, frames = len(latent["samples"]), list(latent[FRAMES])
    if latent[FRAME_COUNT] != count:
        raise ValueError(
            f"latent_image: Morph Schedule made {latent[FRAME_COUNT]} frames, but the noise has "
            f"{count}. Connect the same times to Morph Schedule and to Noise Along, or as many "
            "times as a Noise Grid has pictures."
        )
    if len(frames) != size:
        raise ValueError(
            f"latent_image: expected the latents of Morph Schedule unchanged, got {size} of a "
            f"batch of {len(frames)}. Connect them directly; for smaller batches set "
            "frames_per_batch."
        )
    return frames, latent.get("batch_index", [0] * size)


def along(path: NoisePath, times: Times, method: str) -> MixedNoise:
    """One noise per time. Raises ValueError for a path of one keyframe or an unknown method."""
    _check_choice(method, METHODS)
    stops = path.knots(times.is_loop)
    places = [locate(stops, t) for t in times.values]

    def mix(keyframes: KeyframeNoises, frames: Sequence[int]) -> Tensor:
        wanted = [places[frame] for frame in frames]
        if method == NAO:
            _optimise_legs(keyframes, sorted({k for k, u in places if u > 0}))
            return torch.stack([_on_optimised(keyframes, k, u) for k, u in wanted])
        weights = _leg_weights(keyframes, wanted, method)
        if method == COG:
            weights = gaussian.cog(weights, keyframes.correlations)
        return gaussian.combine(keyframes.noises, weights)

    return MixedNoise(path, mix, len(times))


def _leg_weights(
    keyframes: KeyframeNoises, places: Sequence[tuple[int, float]], method: str
) -> Tensor:
    """[F, K]: at most two weights a row, those of the ends of its leg."""
    count = len(keyframes.noises)
    weights = torch.zeros(len(places), count, dtype=torch.float64)
    angles: dict[int, float] = {}
    for row, (k, u) in zip(weights, places, strict=True):
        if u == 0:
            row[k % count] = 1.0
            continue
        if method == SLERP:
            if k not in angles:
                angles[k] = arc.angle(*keyframes.leg(k))
            row[k % count], row[(k + 1) % count] = gaussian.slerp(angles[k], u)
        else:
            row[k % count], row[(k + 1) % count] = gaussian.lerp(u)
    return weights


def _optimise_legs(keyframes: KeyframeNoises, legs: Sequence[int]) -> None:
    """Run NAO on the legs of all batches, so that one progress bar shows all the work."""
    missing = [k for k in legs if k not in keyframes.optimised]
    for number, k in enumerate(missing):
        report = _progress(number, len(missing))
        keyframes.optimised[k] = nao.path(*keyframes.leg(k), keyframes.seed, report)


def _on_optimised(keyframes: KeyframeNoises, k: int, u: float) -> Tensor:
    return keyframes.leg(k)[0] if u == 0 else nao.at(keyframes.optimised[k], u)


def centroid(path: NoisePath, shares: Sequence[float], method: str) -> MixedNoise:
    """The mix of all keyframes; shares [K] sum to 1, and a share of 1 gives that noise itself."""
    _check_choice(method, CENTROIDS)
    weights = torch.tensor([shares], dtype=torch.float64)

    def mix(keyframes: KeyframeNoises, frames: Sequence[int]) -> Tensor:
        if method == NAO and max(shares) < 1:
            mixed = _optimised_centroid(keyframes, shares)
        elif method == COG:
            mixed = gaussian.combine(
                keyframes.noises, gaussian.cog(weights, keyframes.correlations)
            )[0]
        else:
            mixed = gaussian.combine(keyframes.noises, weights)[0]
        if max(shares) < 1 and method in RESCALED:
            mixed = RESCALED[method](mixed)
        return mixed.expand(len(frames), *mixed.shape).contiguous()

    return MixedNoise(path, mix)


def _optimised_centroid(keyframes: KeyframeNoises, shares: Sequence[float]) -> Tensor:
    if not keyframes.optimised:
        used = [k for k, share in enumerate(shares) if share > 0]
        kept = [shares[k] for k in used]
        centre = nao.centroid(keyframes.noises[used], kept, keyframes.seed, _progress(0, 1))
        keyframes.optimised[0] = centre
    return keyframes.optimised[0]


def plane(
    path: NoisePath, rows: int, columns: int, axes: tuple[int, int], extent: float
) -> MixedNoise:
    """A plane through the span of all keyframes, row by row. Raises what `gaussian.grid` raises."""
    gaussian.check_plane(len(path.keyframes), axes, extent)

    def mix(keyframes: KeyframeNoises, frames: Sequence[int]) -> Tensor:
        weights = gaussian.grid(keyframes.noises, rows, columns, axes, extent)[list(frames)]
        return gaussian.combine(keyframes.noises, gaussian.cog(weights, keyframes.correlations))

    return MixedNoise(path, mix, rows * columns)


def _progress(number: int, count: int) -> Callable[[int, int], None]:
    """The progress function of optimisation `number` of `count`; raises when cancelled."""
    bar = ProgressBar(count * nao.MAX_STEPS)

    def report(done: int, most: int) -> None:
        management.throw_exception_if_processing_interrupted()
        if done % PROGRESS_EVERY == 0:
            bar.update_absolute(number * most + done)

    return report


def _check_choice(method: str, choices: Sequence[str]) -> None:
    if method not in choices:
        raise ValueError(f"method: expected one of {', '.join(choices)}, got '{method}'.")
