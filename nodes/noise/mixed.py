"""NOISE objects for SamplerCustomAdvanced: mixes of a noise path's noises.

A NOISE has a `seed` and `generate_noise(latent)`. Ours mix when the sampler asks, because only then
is the size known. Which frames a latent holds stands in the keys of
`nodes/latents.py` where it comes from Morph Schedule, and in ComfyUI's `batch_index` elsewhere.
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

    seeds: where they came from, for their correlations. optimised: what NAO has found for them.
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

    memory: what was optimised, by draw and size, so that no batch optimises it again.
    """

    path: NoisePath
    mix: Mix
    frames: int | None = None
    memory: dict[Any, dict[int, Tensor]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The first keyframe's: samplers that draw noise of their own start from it."""
        return self.path.keyframes[0].seed

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """The noise of a LATENT's images, [B, C, ...] on the CPU like ComfyUI's own.

        Raises ValueError for nested latents and where `requested` and `NoisePath.draw` do.
        """
        like = plain_samples("latent_image", input_latent)
        frames, draws = requested(input_latent, self.frames)
        # A batch without `batch_index` is drawn in one, as ComfyUI does: image n of it is draw n.
        batch = len(like) if draws is None else None
        order = list(range(len(like)) if draws is None else draws)
        different = list(dict.fromkeys(order))
        drawn = self.path.draw(like, None if draws is None else different)
        if len(different) == 1:
            return self._mixed(drawn[:, 0], frames, (different[0], batch))
        out = torch.empty(like.shape, dtype=like.dtype, device="cpu")
        for k, draw in enumerate(different):
            places = [n for n, other in enumerate(order) if other == draw]
            out[places] = self._mixed(drawn[:, k], [frames[n] for n in places], (draw, batch))
        return out

    def _mixed(self, noises: Tensor, frames: Sequence[int], draw: tuple[Any, ...]) -> Tensor:
        """[F, C, ...] from one draw of the keyframes' noises [K, C, ...]."""
        optimised = self.memory.setdefault((*draw, tuple(noises.shape), noises.dtype), {})
        return self.mix(KeyframeNoises(noises, self.path.seeds, self.seed, optimised), frames)


def requested(latent: dict[str, Any], count: int | None) -> tuple[list[int], Sequence[int] | None]:
    """Which frame each image of a LATENT is, and which draw of the seeds it takes.

    count: frames of the noise; None if it is one for all. Then a batch takes one draw each, as with
    RandomNoise: None where it has no `batch_index`. Raises ValueError where the latent's frames are
    not those of the noise.
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
    """What `requested` gives for latents of Morph Schedule; `batch_index` names their one draw."""
    size, frames = len(latent["samples"]), list(latent[FRAMES])
    if latent[FRAME_COUNT] != count:
        raise ValueError(
            f"latent_image: Morph Schedule made {latent[FRAME_COUNT]} frames, but the noise has "
            f"{count}. Connect the same times to Morph Schedule and to Noise Along, or as many "
            "times as a Noise Grid has pictures."
        )
    if len(frames) != size:
        raise ValueError(
            f"latent_image: expected the latents of Morph Schedule as they were, got {size} of a "
            f"batch of {len(frames)}. Connect them directly; frames_per_batch makes smaller ones."
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
    """NAO of all legs, those of other batches included, so that one bar shows all the work."""
    missing = [k for k in legs if k not in keyframes.optimised]
    for number, k in enumerate(missing):
        report = _progress(number, len(missing))
        keyframes.optimised[k] = nao.path(*keyframes.leg(k), keyframes.seed, report)


def _on_optimised(keyframes: KeyframeNoises, k: int, u: float) -> Tensor:
    return keyframes.leg(k)[0] if u == 0 else nao.at(keyframes.optimised[k], u)


def centroid(path: NoisePath, shares: Sequence[float], method: str) -> MixedNoise:
    """The mix of all keyframes; shares [K] sum to 1, and a share of 1 is that noise itself."""
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
        found = nao.centroid(keyframes.noises[used], kept, keyframes.seed, _progress(0, 1))
        keyframes.optimised[0] = found
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
    """Progress of optimisation `number` of `count`; raises what ComfyUI raises on cancel."""
    bar = ProgressBar(count * nao.MAX_STEPS)

    def report(done: int, most: int) -> None:
        management.throw_exception_if_processing_interrupted()
        if done % PROGRESS_EVERY == 0:
            bar.update_absolute(number * most + done)

    return report


def _check_choice(method: str, choices: Sequence[str]) -> None:
    if method not in choices:
        raise ValueError(f"method: expected one of {', '.join(choices)}, got '{method}'.")
