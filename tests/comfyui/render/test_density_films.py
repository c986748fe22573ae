"""Density paths through Morph Sampler: frames start from the noised images along the path."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ..conftest import PROMPT_A, PROMPT_B, Comfy
from ..densities import LEVEL, TRUE, found, prompts
from .morphs import STEPS, morph, sampler_of


@pytest.fixture
def state(comfy: Comfy, pair: tuple[Any, Any]) -> Any:
    """A density path between two inverted latents, after a short search."""
    return found(comfy, comfy.model, *pair, levels=2, iterations=2, score=TRUE)[4]


def film(comfy: Comfy, state: Any, **changes: Any) -> Any:
    settings = {"density": state, "denoise": LEVEL, "scheduler": "normal", "cfg": 1.0}
    return morph(comfy, prompts(comfy), **settings | changes)


def native(comfy: Comfy, state: Any, t: float, prompt: str) -> Tensor:
    """Density Frames through ComfyUI's own nodes, which add no noise."""
    from comfy_extras import nodes_custom_sampler as custom

    when = comfy.metrics.Times((t, t))
    latent = comfy.density.GeodesicDensityFrames.execute(state, when, 1).result[1][0]
    return custom.SamplerCustomAdvanced.execute(
        custom.DisableNoise.execute()[0],
        custom.BasicGuider.execute(comfy.model, comfy.encode(prompt))[0],
        custom.KSamplerSelect.execute("euler")[0],
        custom.BasicScheduler.execute(comfy.model, "normal", STEPS, LEVEL)[0],
        latent,
    )[0]["samples"]


def test_its_ends_are_density_frames(comfy: Comfy, state: Any) -> None:
    """Both ends are what Density Frames and ComfyUI's sampler make, bit for bit; frames differ."""
    images, latents, times, *_ = film(comfy, state, frames=7, frames_per_batch=1).result
    for place, t, prompt in ((0, 0.0, PROMPT_A), (-1, 1.0, PROMPT_B)):
        assert torch.equal(latents["samples"][place][None], native(comfy, state, t, prompt))
    assert bool(torch.isfinite(images).all())
    assert list(times.values) == sorted(set(times.values))


def test_a_state_of_a_bent_path_has_its_strength(comfy: Comfy, state: Any) -> None:
    """Before the first step a new frame's state is its own point, not the mean of two others."""
    from geodesic_morph.geometry.placement import Insertion

    sampler = sampler_of(comfy, density=state, scheduler="normal", denoise=LEVEL)
    left, middle, right = sampler.render([0.0, 0.5, 1.0])
    mixed = sampler.mixed_states(Insertion(0.5, 0, 1, 1, 0.5), left, right)
    torch.testing.assert_close(mixed[0], middle.states[0], rtol=1e-4, atol=1e-4)
    mean = (left.states[0] + right.states[0]) / 2
    assert float(mean.norm()) < 0.9 * float(middle.states[0].norm())


def test_mistakes_are_named(comfy: Comfy, state: Any) -> None:
    """Each with what to do."""
    noises = None
    for seed in (1, 2):
        noises = comfy.noise.GeodesicNoiseKeyframe.execute(seed, 1.0, None, noises)[0]
    masked = comfy.latent() | {"noise_mask": torch.ones(1, 1, 64, 64)}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"noise_path": noises}, "density: expected either density or noise_path"),
        ({"ending": "loop"}, "ending: expected 'stop' or 'ping-pong', got 'loop'"),
        ({"latent": comfy.latent(128)}, "latent: expected the size of the density path's images"),
        ({"latent": masked}, "latent: expected no mask with the density path"),
        ({"denoise": 1.0}, r"denoise: expected the noise level of the density path, 0\.6"),
    ]
    for changes, message in wrong:
        with pytest.raises(ValueError, match=message):
            film(comfy, state, **changes)
