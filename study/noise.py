"""Paths and mixes of inverted images, compared as in arXiv 2408.08558, section 3 and appendix D.

The paper uses Stable Diffusion 2.1 and 50 classes of ImageNet with 50 images each. Images are
DDIM-inverted with the name of their class; each class has 25 pairs with three images between, and
centroids of 3 to 25 images. It reports the accuracy of a classifier, and FID. This study uses the
small checkpoint; a class is a colour and a shape ("a red star"); size, place and background vary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.comfyui.in_process import pack_nodes
from dev.small_model.painter import Painter
from dev.workflows.settings import SMALL
from scenes import checkpoint, classifier
from scenes.drawing import draw
from scenes.language import COLORS, PLACES, SHAPES, SIZES, Scene, Thing, pick

PATHS, CENTROIDS = "interpolation", "centroid"
BETWEEN = (0.25, 0.5, 0.75)
GROUPS = (3, 3, 5, 5)  # sizes of the centroids of each class
IMAGES, INVERTED = "the images themselves", "inverted and drawn again"


@dataclass(frozen=True)
class Plan:
    """The size of a run. Raises ValueError for numbers that cannot be paired."""

    classes: int = 10
    images: int = 20
    steps: int = 50
    refinements: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.classes <= len(COLORS) * len(SHAPES):
            most = len(COLORS) * len(SHAPES)
            raise ValueError(f"classes: expected 1 to {most} kinds, got {self.classes}.")
        if self.images < 2 * max(GROUPS) or self.images % 2:
            raise ValueError(
                f"images: expected an even number from {2 * max(GROUPS)} up, got {self.images}."
            )
        if self.steps < 1:
            raise ValueError(f"steps: expected at least 1, got {self.steps}.")


@dataclass
class MethodResult:
    """The results of one method: its time, and the classifier's judgement of its images."""

    seconds: list[float] = field(default_factory=list)  # per path or centroid
    norms: list[float] = field(default_factory=list)  # ‖z‖/√D of the mixed noises
    right: list[bool] = field(default_factory=list)  # one thing of the right colour and shape
    features: list[np.ndarray] = field(default_factory=list)  # [256] of the classifier's trunk


@dataclass(frozen=True)
class StudyResult:
    """The results of a run. methods: by task (interpolation, centroid, or none) and method."""

    plan: Plan
    device: str
    inversion_norms: list[float]
    methods: dict[tuple[str, str], MethodResult]


def run(plan: Plan, cpu: bool = False) -> StudyResult:
    """Run the whole comparison; a plan gives the same images, pairs and groups on every machine."""
    cpu = cpu or not torch.cuda.is_available()
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    studio = Studio(plan, cpu)
    rng = Random(f"noise study {plan.seed}")
    kinds = [(color, shape) for color in COLORS for shape in SHAPES]
    chosen = [kinds.pop(int(rng.random() * len(kinds))) for _ in range(plan.classes)]
    with torch.inference_mode():
        for color, shape in tqdm(chosen, "classes"):
            studio.compare(color, shape, rng)
    return StudyResult(plan, "CPU" if cpu else "GPU", studio.inversion_norms, studio.methods)


class Studio:
    """The small checkpoint in ComfyUI, this pack's nodes, and the classifier that judges images."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.plan = plan
        self.painter = Painter(SMALL, cpu)
        self.pack = pack_nodes()
        self.judge = classifier.load()
        self.methods: dict[tuple[str, str], MethodResult] = {}
        self.inversion_norms: list[float] = []

    def compare(self, color: str, shape: str, rng: Random) -> None:
        """One class: invert its images, mix their noises by every method, judge the images."""
        pictures = torch.stack([picture(color, shape, rng) for _ in range(self.plan.images)])
        prompt = self._encode(f"{'an' if color == 'orange' else 'a'} {color} {shape}")
        latents = self.painter.vae.encode(pictures.movedim(1, -1))
        # The autoencoder's losses are the same for all: images are judged after encoding and
        # decoding.
        self._judge(("", IMAGES), self.painter.decode(latents), color, shape)
        noises = self._invert(prompt, latents)
        mixed: dict[tuple[str, str], list[Tensor]] = {("", INVERTED): list(noises)}
        order = shuffled(range(len(noises)), rng)
        for pair in zip(order[::2], order[1::2], strict=True):
            self._mix(mixed, PATHS, noises[list(pair)])
        for size in GROUPS:
            self._mix(mixed, CENTROIDS, noises[shuffled(range(len(noises)), rng)[:size]])
        for key, noises_of_key in mixed.items():
            stacked = torch.stack(noises_of_key)
            self.methods.setdefault(key, MethodResult()).norms += unit_norms(stacked)
            self._judge(key, self.painter.decode(self._generate(prompt, stacked)), color, shape)

    def _mix(self, mixed: dict[tuple[str, str], list[Tensor]], task: str, ends: Tensor) -> None:
        """Mix these noises [K, C, h, w] by every method of a task, and measure the time."""
        noise, methods = self.pack.noise.nodes, self.pack.noise.mixed
        path = None
        for end in ends:
            path = noise.GeodesicNoiseKeyframe.execute(0, 1.0, {"samples": end[None]}, path)[0]
        for method in methods.METHODS if task == PATHS else methods.CENTROIDS:
            if task == PATHS:
                count = len(BETWEEN) + 2
                times = self.pack.times.nodes.GeodesicTimes.execute(count, "linear", "stop", "")[0]
                made = noise.GeodesicNoiseAlong.execute(path, times, method)[0]
                mixes, seconds = timed(lambda m=made, n=count: m.generate_noise(empty(n, ends)))
                mixes = mixes[1:-1]
            else:
                made = noise.GeodesicNoiseCentroid.execute(path, "", method)[0]
                mixes, seconds = timed(lambda m=made: m.generate_noise(empty(1, ends)))
            mixed.setdefault((task, method), []).extend(mixes)
            self.methods.setdefault((task, method), MethodResult()).seconds.append(seconds)

    def _encode(self, text: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, text)[0]

    def _invert(self, prompt: Any, latents: Tensor) -> Tensor:
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        settings = (self.plan.steps, 1.0, self.plan.refinements)
        inverted = execute(self.painter.model, prompt, {"samples": latents}, *settings)[0][
            "samples"
        ]
        self.inversion_norms += unit_norms(inverted)
        return inverted

    def _generate(self, prompt: Any, noises: Tensor) -> Tensor:
        """Latents from noises [B, C, h, w], by the native sampler without guidance."""
        import comfy.sample
        import comfy.samplers

        model = self.painter.model
        sampling = model.get_model_object("model_sampling")
        return comfy.sample.sample_custom(
            model,
            noises,
            1.0,
            comfy.samplers.sampler_object("euler"),
            comfy.samplers.calculate_sigmas(sampling, "normal", self.plan.steps),
            prompt,
            prompt,
            torch.zeros_like(noises),
            disable_pbar=True,
        )

    def _judge(self, key: tuple[str, str], images: Tensor, color: str, shape: str) -> None:
        result = self.methods.setdefault(key, MethodResult())
        seen = {name: values.argmax(1).tolist() for name, values in self.judge(images).items()}
        wanted = {"layout": "one", "color": color, "shape": shape}
        for k, features in enumerate(pooled_features(self.judge, images)):
            answers = {name: classifier.HEADS[name][seen[name][k]] for name in wanted}
            result.right.append(answers == wanted)
            result.features.append(features)


def picture(color: str, shape: str, rng: Random) -> Tensor:
    """One image of a class: [3, 64, 64]; size, place and background are random."""
    background = pick(rng, [name for name in COLORS if name != color])
    thing = Thing(shape, color, pick(rng, list(SIZES)))
    return draw(Scene(background, (thing,), pick(rng, list(PLACES))), rng)


def shuffled(numbers: Sequence[int], rng: Random) -> list[int]:
    """A random order, from `random()` only, whose stream is the same in all versions of Python."""
    return sorted(numbers, key=lambda _: rng.random())


def pooled_features(judge: classifier.SceneClassifier, images: Tensor) -> np.ndarray:
    """The trunk's last features, averaged over the image: [B, 256]."""
    mean, std = (images.new_tensor(v)[:, None, None] for v in (classifier.MEAN, classifier.STD))
    return judge.features((images - mean) / std).mean((2, 3)).numpy()


def unit_norms(noises: Tensor) -> list[float]:
    """‖z‖/√D of each noise."""
    return (noises.flatten(1).norm(dim=1) / noises[0].numel() ** 0.5).tolist()


def empty(count: int, like: Tensor) -> dict[str, Any]:
    return {"samples": torch.zeros(count, *like.shape[1:])}


def timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
