"""Paths between two images, compared: density geodesics, the great arc, the prompt path alone.

arXiv 2504.06675, section 6, on the small checkpoint: pairs of held-out scenes, DDIM-inverted with
their captions to noise level 0.6. All paths share prompts (optimal transport), sampler and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.comfyui.in_process import pack_nodes
from dev.small_model.painter import Painter
from dev.workflows.settings import SMALL
from scenes import checkpoint
from scenes.drawing import draw
from scenes.language import evaluation_scene, say

from . import parquet
from .prompts.run import versions

FILE = "density.parquet"
ARC, PROMPT = "great arc (slerp)", "prompt path alone"
DIFFERENCE, TRUE = "density, noise difference", "density, true score"
# The strength a for each score, so that paths curve about equally. SD1.5, with 64 times as many
# latent values, needs less.
STRENGTHS = {DIFFERENCE: 0.1, TRUE: 0.005}
METHODS = (DIFFERENCE, TRUE, ARC, PROMPT)
LEVEL = 0.6


@dataclass(frozen=True)
class Plan:
    """The size of a run. Raises ValueError for fewer pairs than a test needs."""

    pairs: int = 12
    steps: int = 30
    frames: int = 17
    levels: int = 4
    iterations: int = 30
    # Three times that of the paper, with a third of its iterations; implicit steps allow this.
    learning_rate: float = 0.3
    seed: int = 11

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs: expected at least 2, got {self.pairs}.")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a run.

    table: a row for each pair and path: pair, caption_a, caption_b, path; steps (LPIPS of
    consecutive frames), metric; log_density (of every frame by the model's true score and that
    frame's own prompt, relative to the first frame), gradient (mean ‖G‖ by the noise difference);
    ends (PSNR of the worse of both ends against its image, dB; NaN for the prompt path), inversion
    (the same by inversion alone). films: frames [F, 3, H, W] by path, for each pair; empty after
    `load`.
    """

    plan: Plan
    device: str
    environment: dict[str, str]
    table: pd.DataFrame
    films: list[dict[str, Tensor]]


def run(plan: Plan, cpu: bool = False) -> StudyResult:
    """Run the whole comparison; the same plan gives the same images on every machine."""
    cpu = cpu or not torch.cuda.is_available()
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    studio = Studio(plan, cpu)
    with torch.inference_mode():
        for k in tqdm(range(plan.pairs), "pairs"):
            studio.compare(k)
    device = "CPU" if cpu else "GPU"
    return StudyResult(plan, device, versions(), pd.DataFrame(studio.rows), studio.films)


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
    table, about = parquet.read(path, "python -m study density")
    try:
        return StudyResult(Plan(**about["plan"]), about["device"], about["environment"], table, [])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} was not written by `python -m study density` ({error})."
        ) from error


class Studio:
    """The small checkpoint in ComfyUI and this pack's nodes."""

    def __init__(self, plan: Plan, cpu: bool, checkpoint: str = SMALL) -> None:
        self.plan = plan
        self.painter = Painter(checkpoint, cpu)
        # These imports only work after the painter has loaded ComfyUI.
        import comfy.utils
        from comfy_extras import nodes_custom_sampler

        comfy.utils.set_progress_bar_enabled(False)  # the pairs have their own progress bar

        self.pack = pack_nodes()
        self.prompt_nodes = self.pack.prompt.nodes
        self.custom = nodes_custom_sampler
        self.rows: list[dict[str, Any]] = []
        self.films: list[dict[str, Tensor]] = []
        # The first steps of this schedule lead from pure noise down to the noise level.
        schedule = nodes_custom_sampler.BasicScheduler.execute
        whole = schedule(self.painter.model, "normal", int(plan.steps / LEVEL), 1.0)[0]
        self.above, self.below = whole[: -plan.steps], whole[-(plan.steps + 1) :]

    def compare(self, k: int) -> None:
        """Compare all methods on one pair of images."""
        captions, prompts, latents, noises = zip(
            *(self._image(2 * k + n) for n in (0, 1)), strict=True
        )
        clouds = [self.prompt_nodes.GeodesicPointCloud.execute(prompt)[0] for prompt in prompts]
        path = self.prompt_nodes.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]
        images = [self.painter.decode(latent) for latent in latents]
        rendered = [
            self.painter.decode(self._down(prompt, self._for_sampler(noise)))
            for prompt, noise in zip(prompts, noises, strict=True)
        ]
        film = {}
        for method in METHODS:
            positive, latent = self._path(method, path, noises, k)
            frames = self.painter.decode(self._down(positive, latent))
            film[method] = frames
            self.rows.append(
                {
                    "pair": k,
                    "caption_a": captions[0],
                    "caption_b": captions[1],
                    "path": method,
                    **self._measured(positive, latent, frames),
                    # The prompt path does not lead to the images.
                    "ends": worse([frames[:1], frames[-1:]], images)
                    if method != PROMPT
                    else float("nan"),
                    "inversion": worse(rendered, images),
                }
            )
        self.films.append(film)

    def _image(self, k: int) -> tuple[str, Any, Tensor, Any]:
        """A held-out scene: caption, its conditioning, its latent, and the inverted latent."""
        scene, rng = evaluation_scene(self.plan.seed, k)
        caption = say(scene, rng, complete=True)
        picture = draw(scene, Random(k)).movedim(0, -1)[None]
        latent = self.painter.vae.encode(picture)
        prompt = self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, caption)[0]
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        inverted = execute(
            self.painter.model, prompt, {"samples": latent}, self.plan.steps, LEVEL, 1
        )
        return caption, prompt, latent, inverted[0]

    def _path(self, method: str, path: Any, noises: Sequence[Any], k: int) -> tuple[Any, Any]:
        """Conditioning and latents of the frames of a path, at the noise level."""
        if method == PROMPT:
            return self._prompt_path(path, k)
        arc = method == ARC
        outputs = self.pack.density.nodes.GeodesicDensityPath.execute(
            self.painter.model,
            path,
            self._negative(),
            *noises,
            self.plan.frames,
            STRENGTHS.get(method, 0.0),
            self.plan.levels,
            0 if arc else self.plan.iterations,
            self.plan.learning_rate,
            "true score" if method == TRUE else "noise difference",
            k,
            0,  # all frames in one batch
        )
        return outputs[0][0], outputs[1][0]

    def _prompt_path(self, path: Any, k: int) -> tuple[Any, Any]:
        """The prompt path, with one seed: rendered from pure noise down to the noise level."""
        times = self.pack.times.nodes.GeodesicTimes.execute(self.plan.frames, "linear", "stop", "")[
            0
        ]
        empty = {"samples": torch.zeros(1, 4, 8, 8)}
        schedule = self.pack.schedule.nodes.GeodesicSchedule.execute
        positives, latents, _ = schedule(path, times, empty, 0)
        noise = self.custom.RandomNoise.execute(k)[0]
        samples = self._sample(noise, positives[0], self.above, latents[0])
        level = self.pack.latents.InvertedLevel(LEVEL, float(self.below[0]), False)
        return positives[0], {"samples": samples} | self.pack.latents.noised(samples, level)

    def _for_sampler(self, noise: Any) -> dict[str, Any]:
        level = self.pack.latents.InvertedLevel(LEVEL, float(self.below[0]), False)
        inside = noise["samples"] * level.sampler_scale
        return {"samples": self.painter.model.model.process_latent_out(inside)}

    def _down(self, positive: Any, latent: dict[str, Any]) -> Tensor:
        return self._sample(self.custom.DisableNoise.execute()[0], positive, self.below, latent)

    def _sample(self, noise: Any, positive: Any, sigmas: Tensor, latent: Any) -> Tensor:
        guider = self.custom.BasicGuider.execute(self.painter.model, positive)[0]
        sampler = self.custom.KSamplerSelect.execute("euler")[0]
        run = self.custom.SamplerCustomAdvanced.execute
        return run(noise, guider, sampler, sigmas, latent)[0]["samples"]

    def _negative(self) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, "")[0]

    def _measured(self, positive: Any, latent: Any, frames: Tensor) -> dict[str, Any]:
        """LPIPS of the frames' steps, and density and gradient along the path."""
        measure = self.pack.metrics.measuring.measure_on_device
        steps = measure([frames.movedim(1, -1)], "alex", 16, False)
        analysis = self.pack.density.analysis
        strength = STRENGTHS[DIFFERENCE]
        settings = analysis.Settings(0, 0.1, 1.0, 0, strength, 0, "noise difference")
        model = self.painter.model
        analysed = analysis.analyse(model, [positive], self._negative(), [latent], settings)
        return {
            "steps": list(steps.distances),
            "metric": steps.metric,
            "log_density": analysed.log_density.tolist(),
            "gradient": analysed.norms["given"],
        }


def worse(pictures: Sequence[Tensor], images: Sequence[Tensor]) -> float:
    """The smaller PSNR, in dB, of two pictures against their images."""
    return min(psnr(*pair) for pair in zip(pictures, images, strict=True))


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR, in dB, of images in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())
