"""Morph Sampler on the real ComfyUI: its frames, what they share, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from .conftest import PROMPT_A, PROMPT_B, Comfy
from .known import KINDS, known

STEPS = 4
# What a sampler loses of a picture when it begins in the middle: measured at 10 steps on the small
# model, relative to the latent's norm. The first three keep nothing from step to step.
EXACT = ("euler", "ddim", "heun", "dpm_2", "euler_cfg_pp")


@pytest.fixture(autouse=True)
def _as_comfyui_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def render(comfy: Comfy) -> Any:
    """The modules of nodes/render, once `comfy` has loaded the pack."""
    assert comfy
    from geodesic_morph.nodes import render
    from geodesic_morph.nodes.render import distances, film, nodes, sampling

    assert distances
    assert film
    assert nodes
    assert sampling
    return render


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
    settings |= {"denoise": 1.0} | changes
    return comfy.nodes.KSampler().sample(
        settings["model"],
        1,
        STEPS,
        settings["cfg"],
        settings["sampler"],
        "karras",
        prompt,
        comfy.encode(""),
        latent or comfy.latent(),
        settings["denoise"],
    )[0]["samples"]


def sampler_of(comfy: Comfy, name: str = "euler", **changes: Any) -> Any:
    from geodesic_morph.nodes.render.sampling import FrameSampler, SamplerSettings

    settings = SamplerSettings(1, changes.pop("steps", STEPS), 4.0, name, "karras")
    model = changes.pop("model", comfy.model)
    return FrameSampler(model, ends(comfy), comfy.encode(""), comfy.latent(), settings, **changes)


# Frames


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc", "heun"])
def test_keyframes_are_native_renders(comfy: Comfy, sampler: str) -> None:
    """One by one, the first and the last frame are KSampler's, bit for bit."""
    found = morph(comfy, sampler_name=sampler, frames=3, frames_per_batch=1)[1]["samples"]
    for place, text in ((0, PROMPT_A), (-1, PROMPT_B)):
        assert torch.equal(found[place][None], native(comfy, comfy.encode(text), sampler=sampler))


def test_outputs_belong_together(comfy: Comfy) -> None:
    """As many images, latents and times as frames, one step fewer; times rise from 0 to 1."""
    images, latents, times, steps, chart = morph(comfy, frames=7).result
    assert images.shape == (7, 64, 64, 3)
    assert latents["samples"].shape == (7, 4, 8, 8)
    assert latents["batch_index"] == [0] * 7
    assert len(steps.distances) == 6
    assert times.values[0] == 0
    assert times.values[-1] == 1
    assert list(times.values) == sorted(set(times.values))
    assert chart.ndim == 4
    torch.testing.assert_close(images, comfy.vae.decode(latents["samples"]), atol=2e-3, rtol=0)


def test_frames_go_where_the_picture_changes(comfy: Comfy) -> None:
    """The largest step is smaller than that of as many frames at equal times."""
    from geodesic_morph.nodes.render.distances import LatentDistance, Picture

    placed = morph(comfy, frames=12, bridge="strong")[3]
    even = sampler_of(comfy).render([k / 11 for k in range(12)])
    pictures = [Picture(frame.samples, frame.samples) for frame in even]
    equal = LatentDistance()(list(pairwise(pictures)))
    assert placed.largest < 0.7 * max(equal)


def test_work_is_shared(comfy: Comfy, render: Any) -> None:
    """Evaluations: less than plain renders, as many as the progress bar was told."""
    counted = [0]
    model = comfy.model.clone()

    def count(apply: Any, arguments: dict[str, Any]) -> Tensor:
        counted[0] += len(arguments["input"]) // len(arguments["cond_or_uncond"])
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(count)
    progress = render.film.Progress(model)
    sampler = sampler_of(comfy, model=model, progress=progress)
    rules = render.film.Rules(10, STEPS, share=0.5, bridge=0.75)
    found = render.film.MorphRenderer(
        sampler, render.nodes.decoder(comfy.vae), "latent", progress
    ).run(rules)
    # A condition of its own for each image and for the negative prompt.
    assert found.placement.evaluations == progress.done == counted[0]
    assert progress.done <= progress.total
    assert progress.done < 10 * STEPS
    assert f"{progress.done / (10 * STEPS):.0%}" in found.report


def test_a_loop_closes_and_a_ping_pong_returns(comfy: Comfy) -> None:
    """A loop's last frame is not its first; a ping-pong mirrors the way there and renders half."""
    looped = morph(comfy, ending="loop", frames=6)
    assert looped[2].is_loop
    assert looped[2].values[0] == 0
    assert max(looped[2].values) < 1
    assert not torch.equal(looped[1]["samples"][-1], looped[1]["samples"][0])
    there = morph(comfy, ending="ping-pong", frames=7)
    samples = there[1]["samples"]
    assert torch.equal(samples, samples.flip(0))
    assert there[2].values == there[2].values[::-1]


def test_batches_of_any_size_give_the_same_film(comfy: Comfy) -> None:
    """frames_per_batch changes memory; states and frames agree to rounding."""
    one, many = (
        sampler_of(comfy, frames_per_batch=size).render([0.0, 0.4, 0.5, 1.0]) for size in (1, 0)
    )
    for a, b in zip(one, many, strict=True):
        torch.testing.assert_close(a.samples, b.samples, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(a.states, b.states, rtol=1e-3, atol=1e-3)


def test_a_pace_bends_the_film(comfy: Comfy) -> None:
    """Times of an 'ease in' are read as progress: the first half of the film moves less."""
    pace = comfy.prompt.GeodesicTimes.execute(8, "ease in", "stop", "")[0]
    plain, bent = (morph(comfy, frames=8, pace=one) for one in (None, pace))
    assert len(bent[2].values) == 8
    assert bent[2].values[0] == 0
    assert bent[2].values[-1] == 1
    assert bent[2].values[3] <= plain[2].values[3]


def test_a_tolerance_ends_early(comfy: Comfy) -> None:
    """With a large tolerance few frames are rendered, and shown as often as the film needs."""
    found = morph(comfy, frames=12, tolerance=1e3)
    assert len(found[0]) == 12
    assert len(set(found[2].values)) < 12


# Restarts


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


# Beside KSampler


def test_masks_and_start_images_are_as_in_ksampler(comfy: Comfy) -> None:
    """Denoise below 1 from an image, with an inpaint mask: keyframes stay KSampler's, bit for bit.

    Outside the mask every frame is the image, also those that begin in the middle.
    """
    image = native(comfy, comfy.encode("a blue heart"))
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    latent = comfy.nodes.SetLatentNoiseMask().set_mask({"samples": image}, mask)[0]
    found = morph(comfy, latent=latent, denoise=0.8, frames=6, frames_per_batch=1, share=0.5)
    samples = found[1]["samples"]
    for place, text in ((0, PROMPT_A), (-1, PROMPT_B)):
        expected = native(comfy, comfy.encode(text), latent=latent, denoise=0.8)
        assert torch.equal(samples[place][None], expected)
    kept = image[0, :, :, :3]
    for frame in samples:
        torch.testing.assert_close(frame[:, :, :3], kept, atol=1e-3, rtol=1e-3)


def test_without_guidance(comfy: Comfy) -> None:
    """CFG 1 asks the model for the positive prompt alone, as KSampler does."""
    found = morph(comfy, cfg=1.0, frames=4, frames_per_batch=1)[1]["samples"]
    assert torch.equal(found[:1], native(comfy, comfy.encode(PROMPT_A), cfg=1.0))


def test_patches_work_as_in_ksampler(comfy: Comfy) -> None:
    """A model with patches of its attention and of its blocks: keyframes are KSampler's with it."""
    from comfy_extras.nodes_model_advanced import RescaleCFG
    from comfy_extras.nodes_pag import PerturbedAttentionGuidance

    model = PerturbedAttentionGuidance.execute(comfy.model, 2.0)[0]
    model = RescaleCFG().patch(model, 0.7)[0]
    found = morph(comfy, model=model, frames=3, frames_per_batch=1)[1]["samples"]
    expected = native(comfy, comfy.encode(PROMPT_B), model=model)
    assert torch.equal(found[-1:], expected)
    assert not torch.equal(expected, native(comfy, comfy.encode(PROMPT_B)))


def test_hooks_work_as_in_ksampler(comfy: Comfy) -> None:
    """Prompts with a LoRA hook: its weights are there while a frame is rendered, and gone after."""
    key = next(key for key in comfy.model.model_state_dict() if "attn2.to_v" in key)
    hooks = weight_hook(comfy, key)
    prompts = [
        [[rows, extras | {"hooks": hooks}] for rows, extras in comfy.encode(text)]
        for text in (PROMPT_A, PROMPT_B)
    ]
    found = morph(comfy, path_of(comfy, *prompts), frames=3, frames_per_batch=1)[1]["samples"]
    assert torch.equal(found[-1:], native(comfy, prompts[1]))
    assert not torch.equal(found[-1:], native(comfy, comfy.encode(PROMPT_B)))


def weight_hook(comfy: Comfy, key: str) -> Any:
    """ComfyUI's own hook of one weight, as Create Hook LoRA makes it, with random numbers."""
    from comfy.hooks import create_hook_lora

    shape = comfy.model.model_state_dict()[key].shape
    name = key.removesuffix(".weight")
    generator = torch.Generator().manual_seed(3)
    lora = {
        f"{name}.lora_up.weight": torch.randn(shape[0], 2, generator=generator),
        f"{name}.lora_down.weight": torch.randn(2, shape[1], generator=generator),
    }
    return create_hook_lora(lora, 1.0, 1.0)


def test_noise_and_prompt_travel_together(comfy: Comfy) -> None:
    """With a noise path, the ends are the ends of both: prompt A with seed 1, B with seed 2."""
    noises = None
    for seed in (1, 2):
        noises = comfy.noise.GeodesicNoiseKeyframe.execute(seed, 1.0, None, noises)[0]
    found = morph(comfy, frames=5, noise_path=noises, frames_per_batch=1)[1]["samples"]
    assert torch.equal(found[:1], native(comfy, comfy.encode(PROMPT_A)))
    other = comfy.nodes.KSampler().sample(
        comfy.model,
        2,
        STEPS,
        4.0,
        "euler",
        "karras",
        comfy.encode(PROMPT_B),
        comfy.encode(""),
        comfy.latent(),
    )[0]["samples"]
    assert torch.equal(found[-1:], other)


@pytest.mark.parametrize("distance", ["alex", "latent"])
def test_a_path_that_stands_still(comfy: Comfy, distance: str) -> None:
    """Two equal prompts: equal times, no division by zero, every step 0."""
    same = comfy.encode(PROMPT_A)
    found = morph(comfy, path_of(comfy, same, same), frames=5, distance=distance)
    assert found[3].largest == pytest.approx(0, abs=1e-4)
    assert all(map(math.isfinite, found[2].values))


def test_keyframes_of_both_chains_at_one_time_are_one(comfy: Comfy, render: Any) -> None:
    """Thirds from weights 1, 1, 1 and 0.3, 0.3, 0.3 differ in the last bit."""
    from geodesic_morph.geometry.legs import knots

    prompts, noises = knots([1, 1, 1]), knots([0.3, 0.3, 0.3])
    assert prompts.tolist() != noises.tolist()
    sampler = sampler_of(comfy)
    sampler.paths = [SimpleNamespace(knots=chain, locate=float) for chain in (prompts, noises)]
    renderer = render.film.MorphRenderer(sampler, lambda _: _, "latent", lambda *_: None)
    assert renderer._knots(SimpleNamespace(ending="stop")) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_distance_of_latents_is_the_same_from_both_sides(render: Any) -> None:
    """‖a − b‖² / (‖a‖ ‖b‖), also for latents of different norms."""
    distances = render.distances
    a, b = (distances.Picture(torch.full((1, 4), x), torch.zeros(0)) for x in (1.0, 3.0))
    assert distances.LatentDistance()([(a, b), (b, a)]) == pytest.approx([16 / 12, 16 / 12])


def test_lpips_never_looks_at_more_pictures_than_fit(
    render: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features of a picture are worked out once in a batch, however many pairs it is in."""
    distances, sizes = render.distances, []

    class Metric:
        name, device = "", "cpu"

        def features(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return images

        def distances(self, a: Tensor, b: Tensor) -> list[float]:
            return (a - b).abs().flatten(1).sum(1).tolist()

    monkeypatch.setattr(distances, "load_metric", lambda *_: Metric())
    monkeypatch.setattr(distances, "fitting_batch", lambda *_: 3)
    film = [distances.Picture(torch.zeros(0), torch.full((1,), float(k * k))) for k in range(6)]
    found = distances.LpipsDistance("alex", 64, 64)([*pairwise(film), (film[0], film[5])])
    assert found == [1, 3, 5, 7, 9, 25]
    assert max(sizes) <= 3


# Memory and errors


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
