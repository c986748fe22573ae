"""Helpers of the tests of density paths: latents, paths, renders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .conftest import PROMPT_A, PROMPT_B, Comfy

STEPS, LEVEL = 16, 0.6
TRUE, DIFFERENCE = "true score", "noise difference"


def spread() -> Tensor:
    """Standard deviations of a density that is not round, so that its geodesics bend."""
    return 0.2 + 1.5 * torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(5))


def clean(comfy: Comfy, seed: int, scale: float = 0.7) -> dict[str, Any]:
    x = scale * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    return {"samples": comfy.model.model.process_latent_out(x)}


def inverted(comfy: Comfy, model: Any, latent: Any, prompt: Any, level: float = LEVEL) -> Any:
    return comfy.noise.GeodesicInvert.execute(model, prompt, latent, STEPS, level, 1)[0]


def prompts(comfy: Comfy, a: str = PROMPT_A, b: str = PROMPT_B) -> Any:
    """A path from prompt to prompt."""
    clouds = [comfy.prompt.GeodesicPointCloud.execute(comfy.encode(t))[0] for t in (a, b)]
    return comfy.prompt.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]


SETTINGS: dict[str, Any] = {
    "frames": 5,
    "strength": 0.02,
    "levels": 3,
    "iterations": 20,
    "learning_rate": 1.0,
    "score": TRUE,
    "seed": 0,
}


def found(comfy: Comfy, model: Any, a: Any, b: Any, **changes: Any) -> Any:
    """The outputs of Density Path."""
    chosen = SETTINGS | changes
    path = chosen.pop("path", None) or prompts(comfy)
    negative = chosen.pop("negative", None) or comfy.encode("")
    return comfy.density.GeodesicDensityPath.execute(model, path, negative, a, b, **chosen)


def both(comfy: Comfy, model: Any, level: float = LEVEL) -> tuple[Any, Any]:
    """Two inverted latents."""
    a, b = (inverted(comfy, model, clean(comfy, seed), comfy.encode(""), level) for seed in (1, 2))
    return a, b


def rendered(model: Any, positives: Any, latents: Any, level: float = LEVEL) -> Tensor:
    """The frames through the native sampler, without guidance and noise: latents [F, ...]."""
    from comfy_extras import nodes_custom_sampler as custom

    sigmas = custom.BasicScheduler.execute(model, "normal", STEPS, level)[0]
    sampler = custom.KSamplerSelect.execute("euler")[0]
    noise = custom.DisableNoise.execute()[0]
    frames = []
    for positive, latent in zip(positives, latents, strict=True):
        guider = custom.BasicGuider.execute(model, positive)[0]
        run = custom.SamplerCustomAdvanced.execute
        frames.append(run(noise, guider, sampler, sigmas, latent)[0]["samples"])
    return torch.cat(frames)


def beyond(comfy: Comfy, model: Any, state: Any, **changes: Any) -> Any:
    chosen = {"frames": 4, "distance": 0.5, "steps": 8, "seed": 0} | changes
    execute = comfy.density.GeodesicDensityExtrapolate.execute
    return execute(model, state, comfy.encode(""), **chosen)
