"""A film through photos: Image Keyframe and Morph Sampler against rendering every frame.

Both invert every photo. Theirs is what users would otherwise build: noises interpolated, prompts
blended row by row, every frame at equal times rendered. DiffMorpher (arXiv 2312.07409) trains a
LoRA for each photo first; its evaluations are counted from its paper, and not run.
"""

from __future__ import annotations

from random import Random
from typing import Any

import torch

from dev.comfyui.environment import BASE
from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, cost, readable
from dev.workflows.settings import SMALL
from scenes import checkpoint
from scenes.drawing import draw
from scenes.language import evaluation_scene, say

COUNTS = (2, 5, 10)
LEG = 24  # frames from a photo to the next
STEPS, LEVEL = 30, 0.6
SEED = 21
# DiffMorpher: training steps of a photo's LoRA, evaluations that a step costs (forwards, and twice
# as much backwards), steps of DDIM inversion, and steps of each frame.
LORA_STEPS, OF_A_STEP, INVERSION, RENDER = 200, 3, 50, 50


def rows(cpu: bool) -> list[Row]:
    """Evaluations, wall time and peak memory of both, and DiffMorpher's count."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    nodes, pack = import_comfyui(cpu), pack_nodes()
    with torch.inference_mode():
        bench = Bench(nodes, pack)
        bench.ours(2)  # loads model and VAE
        return [row for count in COUNTS for row in _rows(bench, count)]


def _rows(bench: Bench, count: int) -> list[Row]:
    found = {}
    for name, run in (("ours", bench.ours), ("theirs", bench.theirs)):
        bench.evaluations = 0
        taken, used = cost(torch.device("cpu"), lambda run=run: run(count))
        found[name] = bench.evaluations, taken, used
    (own, taken, used), (other, their_time, their_bytes) = found["ours"], found["theirs"]
    recipe = count * (LORA_STEPS * OF_A_STEP + INVERSION) + frames(count) * RENDER
    what = f"{count} photos, {frames(count)} frames"
    return [
        Row(
            f"{what}, against every frame rendered",
            f"{own} evaluations, {readable(taken)}, {max(used, 0) / 2**20:.0f} MB",
            f"{other} evaluations, {readable(their_time)}, {max(their_bytes, 0) / 2**20:.0f} MB",
            f"{their_time / taken:.2f}",
        ),
        Row(
            f"{what}, evaluations: DiffMorpher's recipe, counted",
            f"{own}",
            f"{recipe}",
            f"{recipe / own:.2f}",
        ),
    ]


def frames(count: int) -> int:
    return LEG * (count - 1)


class Bench:
    """Scenes as photos, and the small model, which counts its evaluations."""

    def __init__(self, nodes: Any, pack: Any) -> None:
        self.nodes, self.pack = nodes, pack
        model, self.clip, self.vae = nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)
        self.evaluations = 0
        self.model = model.clone()
        self.model.set_model_unet_function_wrapper(self._network)
        self.negative = self._encode("")
        self.latent = nodes.EmptyLatentImage().generate(64, 64, 1)[0]

    def _encode(self, text: str) -> Any:
        return self.nodes.CLIPTextEncode().encode(self.clip, text)[0]

    def _network(self, apply: Any, given: dict[str, Any]) -> Any:
        self.evaluations += len(given["input"])
        return apply(given["input"], given["timestep"], **given["c"])

    def _photo(self, number: int) -> tuple[Any, Any]:
        scene, rng = evaluation_scene(SEED, number)
        image = draw(scene, Random(number)).movedim(0, -1)[None]
        return image, self._encode(say(scene, rng, complete=True))

    def _path(self, count: int) -> Any:
        execute = self.pack.noise.image_keyframe.GeodesicImageKeyframe.execute
        path = None
        for number in range(count):
            image, prompt = self._photo(number)
            path = execute(self.model, self.vae, image, prompt, STEPS, LEVEL, 1.0, path)[0]
        return path

    def ours(self, count: int) -> None:
        settings = (42, STEPS, 1.0, "euler", "normal", LEVEL, 0.5, "strong", "latent", "stop")
        sampler = self.pack.render.nodes.GeodesicMorphSampler.execute
        path = self._path(count)
        sampler(self.model, path, self.negative, self.latent, self.vae, frames(count), *settings)

    def theirs(self, count: int) -> None:
        path, sampling = self._path(count), self.pack.render.sampling
        settings = sampling.SamplerSettings(42, STEPS, 1.0, "euler", "normal", LEVEL)
        sampler = sampling.FrameSampler(
            self.model,
            path.prompts,
            self.negative,
            self.latent,
            settings,
            image_path=path,
            frames_per_batch=8,
        )
        last = frames(count) - 1
        for frame in sampler.render([k / last for k in range(frames(count))]):
            self.vae.decode(frame.samples[None])
