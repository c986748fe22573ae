"""Paths between two images, compared: density geodesics, the great arc, the prompt path alone.

arXiv 2504.06675, section 6, on the small checkpoint: pairs of held-out scenes, DDIM-inverted with
their captions to noise level 0.6. All paths share prompts (optimal transport), sampler and steps.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
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
from scenes import checkpoint
from scenes.drawing import draw
from scenes.language import evaluation_scene, say

from . import parquet
from .prompts.run import versions

FILE = "density.parquet"
ARC, RETIMED, PROMPT = "great arc (slerp)", "great arc, re-timed", "prompt path alone"
DIFFERENCE, TRUE = "density, noise difference", "density, true score"
BOTH_WAYS, TANGENTIAL = "density, noise difference both ways", "tangential"
PLACED = "photo path, Morph Sampler"
# The strength a for each score, so that paths curve about equally. SD1.5, with 64 times as many
# latent values, needs less.
STRENGTHS = {DIFFERENCE: 0.1, BOTH_WAYS: 0.1, TRUE: 0.005}
METHODS = (DIFFERENCE, BOTH_WAYS, TRUE, TANGENTIAL, ARC, RETIMED, PROMPT, PLACED)
SCORES = {BOTH_WAYS: "noise difference, both ways", TRUE: "true score", TANGENTIAL: "true score"}
LEVEL = 0.6
# Its frames bridge steps, so no points of it have a density.
NOT_OF_PLACED = {"log_density": [], "gradient": float("nan"), "lengths": []}


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
    # Of all levels together, at most. Each costs 124 scores, with 16 legs.
    tangential_iterations: int = 32
    seed: int = 11

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs: expected at least 2, got {self.pairs}.")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The results of a run.

    table: a row for each pair and path: pair, caption_a, caption_b, path; steps (LPIPS of
    consecutive frames), metric; pixels (root mean square difference of consecutive frames);
    log_density (of every frame by the model's true score and that frame's own prompt, relative to
    the first frame), gradient (mean ‖G‖ by the noise difference), both empty or NaN for Morph
    Sampler, whose frames bridge steps; lengths (by the tangential metric, of the great arc and of
    the path, for the tangential path alone); ends (PSNR of the worse of both ends against its
    image, dB; NaN for the prompt path), inversion (the same by inversion alone). Empty lists:
    not measured. films: frames [F, 3, H, W] by path, for each pair; empty after `load`.
    """

    plan: Plan
    device: str
    environment: dict[str, str]
    table: pd.DataFrame
    films: list[dict[str, Tensor]]


def run(
    plan: Plan, cpu: bool = False, methods: Sequence[str] = METHODS, workers: int = 1
) -> StudyResult:
    """Run the comparison; the same plan gives the same images on every machine.

    methods: the paths to measure. workers: processes that share the pairs. Raises ValueError for
    unknown paths.
    """
    if unknown := [f"'{name}'" for name in methods if name not in METHODS]:
        raise ValueError(f"methods: expected some of {METHODS}, got {', '.join(unknown)}.")
    cpu = cpu or not torch.cuda.is_available()
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    shares = [range(first, plan.pairs, workers) for first in range(workers)]
    if workers == 1:
        done = [_compare(plan, cpu, methods, shares[0])]
    else:
        # Each loads ComfyUI for itself, which a forked process could not.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            torch_threads = max(1, (os.cpu_count() or 1) // workers)
            jobs = [
                pool.submit(_compare, plan, cpu, methods, share, torch_threads) for share in shares
            ]
            done = [job.result() for job in jobs]
    rows = sorted((row for rows, _ in done for row in rows), key=lambda row: row["pair"])
    films = {k: film for _, films in done for k, film in films.items()}
    device = "CPU" if cpu else "GPU"
    in_order = [films[k] for k in sorted(films)]
    return StudyResult(plan, device, versions(), pd.DataFrame(rows), in_order)


def _compare(
    plan: Plan, cpu: bool, methods: Sequence[str], pairs: Sequence[int], threads: int = 0
) -> tuple[list[dict[str, Any]], dict[int, dict[str, Tensor]]]:
    """Rows and films of some pairs. threads: of the CPU; 0 leaves it to torch."""
    if threads:
        torch.set_num_threads(threads)
    studio = Studio(plan, cpu)
    with torch.inference_mode():
        for k in tqdm(pairs, "pairs", position=min(pairs)):
            studio.compare(k, methods)
    return studio.rows, dict(zip(pairs, studio.films, strict=True))


def joined(new: StudyResult, old: StudyResult) -> StudyResult:
    """A result with the paths of `old` that `new` did not measure.

    Raises ValueError if they are not of one plan. How long the tangential path was searched for
    matters to that path alone.
    """
    iterations = new.plan.tangential_iterations
    if replace(old.plan, tangential_iterations=iterations) != new.plan or old.device != new.device:
        raise ValueError(
            f"methods: expected a run like the one that is kept ({old.plan}, {old.device}), got "
            f"{new.plan}, {new.device}. Give the same settings, or measure all paths."
        )
    kept = old.table[~old.table["path"].isin(new.table["path"])]
    table = pd.DataFrame(pd.concat([new.table, kept], ignore_index=True))
    for column in ("pixels", "lengths"):  # not measured before they were asked for
        table[column] = [[] if isinstance(v, float) else v for v in table[column]]
    ordered = table.sort_values(by=["pair", "path"]).reset_index(drop=True)
    return replace(new, table=ordered)


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

    def compare(self, k: int, methods: Sequence[str] = METHODS) -> None:
        """Compare paths on one pair of images."""
        captions, prompts, photos, latents, noises = zip(
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
        for method in methods:
            if method == PLACED:
                frames, measured = self._placed(prompts, photos, k), NOT_OF_PLACED
            else:
                positive, latent, lengths = self._path(method, path, noises, k)
                frames = self.painter.decode(self._down(positive, latent))
                measured = self._density(positive, latent) | {"lengths": lengths}
            film[method] = frames
            self.rows.append(
                {
                    "pair": k,
                    "caption_a": captions[0],
                    "caption_b": captions[1],
                    "path": method,
                    **self._steps(frames),
                    **measured,
                    # The prompt path does not lead to the images.
                    "ends": worse([frames[:1], frames[-1:]], images)
                    if method != PROMPT
                    else float("nan"),
                    "inversion": worse(rendered, images),
                }
            )
        self.films.append(film)

    def _image(self, k: int) -> tuple[str, Any, Tensor, Tensor, Any]:
        """A held-out scene: caption, its conditioning, the picture [1, H, W, 3], its latent, and
        the inverted latent.
        """
        scene, rng = evaluation_scene(self.plan.seed, k)
        caption = say(scene, rng, complete=True)
        picture = draw(scene, Random(k)).movedim(0, -1)[None]
        latent = self.painter.vae.encode(picture)
        prompt = self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, caption)[0]
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        inverted = execute(
            self.painter.model, prompt, {"samples": latent}, self.plan.steps, LEVEL, 1
        )
        return caption, prompt, picture, latent, inverted[0]

    def _path(
        self, method: str, path: Any, noises: Sequence[Any], k: int
    ) -> tuple[Any, Any, list[float]]:
        """Conditioning and latents of the frames of a path, at the noise level; its lengths."""
        if method == PROMPT:
            return *self._prompt_path(path, k), []
        if method == TANGENTIAL:
            return self._tangential(path, noises, k)
        if method == RETIMED:
            return *self._retimed(path, noises, k), []
        outputs = self._density_path(method, path, noises, k)
        return outputs[0][0], outputs[1][0], []

    def _density_path(self, method: str, path: Any, noises: Sequence[Any], k: int) -> Any:
        """All outputs of Density Path, with the frames in one batch."""
        return self.pack.density.nodes.GeodesicDensityPath.execute(
            self.painter.model,
            path,
            self._negative(),
            *noises,
            self.plan.frames,
            STRENGTHS.get(method, 0.0),
            self.plan.levels,
            0 if method == ARC else self.plan.iterations,
            self.plan.learning_rate,
            SCORES.get(method, "noise difference"),
            k,
            0,
        )

    def _retimed(self, path: Any, noises: Sequence[Any], k: int) -> tuple[Any, Any]:
        """The great arc at the times that Retime gives for its own frames."""
        positive, latents, times, _, state = self._density_path(ARC, path, noises, k)
        frames = self.painter.decode(self._down(positive[0], latents[0]))
        retime = self.pack.metrics.nodes.GeodesicRetime.execute
        even = retime(times, self._measured(frames), self.plan.frames)[0]
        again = self.pack.density.nodes.GeodesicDensityFrames.execute(state, even, 0)
        return again[0][0], again[1][0]

    def _tangential(self, path: Any, noises: Sequence[Any], k: int) -> tuple[Any, Any, list[float]]:
        """By the metric JᵀJ of the true score, which is no node's."""
        density = self.pack.density.path
        plan = self.plan
        search = density.Search(
            0.0, plan.levels, plan.tangential_iterations, 1.0, SCORES[TANGENTIAL], k
        )
        search = replace(search, metric=density.TANGENTIAL)
        prompts = self.pack.inputs.as_paths(path)
        found = density.find(self.painter.model, prompts, self._negative(), tuple(noises), search)
        times = np.linspace(0, 1, plan.frames).tolist()
        ((positive, latent),) = found.path.frames(times, 0)
        (lengths,) = found.history
        return positive, latent, [lengths[0], lengths[-1]]

    def _placed(self, prompts: Sequence[Any], pictures: Sequence[Tensor], k: int) -> Tensor:
        """Image Keyframe and Morph Sampler, by LPIPS, with the same steps and level."""
        keyframe = self.pack.noise.image_keyframe.GeodesicImageKeyframe.execute
        plan, photos = self.plan, None
        for prompt, picture in zip(prompts, pictures, strict=True):
            arguments = (prompt, plan.steps, LEVEL, 1.0, photos)
            photos = keyframe(self.painter.model, self.painter.vae, picture, *arguments)[0]
        empty = {"samples": torch.zeros(1, 4, 8, 8)}
        sampler = self.pack.render.nodes.GeodesicMorphSampler.execute
        model, vae, negative = self.painter.model, self.painter.vae, self._negative()
        settings = (k, plan.steps, 1.0, "euler", "normal", LEVEL, 0.5, "strong", "alex", "stop")
        done = sampler(model, photos, negative, empty, vae, plan.frames, *settings)
        return done[0].movedim(-1, 1)

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

    def _measured(self, frames: Tensor) -> Any:
        """The frames' LPIPS steps, as Retime takes them."""
        measure = self.pack.metrics.measuring.measure_on_device
        return measure([frames.movedim(1, -1)], "alex", 16, False)

    def _steps(self, frames: Tensor) -> dict[str, Any]:
        """LPIPS and pixel differences of the frames' steps."""
        steps = self._measured(frames)
        pixels = (frames[1:] - frames[:-1]).square().mean(dim=(1, 2, 3)).sqrt()
        return {
            "steps": list(steps.distances),
            "metric": steps.metric,
            "pixels": pixels.tolist(),
        }

    def _density(self, positive: Any, latent: Any) -> dict[str, Any]:
        """Density and gradient along the path."""
        analysis = self.pack.density.analysis
        strength = STRENGTHS[DIFFERENCE]
        settings = analysis.Settings(0, 0.1, 1.0, 0, strength, 0, "noise difference")
        model = self.painter.model
        analysed = analysis.analyse(model, [positive], self._negative(), [latent], settings)
        return {
            "log_density": analysed.log_density.tolist(),
            "gradient": analysed.norms["given"],
        }


def worse(pictures: Sequence[Tensor], images: Sequence[Tensor]) -> float:
    """The smaller PSNR, in dB, of two pictures against their images."""
    return min(psnr(*pair) for pair in zip(pictures, images, strict=True))


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR, in dB, of images in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())
