"""Frames of a morph by ComfyUI's own sampling, starting from noise or from a saved state.

Every run uses the sampler, the guider and the σ of KSampler. A frame that takes over early steps
only runs the remaining steps, starting from a mix of its neighbours' states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor

from ...geometry.path import Path
from ...geometry.placement import Insertion
from ...geometry.times import LOOP, STOP, Times
from ..density.path import DensityPath
from ..internals import (
    fitting_frames,
    ksampler_sigmas,
    noise_factor,
    resumable_sampler,
    sample_custom,
    sampler_names,
    seed_noise,
    with_model_channels,
    without_ratios,
)
from ..latents import FRAME_COUNT, FRAMES, check_one_image, plain_samples, repeat_latent
from ..noise.images import ImagePath
from ..noise.mixed import COG, along
from ..noise.path import NoisePath
from ..prompt.batches import FrameBatch, batches_along
from ..samplers import ADAPTIVE, is_restartable
from .starts import Starts, density_starts, photo_starts


@dataclass(frozen=True)
class SamplerSettings:
    """The settings of a KSampler."""

    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float = 1.0


@dataclass(frozen=True, eq=False)
class Frame:
    """A rendered frame: its time, latent [C, ...] and its states [steps, C, ...] before each step.

    The states of steps that were taken over are a mix of its neighbours' states. All tensors are on
    the CPU, states in half precision where the model is.
    """

    t: float
    samples: Tensor
    states: Tensor


class FrameSampler:
    """Renders frames at any times of a path. See `render`.

    progress(frames, denoised): called after every step with the number of frames in it.
    """

    def __init__(
        self,
        model: Any,
        paths: Sequence[Path],
        negative: Any,
        latent: dict[str, Any],
        settings: SamplerSettings,
        *,
        ending: str = STOP,
        noise_path: NoisePath | None = None,
        density: DensityPath | None = None,
        image_path: ImagePath | None = None,
        frames_per_batch: int = 0,
        progress: Callable[[int, Tensor], None] | None = None,
    ) -> None:
        check_sampler(settings.sampler_name)
        if image_path is not None:
            image_path.check_for(model)
        self.model, self.negative, self.settings = model, negative, settings
        self.paths = [path.closed() for path in paths] if ending == LOOP else list(paths)
        self.latent = one_image(model, latent)
        self.noise_ending = LOOP if ending == LOOP else STOP
        self.noise_path = noise_path
        # The chain of noises whose keyframes stand on the path, from seeds or photos.
        self.noises = noise_path if image_path is None else image_path.noises
        self.progress = progress
        self.sigmas = ksampler_sigmas(
            model, settings.sampler_name, settings.scheduler, settings.steps, settings.denoise
        )
        if len(self.sigmas) < 2:
            raise ValueError(
                f"denoise: expected more than 0, got {settings.denoise:g}. At 0 there is nothing "
                "to render."
            )
        self.starts = self._starts(density, image_path, ending)
        self.frames_per_batch = frames_per_batch
        self.was_halved = False

    def _starts(
        self, density: DensityPath | None, photos: ImagePath | None, ending: str
    ) -> Starts | None:
        """Where frames start that are not drawn from noise: at noised images."""
        names = ("image_path", "density", "noise_path")
        given = dict(zip(names, (photos, density, self.noise_path), strict=True))
        used = [name for name, value in given.items() if value is not None]
        if len(used) > 1:
            raise ValueError(
                f"{used[0]}: expected either {used[0]} or {used[1]}, got both. Unplug one."
            )
        if photos is not None:
            starts = photo_starts(self.model, photos, self.sigmas, self.noise_ending)
        elif density is not None:
            starts = density_starts(self.model, density, self.sigmas, ending)
        else:
            return None
        if "noise_mask" in self.latent:
            raise ValueError(
                f"latent: expected no mask with {starts.name}, whose frames start from noised "
                "images. Use Empty Latent Image."
            )
        if tuple(starts.shape) != tuple(self.shape):
            raise ValueError(
                f"latent: expected the size of {starts.name}'s images, a latent of "
                f"{list(starts.shape)}, got {list(self.shape)}. Use Empty Latent Image with the "
                "size of the photos."
            )
        return starts

    @property
    def steps(self) -> int:
        """The number of steps that are run, [σ] − 1."""
        return len(self.sigmas) - 1

    @property
    def shape(self) -> torch.Size:
        """The shape [C, ...] of one latent."""
        return self.latent["samples"].shape[1:]

    def render(
        self,
        times: Sequence[float],
        start_steps: Sequence[int] | None = None,
        states: Sequence[Tensor | None] | None = None,
    ) -> list[Frame]:
        """The frames at these times, in order.

        start_steps: the first step of each frame; None means 0 for all. states: for each frame the
        states [steps, C, ...], used up to its start step; None for a frame that starts from noise.
        Frames that begin with the same step are rendered in batches.
        """
        starts = list(start_steps or [0] * len(times))
        given = list(states or [None] * len(times))
        rendered: dict[int, Frame] = {}
        for step in sorted(set(starts)):
            group = [i for i, start in enumerate(starts) if start == step]
            frames = self._group([times[i] for i in group], step, [given[i] for i in group])
            rendered |= dict(zip(group, frames, strict=True))
        return [rendered[i] for i in range(len(times))]

    def mixed_states(self, insertion: Insertion, left: Frame, right: Frame) -> Tensor | None:
        """The states [steps, C, ...] from which a new frame between two others begins.

        The mean of its neighbours' states, weighted by its place between them. If every frame has
        its own noise, the frame's own noise replaces the mean of its neighbours' noises, which
        would be too weak.
        """
        if insertion.start_step == 0:
            return None
        mean = torch.lerp(left.states.float(), right.states.float(), insertion.mix)
        if self.noise_path is not None:
            own, *others = self._noise([insertion.t, left.t, right.t])
            missing = own - torch.lerp(others[0], others[1], insertion.mix)
            factors = [noise_factor(self.model, sigma) for sigma in self.sigmas[:-1]]
            mean += torch.stack([factor * missing for factor in factors])
        if self.starts is not None:
            mean += self.starts.missing(insertion, left.t, right.t)
        return mean.to(left.states.dtype)

    def _group(
        self, times: Sequence[float], step: int, given: Sequence[Tensor | None]
    ) -> list[Frame]:
        """Frames that begin with the same step, in batches that fit into memory."""
        frames: list[Frame] = []
        while len(frames) < len(times):
            size = self._batch_size(len(times) - len(frames))
            rest = times[len(frames) :]
            batch = batches_along(self.paths, rest, size)[0]
            part = given[len(frames) : len(frames) + batch.count]
            try:
                frames += self._batch(batch, rest[: batch.count], step, part)
            except management.OOM_EXCEPTION:
                if batch.count == 1:
                    raise
                # A smaller batch may fit; ComfyUI itself would stop the whole run.
                self.frames_per_batch = math.ceil(batch.count / 2)
                self.was_halved = True
                management.soft_empty_cache()
        return frames

    def _batch_size(self, wanted: int) -> int:
        if self.frames_per_batch:
            return min(wanted, self.frames_per_batch)
        return fitting_frames(self.model, self.shape, wanted)

    def _batch(
        self,
        batch: FrameBatch,
        times: Sequence[float],
        step: int,
        given: Sequence[Tensor | None],
    ) -> list[Frame]:
        """Render the frames of one batch, and keep the states of each step."""
        before = None if step == 0 else torch.stack([s for s in given if s is not None])
        kept = {} if before is None else {k: before[:, k] for k in range(step)}
        kind = _kind_of_states(self.model)

        def keep(k: int, x: Tensor) -> None:
            kept[step + k] = x.to("cpu", kind)

        def after_step(_k: int, denoised: Tensor, _x: Tensor, _total: int) -> None:
            if self.progress:
                self.progress(batch.count, denoised)

        start = None if before is None else before[:, step]
        s = self.settings
        latent = repeat_latent(self.latent, batch.count)
        if self.starts is not None:
            latent["samples"] = self.starts.latents(times)
        samples = sample_custom(
            self.model,
            resumable_sampler(s.sampler_name, start, keep),
            self.sigmas[step:],
            (batch.conditioning, self.negative),
            s.cfg,
            self._noise(times),
            latent["samples"],
            latent.get("noise_mask"),
            s.seed,
            after_step,
        )
        states = torch.stack([kept[k] for k in range(self.steps)], dim=1)
        return [Frame(t, samples[i].clone(), states[i].clone()) for i, t in enumerate(times)]

    def _noise(self, times: Sequence[float]) -> Tensor:
        """The noise of each frame [F, C, ...]: the seed's for all, the noise path's, or none."""
        latent = repeat_latent(self.latent, len(times))
        if self.starts is not None:
            return torch.zeros_like(latent["samples"])
        if self.noise_path is None:
            return seed_noise(latent["samples"], self.settings.seed, latent["batch_index"])
        noise = along(self.noise_path, Times(tuple(times), self.noise_ending), COG)
        which = {FRAMES: list(range(len(times))), FRAME_COUNT: len(times)}
        return noise.generate_noise(latent | which)


def _kind_of_states(model: Any) -> torch.dtype:
    """Half precision for models in 16 or 8 bits, whose own steps are no finer; else float32.

    float16, not bfloat16, as it keeps three bits more of a latent; no σ comes near its limit.
    """
    dtype = model.model_dtype() or torch.float32
    return torch.float16 if dtype.itemsize <= 2 else torch.float32


def one_image(model: Any, latent: dict[str, Any]) -> dict[str, Any]:
    """A LATENT of one picture in the model's channels. Raises ValueError for anything else."""
    plain_samples("latent", latent)
    check_one_image(latent, "'frames'")
    samples = with_model_channels(model, latent)
    if samples.ndim == 5 and samples.shape[2] > 1:
        raise ValueError(
            f"latent: expected a picture, got a video of {samples.shape[2]} latent frames. Every "
            "frame of a morph is a single picture; set the length to 1."
        )
    return without_ratios(latent) | {"samples": samples}


def check_sampler(name: str) -> None:
    """Raise ValueError for samplers that draw noise in every step, or choose their own steps."""
    if is_restartable(name):
        return
    why = "chooses its own steps" if name in ADAPTIVE else "draws new noise in every step"
    usable = ", ".join(
        usable_name for usable_name in sampler_names() if is_restartable(usable_name)
    )
    raise ValueError(
        f"sampler_name: expected a deterministic sampler with fixed steps, got '{name}', which "
        f"{why}. Choose one of {usable}."
    )
