"""Morph Sampler without memory, cancelled, or given what it can't use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ..conftest import PROMPT_A, Comfy
from .morphs import morph, native, path_of, sampler_of


def test_out_of_memory_halves_the_batch(comfy: Comfy) -> None:
    """A round that does not fit goes on with half of its frames; said once, under the node."""
    import comfy.model_management as management

    sizes: list[int] = []
    model = comfy.model.clone()

    def small_card(apply: Any, arguments: dict[str, Any]) -> Tensor:
        count = len(arguments["input"]) // len(arguments["cond_or_uncond"])
        sizes.append(count)
        if count > 2:
            raise management.OOM_EXCEPTION("no memory")
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(small_card)
    sampler = sampler_of(comfy, model=model, frames_per_batch=5)
    frames = sampler.render([k / 4 for k in range(5)])
    assert [frame.t for frame in frames] == [k / 4 for k in range(5)]
    assert sampler.was_halved
    assert sizes[0] == 5
    assert max(sizes[2:]) == 2

    def no_card(*_: Any) -> Tensor:
        raise management.OOM_EXCEPTION("no memory")

    model.set_model_unet_function_wrapper(no_card)
    with pytest.raises(management.OOM_EXCEPTION):
        sampler_of(comfy, model=model).render([0.0])


def test_prompts_of_one_batch_are_alive_at_a_time(comfy: Comfy, held: Callable[..., int]) -> None:
    """They are made when their frames are rendered: a film twice as long holds no more."""
    seen: list[int] = []
    model = comfy.model.clone()

    def look(apply: Any, arguments: dict[str, Any]) -> Tensor:
        seen.append(held(width=768))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(look)
    peaks = []
    for frames in (4, 8):
        seen.clear()
        times = [k / (frames - 1) for k in range(frames)]
        sampler_of(comfy, model=model, frames_per_batch=2).render(times)
        peaks.append(max(seen))
    assert 0 < peaks[1] <= 1.05 * peaks[0]


def test_cancel_leaves_the_server_usable(comfy: Comfy) -> None:
    """An interrupt between steps ends the run, and the next one is as before."""
    import comfy.model_management as management

    def cancel(_frames: int, _denoised: Tensor) -> None:
        raise management.InterruptProcessingException

    before = native(comfy, comfy.encode(PROMPT_A))
    with pytest.raises(management.InterruptProcessingException):
        sampler_of(comfy, progress=cancel).render([0.0, 1.0])
    assert torch.equal(native(comfy, comfy.encode(PROMPT_A)), before)


def nan_vae(comfy: Comfy) -> Any:
    class Broken:
        def decode(self, samples: Tensor) -> Tensor:
            return torch.full((len(samples), 64, 64, 3), torch.nan)

    assert comfy
    return Broken()


REFUSED: dict[str, tuple[Callable[[Comfy], dict[str, Any]], str]] = {
    "one keyframe": (
        lambda c: {"path": path_of(c, c.encode(PROMPT_A))},
        "path: expected at least two keyframes, got one.*Chain another",
    ),
    "fewer frames than keyframes": (
        lambda c: {"path": path_of(c, *[c.encode(PROMPT_A)] * 4), "frames": 3},
        "frames: expected at least one for each of the 4 keyframes, got 3",
    ),
    "a batch": (
        lambda c: {"latent": c.latent(count=2)},
        "latent: expected one image, got a batch of 2.*'frames'",
    ),
    "a video": (
        lambda _: {"latent": {"samples": torch.zeros(1, 4, 3, 8, 8)}},
        "latent: expected a picture, got a video of 3 latent frames",
    ),
    "an ancestral sampler": (
        lambda _: {"sampler_name": "euler_ancestral"},
        "sampler_name: .*'euler_ancestral', which draws new noise.*Choose one of euler",
    ),
    "an adaptive sampler": (
        lambda _: {"sampler_name": "dpm_adaptive"},
        "sampler_name: .*'dpm_adaptive', which chooses its own steps",
    ),
    "a negative tolerance": (lambda _: {"tolerance": -1.0}, "tolerance: .* got -1"),
    "a tolerance of NaN": (lambda _: {"tolerance": math.nan}, "tolerance: .* got nan"),
    "a VAE that gives NaN": (lambda c: {"vae": nan_vae(c)}, "vae: expected finite pixels"),
    "no denoising": (lambda _: {"denoise": 0.0}, "denoise: expected more than 0"),
    "missing weights": (
        lambda _: {"distance": "vgg"},
        "distance: 'vgg' needs the file vgg16.*or choose the distance 'latent'",
    ),
    "one noise": (
        lambda c: {"noise_path": c.noise.GeodesicNoiseKeyframe.execute(1, 1.0)[0]},
        "noise_path: expected at least two keyframes",
    ),
    "a share of all": (lambda _: {"share": 1.0}, "share: expected a part of the steps"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_mistakes_are_named_with_their_remedy(comfy: Comfy, mistake: str) -> None:
    """Each is an error that names the input, what was expected, and what came."""
    changes, message = REFUSED[mistake]
    inputs = changes(comfy)
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){message}"):
        morph(comfy, inputs.pop("path", None), inputs.pop("latent", None), **inputs)


def test_the_default_distance_is_one_that_is_there(
    comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LPIPS where its weights are installed; without any, the latents, and the node says so."""
    from geodesic_morph.nodes.render import distances, nodes

    assert distances.default_distance() == "alex"
    monkeypatch.setattr(distances, "has_file", lambda _: False)
    assert distances.default_distance() == "latent"
    schema = nodes.GeodesicMorphSampler.define_schema()
    chosen: Any = next(one for one in schema.inputs if one.id == "distance")
    assert chosen.default == "latent"
    told: list[str] = []
    monkeypatch.setattr(nodes, "show_text", lambda _, text: told.append(text))
    morph(comfy, frames=3)
    assert "no LPIPS weights are installed" in told[0]
