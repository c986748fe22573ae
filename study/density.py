"""Paths between two images, compared: density geodesics, the great arc, the prompt path alone.

arXiv 2504.06675, section 6, on the small checkpoint: pairs of held-out scenes, DDIM-inverted with
their captions to noise level 0.6. All paths share prompts (optimal transport), sampler and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import wilcoxon
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


@dataclass
class Measured:
    """The measures of one method, one number for each pair."""

    ppl: list[float] = field(default_factory=list)  # mean LPIPS of consecutive frames
    largest: list[float] = field(default_factory=list)  # largest LPIPS of consecutive frames
    density: list[float] = field(default_factory=list)  # mean log density above the chord
    gradient: list[float] = field(default_factory=list)  # mean ‖G‖ by the noise difference
    ends: list[float] = field(default_factory=list)  # PSNR of the worse end against its image, dB


@dataclass(frozen=True)
class StudyResult:
    """The results of a run. inversion_ends: PSNR of each pair's worse end by inversion alone."""

    plan: Plan
    device: str
    inversion_ends: list[float]
    measured: dict[str, Measured]
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
    return StudyResult(plan, device, studio.inversion_ends, studio.measured, studio.films)


class Studio:
    """The small checkpoint in ComfyUI and this pack's nodes."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.plan = plan
        self.painter = Painter(SMALL, cpu)
        # These imports only work after the painter has loaded ComfyUI.
        import comfy.utils
        from comfy_extras import nodes_custom_sampler

        comfy.utils.set_progress_bar_enabled(False)  # the pairs have their own progress bar

        self.pack = pack_nodes()
        self.prompt_nodes = self.pack.prompt.nodes
        self.custom = nodes_custom_sampler
        self.measured = {method: Measured() for method in METHODS}
        self.inversion_ends: list[float] = []
        self.films: list[dict[str, Tensor]] = []
        # The first steps of this schedule lead from pure noise down to the noise level.
        schedule = nodes_custom_sampler.BasicScheduler.execute
        whole = schedule(self.painter.model, "normal", int(plan.steps / LEVEL), 1.0)[0]
        self.above, self.below = whole[: -plan.steps], whole[-(plan.steps + 1) :]

    def compare(self, k: int) -> None:
        """Compare all methods on one pair of images."""
        prompts, latents, noises = zip(*(self._image(2 * k + n) for n in (0, 1)), strict=True)
        clouds = [self.prompt_nodes.GeodesicPointCloud.execute(prompt)[0] for prompt in prompts]
        path = self.prompt_nodes.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]
        images = [self.painter.decode(latent) for latent in latents]
        film = {}
        for method in METHODS:
            positive, latent = self._path(method, path, noises, k)
            frames = self.painter.decode(self._down(positive, latent))
            film[method] = frames
            if method != PROMPT:
                ends = zip((frames[:1], frames[-1:]), images, strict=True)
                self.measured[method].ends.append(min(psnr(*pair) for pair in ends))
            self._measure(method, positive, latent, frames)
        rendered = [
            self.painter.decode(self._down(prompt, self._for_sampler(noise)))
            for prompt, noise in zip(prompts, noises, strict=True)
        ]
        self.inversion_ends.append(min(psnr(*pair) for pair in zip(rendered, images, strict=True)))
        self.films.append(film)

    def _image(self, k: int) -> tuple[Any, Tensor, Any]:
        """A held-out scene: its caption's conditioning, its latent, and the inverted latent."""
        scene, rng = evaluation_scene(self.plan.seed, k)
        caption = say(scene, rng, complete=True)
        picture = draw(scene, Random(k)).movedim(0, -1)[None]
        latent = self.painter.vae.encode(picture)
        prompt = self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, caption)[0]
        execute = self.pack.noise.nodes.GeodesicInvert.execute
        settings = (self.plan.steps, LEVEL, 1)
        return (
            prompt,
            latent,
            execute(self.painter.model, prompt, {"samples": latent}, *settings)[0],
        )

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

    def _measure(self, method: str, positive: Any, latent: Any, frames: Tensor) -> None:
        measured = self.measured[method]
        measure = self.pack.metrics.measuring.measure_on_device
        steps = measure([frames.movedim(1, -1)], "alex", 16, False)
        measured.ppl.append(steps.mean)
        measured.largest.append(steps.largest)
        analysis = self.pack.density.analysis
        strength = STRENGTHS[DIFFERENCE]
        settings = analysis.Settings(0, 0.1, 1.0, 0, strength, 0, "noise difference")
        model = self.painter.model
        analysed = analysis.analyse(model, [positive], self._negative(), [latent], settings)
        log_density = analysed.log_density
        chord = np.linspace(log_density[0], log_density[-1], len(log_density))
        measured.density.append(float((log_density - chord).mean()))
        measured.gradient.append(analysed.norms["given"])


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR, in dB, of images in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())


def report(result: StudyResult) -> str:
    """A Markdown page."""
    plan = result.plan
    worse = min(
        path_end - inversion_end
        for method in (DIFFERENCE, TRUE, ARC)
        for path_end, inversion_end in zip(
            result.measured[method].ends, result.inversion_ends, strict=True
        )
    )
    return f"""# From image to image: is the density geodesic better?

Written by `python -m study density`, on a {result.device}: {plan.pairs} pairs of held-out scenes on
the small checkpoint, inverted with their captions to noise level {LEVEL:g} in {plan.steps} steps
with one refinement, {plan.frames} frames per path, rendered without guidance. Density paths:
{plan.levels} levels of {plan.iterations} iterations, learning rate {plan.learning_rate:g}, strength
{STRENGTHS[DIFFERENCE]:g} (noise difference) and {STRENGTHS[TRUE]:g} (true score).

{table(result)}

- *PPL*: mean LPIPS (this project's backbone) of consecutive frames; *largest*: the largest of them.
  *Log density*: the model's true log density above the straight line between the values of both
  ends, mean along the path. It is higher for a path through more likely images. *Gradient*: mean
  norm of the functional gradient, by the noise difference. All are medians over the pairs; p is
  Wilcoxon's signed-rank against the great arc.
- *Ends*: PSNR of the first and the last frame against the encoded and decoded images, median of
  the worse one. By inversion alone: {median(result.inversion_ends):.1f} dB; no path is more than
  {max(0.0, -worse):.2f} dB below its own inversion. The prompt path does not lead to the images.

![The first pairs by every method](density.jpg)

## What holds

{verdicts(result)}
"""


def table(result: StudyResult) -> str:
    lines = [
        "| path | PPL | p | largest | log density | p | gradient | ends |",
        "|---|---|---|---|---|---|---|---|",
    ]
    arc = result.measured[ARC]
    for method, measured in result.measured.items():
        cells = [
            method,
            f"{median(measured.ppl):.4f}",
            "" if method == ARC else f"{p_value(measured.ppl, arc.ppl):.2g}",
            f"{median(measured.largest):.4f}",
            f"{median(measured.density):+.1f}",
            "" if method == ARC else f"{p_value(measured.density, arc.density):.2g}",
            f"{median(measured.gradient):.3f}",
            f"{median(measured.ends):.1f} dB" if measured.ends else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """p of Wilcoxon's signed-rank test over pairs; 1 where all are equal."""
    gains = np.subtract(a, b)
    return float(np.asarray(wilcoxon(gains))[1]) if gains.any() else 1.0


def verdicts(result: StudyResult) -> str:
    """One sentence for each method, with its numbers."""
    arc = result.measured[ARC]
    lines = []
    for method in (DIFFERENCE, TRUE, PROMPT):
        measured = result.measured[method]
        lines.append(
            f"- *{method}* against the great arc: "
            f"{_comparison(measured.ppl, arc.ppl, 'smoother', 'less smooth', smaller=True)}; "
            f"{_comparison(measured.density, arc.density, 'denser', 'less dense', smaller=False)}."
        )
    return "\n".join(lines)


def _comparison(
    values: Sequence[float], reference: Sequence[float], better: str, worse: str, *, smaller: bool
) -> str:
    gains = np.subtract(reference, values) if smaller else np.subtract(values, reference)
    wins = int((gains > 0).sum())
    p = p_value(values, reference)
    if p > 0.05:
        return f"no measurable difference in being {better} ({wins} of {len(gains)}, p = {p:.2g})"
    return f"{better if np.median(gains) > 0 else worse} ({wins} of {len(gains)}, p = {p:.2g})"
