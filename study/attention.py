"""Morph Attention, measured: does self-attention that also sees the keyframes smooth a morph?

On the small checkpoints, four variants of each film: without it, with the keyframes' tokens blended
by place or matched by optimal transport, and the prompt path alone. Films between held-out scenes
and photographs (both DDIM-inverted), and between prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.workflows.settings import SMALL_MODELS
from scenes import checkpoint, classifier

from . import density, parquet
from .attention_tokens import Matching, Neighbours, by_place, by_transport
from .density import psnr
from .even.engine import in_fastest_type
from .even.quality import quality, sharpness
from .prompts.run import versions

FILE = "attention.parquet"
OFF, PLACE, TRANSPORT, PROMPT = "off", "by place", "by transport", "prompt path alone"
MATCHINGS: dict[str, Matching] = {PLACE: by_place, TRANSPORT: by_transport}
SCENES, PHOTOS, PROMPTS = "scenes", "photographs", "prompts"
# Photographs have no caption that the model could read, and without one a prompt path stands still.
# Between prompts the film without it is the prompt path.
VARIANTS = {
    SCENES: (OFF, PLACE, TRANSPORT, PROMPT),
    PHOTOS: (OFF, PLACE, TRANSPORT),
    PROMPTS: (OFF, PLACE, TRANSPORT),
}
GUIDANCE = 4.0  # between prompts; inverted images are rendered without
IDENTICAL = 99.0  # dB, for pictures without any difference
SHOWN = 2  # pairs of each kind in the picture


@dataclass(frozen=True)
class Plan:
    """The size of a run. share: of the steps, over which the keyframes are seen.

    Raises ValueError for fewer pairs than a test needs, and for a share outside 0 to 1.
    """

    pairs: int = 20
    steps: int = 8
    frames: int = 10
    share: float = 0.5
    seed: int = 11

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs: expected at least 2, got {self.pairs}.")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: expected 0 to 1, got {self.share:g}.")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a run.

    table: a row for each film: model, kind, pair, a, b (captions, or files of photographs),
    variant; steps (LPIPS of consecutive frames), metric; strays and confidence (NaN of photographs,
    which the judge of scenes can't read), sharpness; ends: PSNR in dB of the worse end against its
    image, of prompts against the prompt drawn alone; NaN for the prompt path, which does not lead
    to the images. films: frames [F, 3, H, W] by kind and variant, some; none after `load`.
    """

    plan: Plan
    device: str
    environment: dict[str, str]
    table: pd.DataFrame
    films: list[dict[str, Tensor]]


def run(
    plan: Plan,
    photos: Path | None = None,
    cpu: bool = False,
    keep: Callable[[StudyResult], None] = lambda _: None,
) -> StudyResult:
    """Measure everything, kind by kind.

    photos: a folder of photographs; each two of them are a pair. keep: takes what has been measured
    after every kind and model, so that a run which is stopped leaves whole kinds.
    """
    cpu = cpu or not torch.cuda.is_available()
    lpips_weights.ensure(BASE / "models" / "lpips")
    pictures = photographs(photos) if photos else []
    studios: dict[str, Studio] = {}
    result = StudyResult(plan, "CPU" if cpu else "GPU", versions(), pd.DataFrame(), [])
    for kind, model in product(VARIANTS, SMALL_MODELS):
        if model not in studios:
            checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL_MODELS[model], model)
            studios[model] = Studio(plan, cpu, SMALL_MODELS[model])
        films, rows = list(result.films), []
        with torch.inference_mode():
            for k, film in enumerate(
                tqdm(studios[model].of_kind(kind, pictures), f"{kind}, {model}")
            ):
                rows += [{"model": model, "kind": kind, "pair": k} | row for row, _ in film]
                if k < SHOWN and model == "written":
                    films.append({f"{kind}: {row['variant']}": seen for row, seen in film})
        table = pd.concat([result.table, pd.DataFrame(rows)], ignore_index=True)
        result = replace(result, table=table, films=films)
        keep(result)
    return result


def save(result: StudyResult, path: Path) -> None:
    """Write the raw data, without films, as Parquet."""
    about = {
        "plan": asdict(result.plan),
        "device": result.device,
        "environment": result.environment,
    }
    parquet.write(result.table, about, path)


def load(path: Path) -> StudyResult:
    """Read what `save` wrote. Raises ValueError for another file."""
    table, about = parquet.read(path, "python -m study attention")
    try:
        return StudyResult(Plan(**about["plan"]), about["device"], about["environment"], table, [])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} was not written by `python -m study attention` ({error})."
        ) from error


def photographs(folder: Path) -> list[tuple[str, Tensor]]:
    """Names and pictures [3, 64, 64] of all JPEG and PNG files, in a fixed random order.

    Raises ValueError for a folder with fewer than two.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    if len(files) < 2:
        raise ValueError(f"photos: expected a folder with at least 2 photographs, got {folder}.")
    Random(0).shuffle(files)
    found = []
    for file in files:
        with Image.open(file) as image:
            small = ImageOps.fit(image.convert("RGB"), (64, 64), Image.Resampling.LANCZOS)
        found.append((file.name, torch.from_numpy(np.array(small)).movedim(-1, 0) / 255))
    return found


# What is measured of a film, with its frames [F, 3, H, W].
Measured = tuple[dict[str, Any], Tensor]


class Studio(density.Studio):
    """One checkpoint, its films and what is measured of them."""

    def __init__(self, plan: Plan, cpu: bool, checkpoint: str) -> None:
        super().__init__(density.Plan(plan.pairs, plan.steps, plan.frames), cpu, checkpoint)
        self.seed, self.share = plan.seed, plan.share
        self.original = self.painter.model
        if cpu:
            in_fastest_type(self.original.model)
        self.judge = classifier.load()
        self.times = torch.linspace(0, 1, plan.frames).tolist()
        scheduler = self.custom.BasicScheduler.execute
        self.whole: Tensor = scheduler(self.original, "normal", plan.steps, 1.0)[0]

    def of_kind(self, kind: str, photos: Sequence[tuple[str, Tensor]]) -> Iterator[list[Measured]]:
        """All films of a kind, pair by pair."""
        if kind == PHOTOS:
            for k in range(len(photos) // 2):
                names, pictures = zip(*photos[2 * k : 2 * k + 2], strict=True)
                yield self.between_images(k, names, ("", ""), pictures)
            return
        for k in range(self.plan.pairs):
            (a, picture_a), (b, picture_b) = self._scene(2 * k), self._scene(2 * k + 1)
            if kind == SCENES:
                yield self.between_images(k, (a, b), (a, b), (picture_a, picture_b))
            else:
                yield self.between_prompts(k, (a, b))

    def between_images(
        self, k: int, names: Sequence[str], captions: Sequence[str], pictures: Sequence[Tensor]
    ) -> list[Measured]:
        """The films of a pair of images [3, H, W]."""
        latents = [self.painter.vae.encode(picture.movedim(0, -1)[None]) for picture in pictures]
        prompts = [self.encode(caption) for caption in captions]
        noises = [self._inverted(*two) for two in zip(prompts, latents, strict=True)]
        path = self.path(prompts)
        images = [self.painter.decode(latent) for latent in latents]
        kind = SCENES if any(captions) else PHOTOS
        found = []
        for variant in VARIANTS[kind]:
            positive, latent = (
                self._prompt_path(path, k) if variant == PROMPT else self.arc(path, noises)
            )
            with self.attention(variant, self.below):
                frames = self.painter.decode(self._down(positive, latent))
            ends = float("nan") if variant == PROMPT else worse_end(frames, images)
            row = self.measured(frames, scenes=kind == SCENES)
            found.append(
                ({"variant": variant, "a": names[0], "b": names[1], "ends": ends} | row, frames)
            )
        return found

    def between_prompts(self, k: int, captions: Sequence[str]) -> list[Measured]:
        """The films of a pair of prompts: one noise, from the first step on, with guidance."""
        prompts = [self.encode(caption) for caption in captions]
        path = self.path(prompts)
        images = [self.painter.decode(self._drawn(p, self._empty(1), k)) for p in prompts]
        positive, latent = self.prompts(path)
        found = []
        for variant in VARIANTS[PROMPTS]:
            with self.attention(variant, self.whole):
                frames = self.painter.decode(self._drawn(positive, latent, k))
            row = {"variant": variant, "a": captions[0], "b": captions[1]}
            row["ends"] = worse_end(frames, images)
            found.append((row | self.measured(frames, scenes=True), frames))
        return found

    def arc(self, path: Any, noises: Sequence[Any]) -> tuple[Any, Any]:
        """Conditioning and latents on the great arc between two inverted images.

        Those of Density Path without a search, which would measure the density as well.
        """
        a, b = (noise["samples"].flatten() for noise in noises)
        points = self.pack.density.path.line(a, b).at(self.times)
        points = points.reshape(-1, *noises[0]["samples"].shape[1:]).float()
        return self.prompts(path)[0], self._for_sampler({"samples": points})

    def prompts(self, path: Any) -> tuple[Any, Any]:
        """Conditioning and empty latents of all frames, in one batch."""
        times = self.pack.times.nodes.GeodesicTimes.execute(self.plan.frames, "linear", "stop", "")
        schedule = self.pack.schedule.nodes.GeodesicSchedule.execute
        positives, latents, _ = schedule(path, times[0], self._empty(1), 0)
        return positives[0], latents[0]

    def encode(self, caption: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, caption)[0]

    def path(self, prompts: Sequence[Any]) -> Any:
        clouds = [self.prompt_nodes.GeodesicPointCloud.execute(prompt)[0] for prompt in prompts]
        return self.prompt_nodes.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]

    @contextmanager
    def attention(self, variant: str, sigmas: Tensor) -> Iterator[None]:
        """Within a `with` the painter draws with a variant's attention."""
        model = self.original.clone()
        if variant in MATCHINGS and self.share:
            # Of n steps, that many begin at a noise of at least this sigma.
            last = max(1, round(self.share * (len(sigmas) - 1))) - 1
            until = 0.999 * float(sigmas[last])
            model.set_model_attn1_patch(Neighbours(self.times, MATCHINGS[variant], until))
        self.painter.model = model
        try:
            yield
        finally:
            self.painter.model = self.original

    def measured(self, frames: Tensor, scenes: bool) -> dict[str, Any]:
        """What is measured of frames [F, 3, H, W]. scenes: whether the judge can read them."""
        images = frames.movedim(1, -1)
        steps = self.pack.metrics.measuring.measure_on_device([images], "alex", 16, False)
        sharp = sharpness(frames)
        seen = {
            "strays": float("nan"),
            "confidence": float("nan"),
            "sharpness": float(sharp[1:-1].mean() / sharp[[0, -1]].mean()),
        }
        seen |= quality(self.judge, images) if scenes else {}
        return {"steps": list(steps.distances), "metric": steps.metric} | seen

    def _scene(self, n: int) -> tuple[str, Tensor]:
        """Caption and picture [3, 64, 64] of a held-out scene."""
        scene, rng = density.evaluation_scene(self.seed, n)
        return density.say(scene, rng, complete=True), density.draw(scene, Random(n))

    def _inverted(self, prompt: Any, latent: Tensor) -> Any:
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        return execute(
            self.original, prompt, {"samples": latent}, self.plan.steps, density.LEVEL, 1
        )[0]

    def _empty(self, count: int) -> dict[str, Any]:
        return {"samples": torch.zeros(count, 4, 8, 8)}

    def _drawn(self, positive: Any, latent: dict[str, Any], seed: int) -> Tensor:
        guider = self.custom.CFGGuider.execute(
            self.painter.model, positive, self._negative(), GUIDANCE
        )[0]
        noise = self.custom.RandomNoise.execute(seed)[0]
        sampler = self.custom.KSamplerSelect.execute("euler")[0]
        run = self.custom.SamplerCustomAdvanced.execute
        return run(noise, guider, sampler, self.whole, latent)[0]["samples"]


def worse_end(frames: Tensor, images: Sequence[Tensor]) -> float:
    """PSNR in dB of the worse end of a film [F, 3, H, W] against its image, up to `IDENTICAL`."""
    ends = zip((frames[:1], frames[-1:]), images, strict=True)
    return min(IDENTICAL, *(psnr(end, image) for end, image in ends))
