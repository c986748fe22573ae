"""What KSampler is given counts for Morph Sampler in the same way."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from dev.families.tiny import SD3, SDXL, Pixels, filled, tiny

from ...generations import BOTH
from ..conftest import PROMPT_A, PROMPT_B, Comfy
from .morphs import STEPS, morph, native, path_of, sampler_of

pytestmark = BOTH


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


def controlnet(comfy: Comfy) -> Any:
    """ComfyUI's ControlNet of the small model, with random weights."""
    from comfy import controlnet
    from comfy.cldm.cldm import ControlNet

    config = dict(comfy.model.model.model_config.unet_config)
    config.pop("out_channels", None)
    network = ControlNet(**config, hint_channels=3).eval()
    generator = torch.Generator().manual_seed(5)
    for weight in network.parameters():
        weight.data.copy_(filled(weight, generator))
    cpu = torch.device("cpu")
    return controlnet.ControlNet(network, load_device=cpu, manual_cast_dtype=torch.float32)


def test_a_controlnet_in_the_prompts(comfy: Comfy) -> None:
    """Each prompt through an Apply ControlNet of its own: keyframes are KSampler's with it."""
    network, hint = controlnet(comfy), torch.rand(1, 64, 64, 3)
    apply = comfy.nodes.ControlNetApplyAdvanced().apply_controlnet
    prompts, negative = [], None
    for text in (PROMPT_A, PROMPT_B):
        prompt, negative = apply(comfy.encode(text), comfy.encode(""), network, hint, 0.4, 0.0, 1.0)
        prompts.append(prompt)
    path = path_of(comfy, *prompts)
    found = morph(comfy, path, negative=negative, frames=5, frames_per_batch=1)[1]["samples"]
    expected = native(comfy, prompts[1], negative=negative)
    assert torch.equal(found[-1:], expected)
    assert not torch.equal(expected, native(comfy, comfy.encode(PROMPT_B)))
    many = morph(comfy, path, negative=negative, frames=5)[1]["samples"]
    torch.testing.assert_close(many, found, rtol=1e-3, atol=1e-3)


def test_attention_patches_see_every_frame(comfy: Comfy) -> None:
    """A patch that adds a picture's rows to cross-attention, as IP-Adapters do."""
    picture = torch.randn(1, 4, 768, generator=torch.Generator().manual_seed(6))
    sizes: set[int] = set()

    def add(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> tuple[Tensor, ...]:
        conditions = options["cond_or_uncond"]
        each = len(k) // len(conditions)
        sizes.add(each)
        rows = picture.repeat(each, 1, 1)
        parts = torch.cat([rows if kind == 0 else 0 * rows for kind in conditions])
        return q, torch.cat([k, parts.to(k)], 1), torch.cat([v, parts.to(v)], 1)

    model = comfy.model.clone()
    model.set_model_attn2_patch(add)
    found = morph(comfy, model=model, frames=5, frames_per_batch=1)[1]["samples"]
    expected = native(comfy, comfy.encode(PROMPT_B), model=model)
    assert torch.equal(found[-1:], expected)
    assert not torch.equal(expected, native(comfy, comfy.encode(PROMPT_B)))
    many = morph(comfy, model=model, frames=5)[1]["samples"]
    torch.testing.assert_close(many, found, rtol=1e-3, atol=1e-3)
    assert max(sizes) > 1


@pytest.mark.parametrize("family", [SDXL, SD3])
def test_pooled_vectors_and_flow_models(comfy: Comfy, family: str) -> None:
    """SDXL and SD3.5: keyframes are KSampler's; frames between have pooled vectors of their own."""
    one = tiny(family)
    prompts = [one.prompt(seed) for seed in (1, 2)]
    settings: dict[str, Any] = {"model": one.model, "negative": one.prompt(0)}
    settings["scheduler"] = "normal"
    film = {"latent": one.latent(), "vae": Pixels(), "frames": 5, "frames_per_batch": 1}
    path = path_of(comfy, *prompts)
    found = morph(comfy, path, **film, **settings)[1]["samples"]
    for place, prompt in ((0, prompts[0]), (-1, prompts[1])):
        expected = native(comfy, prompt, one.latent(), **settings)
        assert torch.equal(found[place][None], expected)
    assert torch.isfinite(found).all()
    assert all(not torch.equal(a, b) for a, b in pairwise(found))
    # The pooled vectors count: with those of the first prompt everywhere the last frame differs.
    rows = [[prompts[1][0][0], prompts[0][0][1]]]
    assert not torch.equal(native(comfy, rows, one.latent(), **settings), found[-1:])
    sampler = sampler_of(comfy, path=path, latent=one.latent(), **settings)
    (frame,) = sampler.render([0.6])
    (again,) = sampler.render([0.6], [2], [frame.states])
    torch.testing.assert_close(again.samples, frame.samples, rtol=1e-5, atol=1e-5)
