"""One ComfyUI that measures a pair of prompts: the costs of its paths, and their LPIPS.

Which Way from B to A, section 4.1: the rows of both prompts are coupled, each coupling's path is
rendered at equal times from one noise, and consecutive images are compared by LPIPS.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dev.small_model.painter import Painter

from .pairs import Pair
from .plan import Plan
from .store import MeasuredPath, Result

PROBE_STEPS = 3  # steps of the renders that find the fastest batch
GAIN = 1.03  # a larger batch must be at least this much faster
MOST = 64  # images at once; more are not faster, and on a CPU the process may be killed for memory
# Samplers that draw new noise for every image of a batch: frames of a path would flicker.
STOCHASTIC = ("ancestral", "sde", "ddpm", "lcm", "seeds", "sa_solver")


@dataclass(frozen=True)
class Task:
    """A pair to measure. keep: whether images are kept; batch: images rendered at once."""

    number: int
    pair: Pair
    keep: bool
    batch: int


class Studio:
    """A checkpoint in ComfyUI, this pack's nodes, and LPIPS, in this process."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.plan = plan
        if cpu:
            torch.set_num_threads(plan.threads)
        self.painter = Painter(plan.checkpoint, cpu)
        check_sampler(plan)
        # These imports only work after the painter has loaded ComfyUI.
        import comfy.model_management
        import comfy.utils

        from geodesic_morph.geometry import cloud, coupling, perceptual
        from geodesic_morph.nodes import inputs, latents
        from geodesic_morph.nodes.metrics import weights
        from geodesic_morph.nodes.prompt import batches

        comfy.utils.set_progress_bar_enabled(False)  # the pairs have their own progress bar
        self.device = comfy.model_management.get_torch_device()
        self.out_of_memory = comfy.model_management.OOM_EXCEPTION
        self.cloud, self.coupling, self.perceptual = cloud, coupling, perceptual
        self.inputs, self.latents, self.batches = inputs, latents, batches
        backbone = weights.load_backbone(plan.backbone)
        self.metric = backbone.metric
        self.lpips = perceptual.lpips_network(plan.backbone, backbone.weights).to(self.device)
        self.negative = self.encode(plan.negative)

    @property
    def device_name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{self.device.type.upper()}, {self.plan.threads} threads"

    def run(self, task: Task) -> Result:
        """Measure a pair; any error becomes the failure of its result."""
        start = time.perf_counter()
        paths: tuple[MeasuredPath, ...] = ()
        failure = None
        try:
            with torch.inference_mode():
                paths = self.measure(task)
        except Exception as error:  # one pair must not stop ten thousand
            first = (str(error).strip() or "no reason given").splitlines()[0]
            failure = f"{type(error).__name__}: {first}"
        seconds = time.perf_counter() - start
        return Result(task.number, paths, failure, seconds, self.device_name)

    def measure(self, task: Task) -> tuple[MeasuredPath, ...]:
        """All paths of a pair. Raises what encoding, coupling and rendering raise."""
        read = self.cloud.clouds_from_conditioning
        captions = (task.pair.caption_a, task.pair.caption_b)
        clouds = [read(self.encode(escaped(caption))) for caption in captions]
        names = ("caption_a", "caption_b")
        self.inputs.check_entries(*clouds, names)
        couple, total_cost = self.coupling.couple, self.coupling.total_cost
        paths = self.plan.paths(task.number)
        couplings = [
            tuple(couple(x, y, method, seed, names=names) for x, y in zip(*clouds, strict=True))
            for method, seed in paths
        ]
        films = self.films(couplings, task.batch)
        return tuple(
            MeasuredPath(
                method,
                seed,
                total_cost(legs),
                self.distances(film),
                self.metric,
                tuple(map(png, film)) if task.keep else (),
            )
            for (method, seed), legs, film in zip(paths, couplings, films, strict=True)
        )

    def films(self, couplings: Sequence[Sequence[Any]], batch: int) -> list[Tensor]:
        """The images [F, H, W, 3] in [0, 1] of each coupling's path; the ends are rendered once."""
        times = np.linspace(0, 1, self.plan.frames).tolist()
        prompts = self.prompts(couplings[0], [times[0], times[-1]])
        for legs in couplings:
            prompts += self.prompts(legs, times[1:-1])
        images = self.render(prompts, batch)
        inside = images[2:].split(self.plan.frames - 2) if self.plan.frames > 2 else [images[:0]]
        return [torch.cat([images[:1], part, images[1:2]]) for part in inside]

    def prompts(self, legs: Sequence[Any], times: Sequence[float]) -> list[Any]:
        """One CONDITIONING for each time on a coupling's path."""
        paths = self.inputs.as_paths(tuple(legs))
        batches = self.batches.batches_along(paths, times, 1) if times else []
        return [batch.conditioning for batch in batches]

    def render(self, prompts: Sequence[Any], batch: int) -> Tensor:
        """Images [B, H, W, 3] of conditionings, all from the noise of the plan's seed."""
        latents = [
            self.sample(joined(prompts[start:stop]), stop - start)
            for start, stop in batches(prompts, batch)
        ]
        return torch.cat(
            [self.painter.decode(batch_latents).movedim(1, -1) for batch_latents in latents]
        )

    def sample(self, positive: Any, count: int, steps: int | None = None) -> Tensor:
        """The latents of `count` images by ComfyUI's KSampler, all from the same noise."""
        plan = self.plan
        latent = self.painter.nodes.EmptyLatentImage().generate(plan.size, plan.size, 1)[0]
        (sampled,) = self.painter.nodes.common_ksampler(
            self.painter.model,
            plan.seed,
            steps or plan.steps,
            plan.guidance,
            plan.sampler,
            plan.scheduler,
            positive,
            self.negative,
            self.latents.repeat_latent(latent, count),
        )
        return sampled["samples"]

    def distances(self, film: Tensor) -> tuple[float, ...]:
        """LPIPS of consecutive images."""
        measure = self.perceptual.measure
        return measure([film], self.lpips, self.metric, 16, self.device).distances

    def encode(self, text: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, text)[0]

    @torch.inference_mode()
    def fastest_batch(self) -> int:
        """The batch size at which this machine renders fastest, among those that fit."""
        prompt = self.encode("a photo")
        best, rate = 1, 0.0
        for size in candidates(self.plan.images_per_pair):
            try:
                speed = size / self._seconds(joined([prompt] * size), size)
            except self.out_of_memory:
                break
            if speed > GAIN * rate:
                best, rate = size, speed
            elif speed < rate:
                break
        return best

    def _seconds(self, positive: Any, count: int) -> float:
        self.sample(positive, count, 1)  # without what is done only once
        start = time.perf_counter()
        self.painter.decode(self.sample(positive, count, PROBE_STEPS))
        return time.perf_counter() - start


def check_sampler(plan: Plan) -> None:
    """Raise ValueError for names that ComfyUI does not know, and for stochastic samplers."""
    from comfy.samplers import KSampler

    known = {"sampler": KSampler.SAMPLERS, "scheduler": KSampler.SCHEDULERS}
    for name, names in known.items():
        if getattr(plan, name) not in names:
            raise ValueError(
                f"{name}: expected one of {', '.join(names)}, got '{getattr(plan, name)}'."
            )
    if any(part in plan.sampler for part in STOCHASTIC):
        raise ValueError(
            f"sampler: expected a deterministic one such as dpmpp_2m or euler, got "
            f"'{plan.sampler}', which draws other noise for every image."
        )


def candidates(images: int) -> list[int]:
    """Batch sizes to try: 1, and the images of a pair in …, 4, 2, 1 equal parts, up to `MOST`."""
    parts = [2**k for k in range(images.bit_length()) if 2**k <= images]
    return sorted({1, *(-(-images // n) for n in parts if images <= n * MOST)})


def batches(prompts: Sequence[Any], size: int) -> list[tuple[int, int]]:
    """Ranges of at most `size` conditionings that can be rendered together, of about equal length.

    Conditionings of a range have the same number of rows, because ComfyUI would pad or repeat
    others. Between prompts of different lengths a path has more rows than at its ends.
    """
    edges = [0, *(k for k, (a, b) in enumerate(pairwise(prompts), 1) if _rows(a) != _rows(b))]
    edges.append(len(prompts))
    ranges = []
    for start, stop in pairwise(edges):
        cuts = np.linspace(start, stop, -(-(stop - start) // size) + 1).round().astype(int)
        ranges += pairwise(cuts.tolist())
    return ranges


def joined(prompts: Sequence[Any]) -> Any:
    """Join conditionings of single images into one of a batch; their numbers of rows must match."""
    entries = []
    for together in zip(*prompts, strict=True):
        extras = dict(together[0][1])
        if extras.get("pooled_output") is not None:
            extras["pooled_output"] = torch.cat(
                [extras_of["pooled_output"] for _, extras_of in together]
            )
        entries.append([torch.cat([rows for rows, _ in together]), extras])
    return entries


def _rows(prompt: Any) -> list[int]:
    return [rows.shape[1] for rows, _ in prompt]


def escaped(caption: str) -> str:
    """A caption with its brackets escaped: ComfyUI would read them as weights."""
    return caption.replace("(", "\\(").replace(")", "\\)")


def png(image: Tensor) -> bytes:
    """An image [H, W, 3] in [0, 1] as a PNG file."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
