"""Paths that go on past their end, in a real ComfyUI."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from .conftest import PROMPT_A, Comfy
from .densities import beyond, both, found, spread
from .known import known


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """ComfyUI runs every node like this."""
    with torch.inference_mode():
        yield


def points(comfy: Comfy, latents: Any, a: Any) -> Tensor:
    """Frames for a sampler, scaled back to unit-variance noise, [F, D]."""
    inside = comfy.model.model.process_latent_in(torch.cat([x["samples"] for x in latents]))
    return (inside / math.sqrt(1 + a["geodesic_sigma"] ** 2)).flatten(1)


def test_extrapolation_goes_on_with_the_same_speed(comfy: Comfy) -> None:
    """At strength 0 round the sphere; past the end, back past the start, in equal steps."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    state = found(comfy, model, a, b, strength=0.0, frames=5)[4]
    between = torch.cosine_similarity(a["samples"].flatten(), b["samples"].flatten(), dim=0)
    theta = math.acos(float(between))
    for direction, end, other in (
        ("past the end", b, a),
        ("back past the start", a, b),
    ):
        positives, latents = beyond(comfy, model, state, direction=direction, distance=0.4)
        frames = points(comfy, latents, a)
        start, away = (x["samples"].flatten() for x in (end, other))
        steps = torch.cat([start[None], frames]).diff(dim=0).norm(dim=1)
        assert float(steps.max() / steps.min()) < 1.01
        cosine = torch.cosine_similarity(frames[-1], away, dim=0)
        further = 0.4 * state.curve.speed() / float(start.norm())
        assert float(cosine) == pytest.approx(math.cos(theta + further), abs=0.02)
        torch.testing.assert_close(frames.norm(dim=1), start.norm().expand(4), rtol=1e-4, atol=0)
    assert torch.equal(positives[0][0][0], comfy.encode(PROMPT_A)[0][0])


def test_extrapolation_continues_a_geodesic(comfy: Comfy) -> None:
    """With a known density: no kink at the end, and another seed gives another random direction."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model)
    state = found(comfy, model, a, b, levels=5, iterations=60, frames=9)[4]
    _, latents = beyond(comfy, model, state, distance=0.25, steps=16)
    frames = points(comfy, latents, a)
    before = state.curve.knots[-1] - state.curve.knots[-2]
    after = frames[0] - state.curve.knots[-1]
    assert float(torch.cosine_similarity(before, after, dim=0)) > 0.99
    one, again, other = (
        points(comfy, beyond(comfy, model, state, direction="random direction", seed=s)[1], a)
        for s in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert float(torch.cosine_similarity(one[-1] - one[0], other[-1] - other[0], dim=0)) < 0.5
    with pytest.raises(ValueError, match="direction: expected one of past the end"):
        beyond(comfy, model, state, direction="sideways")


def test_extrapolated_frames_come_in_batches(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    a, b = pair
    state = found(comfy, comfy.model, a, b, iterations=1, levels=1)[4]
    positives, latents = beyond(comfy, comfy.model, state, frames=5, steps=1, frames_per_batch=2)
    assert [len(latent["samples"]) for latent in latents] == [2, 2, 1]
    assert len(positives) == 3
