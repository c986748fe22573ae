"""A real ComfyUI for the tests: its modules in this process. The server is in tests/conftest.py."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.workflows.settings import SMALL, Settings

PROMPT_A = "a small red circle on a white background"
PROMPT_B = "on black, a large yellow star"


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The example graphs at a size that runs in seconds."""
    return Settings(
        checkpoint=SMALL,
        prompt_a=PROMPT_A,
        prompt_b=PROMPT_B,
        size=64,
        frames=5,
        frames_per_batch=0,
        steps=4,
        cfg=4.0,
    )


@dataclass(frozen=True)
class Comfy:
    """ComfyUI's own modules, our pack as ComfyUI loads it, and the small checkpoint."""

    nodes: ModuleType
    prompt: Any
    schedule: Any
    times: Any
    metrics: Any
    noise: Any
    density: Any
    analysis: Any
    backbones: Any
    model: Any
    clip: Any
    vae: Any
    encoded: dict[str, Any] = field(default_factory=dict)

    def encode(self, text: str) -> list[Any]:
        """CLIPTextEncode's answer, worked out once for each text and copied for each test."""
        if text not in self.encoded:
            self.encoded[text] = self.nodes.CLIPTextEncode().encode(self.clip, text)[0]
        return [
            [rows.clone(), {k: v.clone() if isinstance(v, Tensor) else v for k, v in more.items()}]
            for rows, more in self.encoded[text]
        ]

    def latent(self, size: int = 64, count: int = 1) -> dict[str, Any]:
        return self.nodes.EmptyLatentImage().generate(size, size, count)[0]

    def sample(self, positive: Any, latent: Any, seed: int = 1, steps: int = 4) -> Any:
        negative = self.encode("")
        arguments = (seed, steps, 4.0, "dpmpp_2m", "karras", positive, negative, latent)
        return self.nodes.KSampler().sample(self.model, *arguments)[0]["samples"]


@pytest.fixture(scope="session")
def comfy(models: None) -> Comfy:
    """ComfyUI in this process, with the pack and the small checkpoint loaded."""
    assert models is None
    nodes, pack = import_comfyui(cpu=True), pack_nodes()
    model, clip, vae = nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)
    return Comfy(
        nodes,
        pack.prompt.nodes,
        pack.schedule.nodes,
        pack.times.nodes,
        pack.metrics.nodes,
        pack.noise.nodes,
        pack.density.nodes,
        pack.density.analysis_node,
        pack.metrics.weights,
        model,
        clip,
        vae,
    )


@pytest.fixture(scope="session")
def pair(comfy: Comfy) -> tuple[Any, Any]:
    """Two latents inverted on the small checkpoint, half way up in noise."""
    from .densities import both

    with torch.inference_mode():
        return both(comfy, comfy.model)


@pytest.fixture
def held() -> Iterator[Callable[..., int]]:
    """Counts the bytes of tensors made since the test began, each memory once.

    width: only of those with so many numbers in a row.
    """

    def count(width: int | None = None) -> int:
        gc.collect()
        tensors = [x for x in gc.get_objects() if issubclass(type(x), Tensor)]
        alive = [x.untyped_storage() for x in tensors if width in (None, *x.shape[-1:])]
        return sum({storage.data_ptr(): storage.nbytes() for storage in alive}.values())

    gc.collect()
    gc.freeze()  # looks at nothing that was there before, which is most of ComfyUI
    yield count
    gc.unfreeze()
