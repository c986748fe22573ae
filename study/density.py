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
# a of each score: about the same bend. SD1.5 has 64 times as many latent values.
STRENGTHS = {DIFFERENCE: 0.1, TRUE: 0.005}
METHODS = (DIFFERENCE, TRUE, ARC, PROMPT)
LEVEL = 0.6


@dataclass(frozen=True)
class Plan:
    """How much is drawn. Raises ValueError for fewer pairs than a test needs."""

    pairs: int = 12
    steps: int = 30
    frames: int = 17
    levels: int = 4
    iterations: int = 30
    # Three times the paper's, which the implicit steps allow, for a third of its iterations.
    learning_rate: float = 0.3
    seed: int = 11

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs: expected at least 2, got {self.pairs}.")


@dataclass
class Measured:
    """One number for each pair."""

    ppl: list[float] = field(default_factory=list)  # mean LPIPS of consecutive frames
    largest: list[float] = field(default_factory=list)  # of their distances
    density: list[float] = field(default_factory=list)  # log density above the chord, mean
    gradient: list[float] = field(default_factory=list)  # ‖G‖ of the noise difference, mean
    ends: list[float] = field(default_factory=list)  # dB, the worse end against its image


@dataclass(frozen=True)
class Found:
    """All of a run. alone: dB of the worse end of each pair by its inversion alone."""

    plan: Plan
    device: str
    alone: list[float]
    measured: dict[str, Measured]
    films: list[dict[str, Tensor]]


def run(plan: Plan, cpu: bool = False) -> Found:
    """The whole comparison; the same plan takes the same images everywhere."""
    cpu = cpu or not torch.cuda.is_available()
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    studio = Studio(plan, cpu)
    with torch.inference_mode():
        for k in tqdm(range(plan.pairs), "pairs"):
            studio.compare(k)
    device = "CPU" if cpu else "GPU"
    return Found(plan, device, studio.alone, studio.measured, studio.films)


class Studio:
    """The small checkpoint in ComfyUI and this pack's nodes."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.plan = plan
        self.painter = Painter(SMALL, cpu)
        # Found only after the painter has loaded ComfyUI.
        import comfy.utils
        from comfy_extras import nodes_custom_sampler

        comfy.utils.set_progress_bar_enabled(False)  # the pairs have a bar of their own

        self.pack = pack_nodes()
        self.prompt_nodes = self.pack.prompt.nodes
        self.custom = nodes_custom_sampler
        self.measured = {method: Measured() for method in METHODS}
        self.alone: list[float] = []
        self.films: list[dict[str, Tensor]] = []
        # The first steps of this schedule are the way from noise alone down to the level.
        schedule = nodes_custom_sampler.BasicScheduler.execute
        whole = schedule(self.painter.model, "normal", int(plan.steps / LEVEL), 1.0)[0]
        self.above, self.below = whole[: -plan.steps], whole[-(plan.steps + 1) :]

    def compare(self, k: int) -> None:
        """One pair of images, by every method."""
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
        alone = [
            self.painter.decode(self._down(prompt, self._for_sampler(noise)))
            for prompt, noise in zip(prompts, noises, strict=True)
        ]
        self.alone.append(min(psnr(*pair) for pair in zip(alone, images, strict=True)))
        self.films.append(film)

    def _image(self, k: int) -> tuple[Any, Tensor, Any]:
        """A held-out scene: its caption's conditioning, its latent, and that inverted."""
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
        """Conditioning and latents of a path's frames, at the noise level."""
        if method == PROMPT:
            return self._prompt_path(path, k)
        arc = method == ARC
        found = self.pack.density.nodes.GeodesicDensityPath.execute(
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
        return found[0][0], found[1][0]

    def _prompt_path(self, path: Any, k: int) -> tuple[Any, Any]:
        """One seed for all frames, brought down from noise alone to the level."""
        times = self.prompt_nodes.GeodesicTimes.execute(self.plan.frames, "linear", "stop", "")[0]
        empty = {"samples": torch.zeros(1, 4, 8, 8)}
        schedule = self.prompt_nodes.GeodesicSchedule.execute
        positives, latents, _ = schedule(path, times, empty, 0)
        noise = self.custom.RandomNoise.execute(k)[0]
        samples = self._sample(noise, positives[0], self.above, latents[0])
        level = self.pack.latents.InvertedLevel(LEVEL, float(self.below[0]), False)
        return positives[0], {"samples": samples} | self.pack.latents.noised(samples, level)

    def _for_sampler(self, noise: Any) -> dict[str, Any]:
        level = self.pack.latents.InvertedLevel(LEVEL, float(self.below[0]), False)
        inside = noise["samples"] * level.to_sampler
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
        found = self.measured[method]
        measure = self.pack.metrics.measuring.measure_on_device
        steps = measure([frames.movedim(1, -1)], "alex", 16, False)
        found.ppl.append(steps.mean)
        found.largest.append(steps.largest)
        analysis = self.pack.density.analysis
        strength = STRENGTHS[DIFFERENCE]
        settings = analysis.Settings(0, 0.1, 1.0, 0, strength, 0, "noise difference")
        model = self.painter.model
        about = analysis.analyse(model, [positive], self._negative(), [latent], settings)
        log_density = about.log_density
        chord = np.linspace(log_density[0], log_density[-1], len(log_density))
        found.density.append(float((log_density - chord).mean()))
        found.gradient.append(about.norms["given"])


def psnr(a: Tensor, b: Tensor) -> float:
    """dB between images in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())


def report(found: Found) -> str:
    """A Markdown page."""
    plan = found.plan
    worse = min(
        ours - alone
        for method in (DIFFERENCE, TRUE, ARC)
        for ours, alone in zip(found.measured[method].ends, found.alone, strict=True)
    )
    return f"""# From image to image: is the geodesic of the density the better way?

Written by `python -m study density`, on a {found.device}: {plan.pairs} pairs of held-out scenes on
the small checkpoint, inverted with their captions to noise level {LEVEL:g} in {plan.steps} steps
with one refinement, {plan.frames} frames a path, rendered without guidance. Density paths:
{plan.levels} levels of {plan.iterations} iterations, learning rate {plan.learning_rate:g}, strength
{STRENGTHS[DIFFERENCE]:g} (noise difference) and {STRENGTHS[TRUE]:g} (true score).

{table(found)}

- *PPL*: mean LPIPS (this project's backbone) of consecutive frames; *largest*: of these distances.
  *Log density*: the model's true log density above the straight line between the ends' values, mean
  along the path: how far a path keeps to likely images. *Gradient*: mean norm of the functional
  gradient, by the noise difference. All are medians over the pairs; p is Wilcoxon's signed-rank
  against the great arc.
- *Ends*: the first and the last frame against the images as the autoencoder keeps them, median of
  the worse one. By inversion alone: {median(found.alone):.1f} dB; no path is more than
  {max(0.0, -worse):.2f} dB below its own inversion. The prompt path has no images to meet.

![The first pairs by every method](density.jpg)

## What holds

{verdicts(found)}
"""


def table(found: Found) -> str:
    lines = [
        "| path | PPL | p | largest | log density | p | gradient | ends |",
        "|---|---|---|---|---|---|---|---|",
    ]
    arc = found.measured[ARC]
    for method, one in found.measured.items():
        cells = [
            method,
            f"{median(one.ppl):.4f}",
            "" if method == ARC else f"{p_value(one.ppl, arc.ppl):.2g}",
            f"{median(one.largest):.4f}",
            f"{median(one.density):+.1f}",
            "" if method == ARC else f"{p_value(one.density, arc.density):.2g}",
            f"{median(one.gradient):.3f}",
            f"{median(one.ends):.1f} dB" if one.ends else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """Wilcoxon's signed-rank over pairs; 1 where all are equal."""
    gains = np.subtract(one, other)
    return float(np.asarray(wilcoxon(gains))[1]) if gains.any() else 1.0


def verdicts(found: Found) -> str:
    """A sentence for each question, with its numbers."""
    arc = found.measured[ARC]
    lines = []
    for method in (DIFFERENCE, TRUE, PROMPT):
        one = found.measured[method]
        lines.append(
            f"- *{method}* against the great arc: "
            f"{_said(one.ppl, arc.ppl, 'smoother', 'less smooth', smaller=True)}; "
            f"{_said(one.density, arc.density, 'denser', 'less dense', smaller=False)}."
        )
    return "\n".join(lines)


def _said(
    one: Sequence[float], other: Sequence[float], better: str, worse: str, *, smaller: bool
) -> str:
    gains = np.subtract(other, one) if smaller else np.subtract(one, other)
    wins = int((gains > 0).sum())
    p = p_value(one, other)
    if p > 0.05:
        return f"no measurable difference in being {better} ({wins} of {len(gains)}, p = {p:.2g})"
    return f"{better if np.median(gains) > 0 else worse} ({wins} of {len(gains)}, p = {p:.2g})"
