"""Morph Sampler against as many frames through Morph Schedule, KSampler and VAE Decode."""

from __future__ import annotations

import time
from typing import Any

import torch

from dev.comfyui.environment import BASE
from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, readable, seconds
from dev.workflows.settings import SMALL, SMALL_SETTINGS
from scenes import checkpoint

FRAMES, STEPS = 24, 20
PROMPTS = (SMALL_SETTINGS.prompt_a, SMALL_SETTINGS.prompt_b)


def rows(cpu: bool) -> list[Row]:
    """Wall time of both, and what part of Morph Sampler's is spent outside model and VAE."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    nodes, pack = import_comfyui(cpu), pack_nodes()
    with torch.inference_mode():
        bench = Bench(nodes, pack)
        bench.ours()  # loads model and VAE, and fills every cache
        bench.theirs()
        theirs = seconds(bench.theirs)
        bench.inside = 0.0
        ours = seconds(bench.ours)
    outside = 1 - bench.inside / ours
    work = f"{bench.evaluations / (FRAMES * STEPS):.2f} of the evaluations"
    what = f"{FRAMES} frames by Morph Sampler ({work}), against Morph Schedule and KSampler"
    return [
        Row(what, readable(ours), readable(theirs), f"{theirs / ours:.2f}"),
        Row(
            "Morph Sampler: time outside model and VAE (left), of all (right)",
            readable(ours - bench.inside),
            readable(ours),
            f"{outside:.1%} (aim: below 5 %)",
        ),
    ]


class Bench:
    """The small model, whose network and VAE count their own seconds."""

    def __init__(self, nodes: Any, pack: Any) -> None:
        self.nodes, self.prompt = nodes, pack.prompt.nodes
        self.schedule, self.times = pack.schedule.nodes, pack.times.nodes
        self.sampler = pack.render.nodes.GeodesicMorphSampler
        model, clip, self.vae = nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)
        self.inside, self.evaluations = 0.0, 0
        self.model = model.clone()
        self.model.set_model_unet_function_wrapper(self._network)
        decode = self.vae.decode
        self.vae.decode = lambda samples: self._timed(decode, samples)
        encode = nodes.CLIPTextEncode().encode
        self.negative, *prompts = (encode(clip, text)[0] for text in ("", *PROMPTS))
        self.path = None
        for prompt in prompts:
            keyframe = self.prompt.GeodesicKeyframe.execute
            self.path = keyframe(prompt, 1.0, "optimal transport", 0, self.path)[0]
        self.latent = nodes.EmptyLatentImage().generate(64, 64, 1)[0]

    def _timed(self, run: Any, *arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        found = run(*arguments, **named)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.inside += time.perf_counter() - start
        return found

    def _network(self, apply: Any, given: dict[str, Any]) -> Any:
        self.evaluations += len(given["input"]) // len(given["cond_or_uncond"])
        return self._timed(apply, given["input"], given["timestep"], **given["c"])

    def ours(self) -> None:
        self.evaluations = 0
        settings = (FRAMES, 42, STEPS, 4.0, "euler", "karras", 1.0, 0.5, "strong", "latent", "stop")
        self.sampler.execute(self.model, self.path, self.negative, self.latent, self.vae, *settings)

    def theirs(self) -> None:
        times = self.times.GeodesicTimes.execute(FRAMES, "linear", "stop", "")[0]
        schedule = self.schedule.GeodesicSchedule.execute
        positive, latents, _ = schedule(self.path, times, self.latent, 8).result
        for prompts, batch in zip(positive, latents, strict=True):
            sampled = self.nodes.KSampler().sample(
                self.model, 42, STEPS, 4.0, "euler", "karras", prompts, self.negative, batch
            )[0]
            self.vae.decode(sampled["samples"])
