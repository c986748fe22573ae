"""Paths and mixes of inverted images, compared as in arXiv 2408.08558, section 3 and appendix D.

The paper uses Stable Diffusion 2.1 and 50 classes of ImageNet with 50 images each. Images are
DDIM-inverted with the name of their class; each class has 25 pairs with three images between, and
centroids of 3 to 25 images. It reports the accuracy of a classifier, and FID. This study uses the
small checkpoint; a class is a colour and a shape ("a red star"); size, place and background vary.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.comfyui.in_process import pack_nodes
from dev.small_model.painter import Painter
from dev.workflows.settings import SMALL
from geometry import gaussian
from scenes import checkpoint, classifier
from scenes.drawing import draw
from scenes.language import COLORS, PLACES, SHAPES, SIZES, Scene, Thing, pick

from . import parquet
from .prompts.run import versions

FILE = "noise.parquet"
PATHS, CENTROIDS = "interpolation", "centroid"
BETWEEN = (0.25, 0.5, 0.75)
GROUPS = (3, 3, 5, 5)  # sizes of the centroids of each class
IMAGES, INVERTED = "the images themselves", "inverted and drawn again"
# The nodes' COG measures how correlated inverted images are; the paper's takes them as independent.
COG, PUBLISHED = "COG", "COG as published"


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


@dataclass(frozen=True)
class MethodResult:
    """The results of one method: its time, and the classifier's judgement of its images."""

    seconds: list[float] = field(default_factory=list)  # per path or centroid
    norms: list[float] = field(default_factory=list)  # ‖z‖/√D of the mixed noises
    right: list[bool] = field(default_factory=list)  # one thing of the right colour and shape
    features: Sequence[np.ndarray] = ()  # [256] of the classifier's trunk


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a run.

    table: a row for each image: task (interpolation, centroid, or none), method, kind ("red star"),
    mix (the number of the path or centroid, or of the image), seconds (of the whole mix; NaN where
    nothing was mixed), norm (‖z‖/√D of its noise; NaN for the images themselves), right (whether
    the classifier sees one thing of the right colour and shape), features ([256], float32).
    """

    plan: Plan
    device: str
    environment: dict[str, str]
    table: pd.DataFrame

    @cached_property
    def methods(self) -> dict[tuple[str, str], MethodResult]:
        """By task and method, in the order in which they were measured."""
        found = {}
        for key, rows in self.table.groupby(["task", "method"], sort=False):
            task, method = key  # pyright: ignore[reportGeneralTypeIssues] two names of a group
            times = rows.drop_duplicates("mix")["seconds"].dropna()
            found[task, method] = MethodResult(
                times.tolist(),
                rows["norm"].dropna().tolist(),
                rows["right"].tolist(),
                rows["features"].tolist(),
            )
        return found

    @property
    def inversion_norms(self) -> list[float]:
        """‖z‖/√D of the inverted images."""
        return self.methods["", INVERTED].norms


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
    device = "CPU" if cpu else "GPU"
    return StudyResult(plan, device, versions(), pd.DataFrame(studio.rows))


def save(result: StudyResult, path: Path) -> None:
    """Write the raw data as Parquet."""
    about = {
        "plan": asdict(result.plan),
        "device": result.device,
        "environment": result.environment,
    }
    parquet.write(result.table, about, path)


def load(path: Path) -> StudyResult:
    """Read what `save` wrote. Raises ValueError for another file."""
    table, about = parquet.read(path, "python -m study noise")
    try:
        return StudyResult(Plan(**about["plan"]), about["device"], about["environment"], table)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} was not written by `python -m study noise` ({error}).") from error


@dataclass
class Mixes:
    """Noises of one method, mixed from those of a class: a list for each path or centroid."""

    noises: list[list[Tensor]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, noises: Tensor, seconds: float) -> None:
        """One more path or centroid, [B, C, h, w], and the time that it took."""
        self.noises.append(list(noises))
        self.seconds.append(seconds)


class Studio:
    """The small checkpoint in ComfyUI, this pack's nodes, and the classifier that judges images."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.plan = plan
        self.painter = Painter(SMALL, cpu)
        self.pack = pack_nodes()
        self.judge = classifier.load()
        self.rows: list[dict[str, Any]] = []
        self.mixes: Counter[tuple[str, str]] = Counter()  # so far, by task and method

    def compare(self, color: str, shape: str, rng: Random) -> None:
        """One class: invert its images, mix their noises by every method, judge the images."""
        pictures = torch.stack([picture(color, shape, rng) for _ in range(self.plan.images)])
        prompt = self._encode(f"{'an' if color == 'orange' else 'a'} {color} {shape}")
        latents = self.painter.vae.encode(pictures.movedim(1, -1))
        nothing = [float("nan")] * len(latents)
        # The autoencoder's losses are the same for all: images are judged after encoding and
        # decoding.
        decoded = self.painter.decode(latents)
        self._record(("", IMAGES), Mixes([[x] for x in decoded], nothing), decoded, color, shape)
        inverted = self._invert(prompt, latents)
        noises = inverted["samples"]
        mixed: dict[tuple[str, str], Mixes] = {}
        order = shuffled(range(len(noises)), rng)
        for pair in zip(order[::2], order[1::2], strict=True):
            self._mix(mixed, PATHS, inverted, list(pair))
        for size in GROUPS:
            self._mix(mixed, CENTROIDS, inverted, shuffled(range(len(noises)), rng)[:size])
        mixed["", INVERTED] = Mixes([[noise] for noise in noises], nothing)
        for key, mixes in mixed.items():
            stacked = torch.stack([noise for mix in mixes.noises for noise in mix])
            images = self.painter.decode(self._generate(prompt, stacked))
            self._record(key, mixes, images, color, shape)

    def _mix(
        self,
        mixed: dict[tuple[str, str], Mixes],
        task: str,
        inverted: dict[str, Any],
        chosen: list[int],
    ) -> None:
        """Mix the chosen noises [K, C, h, w] by every method of a task, and measure the time."""
        ends = inverted["samples"][chosen]
        noise, methods = self.pack.noise.nodes, self.pack.noise.mixed
        path = None
        for end in ends:
            path = noise.GeodesicNoiseKeyframe.execute(
                0, 1.0, inverted | {"samples": end[None]}, path
            )[0]
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
            mixed.setdefault((task, method), Mixes()).add(mixes, seconds)
            if method == COG:
                published = timed(lambda: as_published(task, ends))
                mixed.setdefault((task, PUBLISHED), Mixes()).add(*published)

    def _encode(self, text: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, text)[0]

    def _invert(self, prompt: Any, latents: Tensor) -> dict[str, Any]:
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        settings = (self.plan.steps, 1.0, self.plan.refinements)
        return execute(self.painter.model, prompt, {"samples": latents}, *settings)[0]

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

    def _record(
        self, key: tuple[str, str], mixes: Mixes, images: Tensor, color: str, shape: str
    ) -> None:
        """A row for each image of a method: its noise, and what the classifier sees in it."""
        seen = {name: values.argmax(1).tolist() for name, values in self.judge(images).items()}
        wanted = {"layout": "one", "color": color, "shape": shape}
        features = iter(enumerate(pooled_features(self.judge, images)))
        for noises, seconds in zip(mixes.noises, mixes.seconds, strict=True):
            for noise in noises:
                k, pooled = next(features)
                answers = {name: classifier.HEADS[name][seen[name][k]] for name in wanted}
                self.rows.append(
                    {
                        "task": key[0],
                        "method": key[1],
                        "kind": f"{color} {shape}",
                        "mix": self.mixes[key],
                        "seconds": seconds,
                        "norm": np.nan if key[1] == IMAGES else unit_norms(noise[None])[0],
                        "right": answers == wanted,
                        "features": pooled,
                    }
                )
            self.mixes[key] += 1


def as_published(task: str, ends: Tensor) -> Tensor:
    """COG of noises [K, C, h, w] as the paper defines it: Σ w x / √(Σ w²)."""
    shares = [[1 - t, t] for t in BETWEEN] if task == PATHS else [[1 / len(ends)] * len(ends)]
    return gaussian.combine(ends, gaussian.cog(torch.tensor(shares)))


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
