"""A frame that begins in the middle of the schedule, for every sampler and kind of model."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ..conftest import Comfy
from ..known import KINDS, known
from .morphs import sampler_of

# What a sampler loses of a picture when it begins in the middle: measured at 10 steps on the small
# model, relative to the latent's norm. The first three keep nothing from step to step.
EXACT = ("euler", "ddim", "heun", "dpm_2", "euler_cfg_pp")


@pytest.mark.parametrize("name", EXACT)
def test_samplers_without_memory_restart_exactly(comfy: Comfy, name: str) -> None:
    """From its own state before any step, a frame is rendered again bit for bit."""
    sampler = sampler_of(comfy, name)
    (frame,) = sampler.render([0.3])
    for step in range(1, sampler.steps):
        (again,) = sampler.render([0.3], [step], [frame.states])
        assert torch.equal(again.samples, frame.samples)
        assert torch.equal(again.states, frame.states)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_restarts_exactly(comfy: Comfy, kind: str) -> None:
    """Noise, velocity and flow models: the state goes in as it came out, without any scaling."""
    sampler = sampler_of(comfy, model=known(comfy, kind))
    (frame,) = sampler.render([0.6])
    (again,) = sampler.render([0.6], [2], [frame.states])
    assert torch.equal(again.samples, frame.samples)


def test_every_sampler_keeps_its_states_or_is_refused(comfy: Comfy, render: Any) -> None:
    """All of ComfyUI's samplers: one state before each step, or an error that names others."""
    from geodesic_morph.nodes.internals import sampler_names

    for name in sampler_names():
        if render.sampling.is_restartable(name):
            sampler = sampler_of(comfy, name, steps=1)
            (frame,) = sampler.render([0.3])
            assert frame.states.shape == (sampler.steps, 4, 8, 8), name
        else:
            with pytest.raises(ValueError, match=rf"sampler_name: .* got '{name}'.*euler"):
                sampler_of(comfy, name)


def test_no_accepted_sampler_draws_noise_of_its_own(comfy: Comfy, render: Any) -> None:
    """With the same first noise, another seed gives the same frame."""
    from geodesic_morph.nodes.internals import sampler_names

    model = known(comfy, "eps")
    for name in filter(render.sampling.is_restartable, sampler_names()):
        sampler = sampler_of(comfy, name, model=model)
        noise = sampler._noise([0.3])
        sampler._noise = lambda _times, noise=noise: noise
        (frame,) = sampler.render([0.3])
        sampler.settings = replace(sampler.settings, seed=2)
        (other,) = sampler.render([0.3])
        assert torch.equal(frame.samples, other.samples), name


@pytest.mark.parametrize("name", ["dpmpp_2m", "lms", "deis", "uni_pc"])
def test_samplers_with_memory_restart_near(comfy: Comfy, name: str) -> None:
    """They begin again as at their first step: near what they were, not the same."""
    sampler = sampler_of(comfy, name, steps=8)
    (frame,) = sampler.render([0.3])
    (again,) = sampler.render([0.3], [4], [frame.states])
    assert 0 < float((again.samples - frame.samples).norm() / frame.samples.norm()) < 0.5


def test_states_of_other_noises_keep_their_strength(comfy: Comfy) -> None:
    """Between frames of two noises, a state is made with the frame's own noise, not a mean of two.

    A mean of two independent noises has 0.71 of their strength.
    """
    from geodesic_morph.geometry.placement import Insertion

    noises = None
    for seed in (1, 2):
        noises = comfy.noise.GeodesicNoiseKeyframe.execute(seed, 1.0, None, noises)[0]
    sampler = sampler_of(comfy, noise_path=noises, steps=8)
    left, right = sampler.render([0.0, 1.0])
    mixed = sampler.mixed_states(Insertion(0.5, 0, 1, 1, 0.5), left, right)
    spread = [float(states[1].std()) for states in (left.states, mixed, right.states)]
    mean = float(((left.states + right.states) / 2)[1].std())
    assert spread[1] > 0.9 * min(spread[0], spread[2])
    assert mean < 0.85 * min(spread[0], spread[2])


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (torch.float32, torch.float32),
        (None, torch.float32),
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.float16),
        (torch.float8_e4m3fn, torch.float16),
    ],
)
def test_states_are_halved_where_the_model_is(render: Any, model: Any, kept: Any) -> None:
    """A model in 8 bits must not cost a state all but 8 bits."""
    patcher = SimpleNamespace(model_dtype=lambda: model)
    assert render.sampling._kind_of_states(patcher) == kept
