"""Small morphs by Morph Sampler, and what KSampler makes of the same settings."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..conftest import PROMPT_A, PROMPT_B, Comfy

STEPS = 4


def path_of(comfy: Comfy, *prompts: Any) -> Any:
    path = None
    for prompt in prompts:
        path = comfy.prompt.GeodesicKeyframe.execute(prompt, 1.0, "optimal transport", 0, path)[0]
    return path


def ends(comfy: Comfy) -> Any:
    return path_of(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))


def morph(comfy: Comfy, path: Any = None, latent: Any = None, **changes: Any) -> Any:
    """The node's outputs at a size that takes a second."""
    from geodesic_morph.nodes.render.nodes import GeodesicMorphSampler

    inputs: dict[str, Any] = {
        "model": comfy.model,
        "path": path or ends(comfy),
        "negative": comfy.encode(""),
        "latent": latent or comfy.latent(),
        "vae": comfy.vae,
        "frames": 6,
        "seed": 1,
        "steps": STEPS,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "karras",
        "denoise": 1.0,
        "share": 0.25,
        "bridge": "soft",
        "distance": "latent",
        "ending": "stop",
    }
    return GeodesicMorphSampler.execute(**inputs | changes)


def native(comfy: Comfy, prompt: Any, latent: Any = None, **changes: Any) -> Tensor:
    """What KSampler makes of a prompt with the same settings: [1, C, h, w]."""
    settings: dict[str, Any] = {"model": comfy.model, "sampler": "euler", "cfg": 4.0}
    settings |= {"denoise": 1.0, "scheduler": "karras", "negative": comfy.encode("")} | changes
    return comfy.nodes.KSampler().sample(
        settings["model"],
        1,
        STEPS,
        settings["cfg"],
        settings["sampler"],
        settings["scheduler"],
        prompt,
        settings["negative"],
        latent or comfy.latent(),
        settings["denoise"],
    )[0]["samples"]


def sampler_of(comfy: Comfy, name: str = "euler", **changes: Any) -> Any:
    from geodesic_morph.nodes.render.sampling import FrameSampler, SamplerSettings

    scheduler = changes.pop("scheduler", "karras")
    denoise = changes.pop("denoise", 1.0)
    settings = SamplerSettings(1, changes.pop("steps", STEPS), 4.0, name, scheduler, denoise)
    inputs = (
        changes.pop("model", comfy.model),
        changes.pop("path", None) or ends(comfy),
        changes.pop("negative", None) or comfy.encode(""),
        changes.pop("latent", None) or comfy.latent(),
    )
    return FrameSampler(*inputs, settings, **changes)
