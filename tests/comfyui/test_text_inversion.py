"""Prompts fitted to an image, on ComfyUI's own models."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from .conftest import Comfy
from .known import KINDS
from .test_inversion import picture


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """ComfyUI runs every node like this."""
    with torch.inference_mode():
        yield


def image(comfy: Comfy, k: int = 5) -> tuple[dict[str, Any], str]:
    shown, caption = picture(k)
    return {"samples": comfy.vae.encode(shown)}, caption


def fitted(comfy: Comfy, model: Any, prompt: Any, latent: Any, steps: int, **changes: Any) -> Any:
    chosen = {"learning_rate": 0.005, "seed": 0} | changes
    execute = comfy.density.GeodesicTextInversion.execute
    return execute(model, prompt, latent, steps, **chosen)[0]


def of_kind(comfy: Comfy, kind: str) -> Any:
    """The small network, used as if it predicted noise, velocity or flow."""
    from comfy_extras import nodes_model_advanced as advanced

    if kind == "v":
        return advanced.ModelSamplingDiscrete().patch(comfy.model, "v_prediction", False)[0]
    if kind == "flow":
        return advanced.ModelSamplingSD3().patch(comfy.model, 3.0)[0]
    return comfy.model


def error(comfy: Comfy, model: Any, prompt: Any, latent: Any) -> float:
    """The mean square error of the model's noise, over new draws of noise at many times."""
    from comfy_extras import nodes_custom_sampler as custom

    space = model.get_model_object("model_sampling")
    inside = comfy.model.model.process_latent_in(latent["samples"])
    wrong = []
    for k in range(24):
        generator = torch.Generator().manual_seed(100 + k)
        noise = torch.randn(inside.shape, generator=generator)
        sigma = float(space.percent_to_sigma((k + 0.5) / 24))
        x = inside + sigma * noise
        start = {"samples": comfy.model.model.process_latent_out(x)}
        # One Euler step to 0 gives the image that the model predicts.
        sigmas = torch.tensor([sigma, 0.0])
        guider = custom.BasicGuider.execute(model, prompt)[0]
        sampler = custom.KSamplerSelect.execute("euler")[0]
        none = custom.DisableNoise.execute()[0]
        run = custom.SamplerCustomAdvanced.execute
        denoised = run(none, guider, sampler, sigmas, start)[0]["samples"]
        taken = comfy.model.model.process_latent_in(denoised)
        wrong.append(float(((x - taken) / sigma - noise).square().mean()))
    return sum(wrong) / len(wrong)


def state_of(model: Any) -> str:
    """A digest of all weights."""
    digest = hashlib.sha256()
    for name, value in model.model.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def test_the_prompt_tells_more_of_the_image(comfy: Comfy) -> None:
    """The noise error, by draws it has not seen, falls by a tenth and more."""
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    before = error(comfy, comfy.model, prompt, latent)
    after = error(comfy, comfy.model, fitted(comfy, comfy.model, prompt, latent, 40), latent)
    print(f"{before:.4f} → {after:.4f}")
    assert after < 0.9 * before


def test_it_learns_at_all_noise_levels(comfy: Comfy) -> None:
    """The times of 16 steps are drawn from the whole range, two a step."""
    latent, caption = image(comfy)
    model, drawn = comfy.model.clone(), []

    def listen(apply: Any, a: dict[str, Any]) -> Tensor:
        drawn.extend(a["timestep"].tolist())
        return apply(a["input"], a["timestep"], **a["c"])

    model.set_model_unet_function_wrapper(listen)
    fitted(comfy, model, comfy.encode(caption), latent, 16)
    sampling = model.get_model_object("model_sampling")
    low, high = (float(sampling.percent_to_sigma(1 - share)) for share in (0.2, 0.8))
    assert len(drawn) == 32
    assert sum(sigma < low for sigma in drawn) > 2
    assert sum(sigma > high for sigma in drawn) > 2


def test_no_weight_of_the_model_changes(comfy: Comfy) -> None:
    """Its images do not change either, and its layers do not keep copies of their weights."""
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    before, drawn = state_of(comfy.model), comfy.sample(prompt, comfy.latent())
    fitted(comfy, comfy.model, prompt, latent, 2)
    assert state_of(comfy.model) == before
    assert torch.equal(comfy.sample(prompt, comfy.latent()), drawn)
    layers = [m for m in comfy.model.model.modules() if hasattr(m, "weight_function")]
    assert len(layers) > 50
    assert all(len(layer.weight_function) == 0 for layer in layers)


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_model(comfy: Comfy, kind: str) -> None:
    """Steps on noise-, velocity- and flow-predicting models move all rows and stay finite."""
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    out = fitted(comfy, of_kind(comfy, kind), prompt, latent, 3)
    moved = (out[0][0] - prompt[0][0]).abs()
    assert bool((moved.amax(dim=2) > 0).all())
    assert float(moved.max()) < 3 * 0.005 * 1.2 + 0.01
    assert out[0][0].shape == prompt[0][0].shape


def test_all_else_of_the_prompt_is_kept(comfy: Comfy) -> None:
    """Its dictionary, its type, and the prompt that came in; several entries are all fitted."""
    latent, caption = image(comfy)
    extras = {"pooled_output": torch.ones(1, 8), "start_percent": 0.0}
    rows = comfy.encode(caption)[0][0]
    kept = rows.clone()
    out = fitted(comfy, comfy.model, [[rows.half(), extras], [rows, {}]], latent, 1)
    assert out[0][1] is extras
    assert out[0][0].dtype == torch.float16
    assert not torch.equal(out[1][0], rows)
    assert torch.equal(rows, kept)
    assert not out[1][0].requires_grad


def test_a_seed_gives_one_prompt(comfy: Comfy) -> None:
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    one, again, other = (
        fitted(comfy, comfy.model, prompt, latent, 3, seed=seed)[0][0] for seed in (1, 1, 2)
    )
    torch.testing.assert_close(one, again, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(one, other, atol=1e-3)


def test_without_a_learning_rate_nothing_moves(comfy: Comfy) -> None:
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    assert torch.equal(
        fitted(comfy, comfy.model, prompt, latent, 2, learning_rate=0.0)[0][0], prompt[0][0]
    )


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"end_percent": 0.5}, "timestep range"),
        ({"control": object()}, "a ControlNet"),
        ({"hooks": object()}, "hooks"),
    ],
)
def test_prompts_it_cannot_follow_are_named(
    comfy: Comfy, extras: dict[str, Any], message: str
) -> None:
    latent, caption = image(comfy)
    rows = comfy.encode(caption)[0][0]
    with pytest.raises(ValueError, match=f"conditioning: expected .*{message}"):
        fitted(comfy, comfy.model, [[rows, extras]], latent, 1)


def test_previews_can_be_on(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI shows the image that the model predicts, at every step."""
    import latent_preview
    from comfy.cli_args import args

    drawn = []
    monkeypatch.setattr(args, "preview_method", latent_preview.LatentPreviewMethod.Latent2RGB)
    own = latent_preview.Latent2RGBPreviewer.decode_latent_to_preview

    def watch(self: Any, x0: Tensor) -> Any:
        drawn.append(own(self, x0))
        return drawn[-1]

    monkeypatch.setattr(latent_preview.Latent2RGBPreviewer, "decode_latent_to_preview", watch)
    latent, caption = image(comfy)
    fitted(comfy, comfy.model, comfy.encode(caption), latent, 3)
    assert [picture.size for picture in drawn] == [(8, 8)] * 3


def test_bad_input_is_named(comfy: Comfy) -> None:
    latent, caption = image(comfy)
    prompt = comfy.encode(caption)
    two = {"samples": latent["samples"].repeat(2, 1, 1, 1)}
    with pytest.raises(ValueError, match="latent: expected one image, got a batch of 2"):
        fitted(comfy, comfy.model, prompt, two, 1)
    noise = comfy.noise.GeodesicInvert.execute(comfy.model, prompt, latent, 2, 0.6)[0]
    with pytest.raises(ValueError, match="latent: expected a picture, got noise"):
        fitted(comfy, comfy.model, prompt, noise, 1)
    with pytest.raises(ValueError, match="latent: expected a picture, got noise"):
        fitted(comfy, comfy.model, prompt, latent | {"geodesic_noised": (0.6, 1.0, "")}, 1)
    with pytest.raises(ValueError, match="latent: expected an encoded image"):
        fitted(comfy, comfy.model, prompt, comfy.latent(), 1)
    rows: Tensor = prompt[0][0].repeat(2, 1, 1)
    with pytest.raises(ValueError, match="conditioning: expected one prompt"):
        fitted(comfy, comfy.model, [[rows, {}]], latent, 1)
    nan = comfy.model.clone()
    nan.set_model_unet_function_wrapper(
        lambda apply, a: apply(a["input"], a["timestep"], **a["c"]) * math.nan
    )
    with pytest.raises(ValueError, match="model: expected finite gradients"):
        fitted(comfy, nan, prompt, latent, 1)


def test_running_out_of_memory_says_what_to_do(comfy: Comfy) -> None:
    import comfy.model_management as management

    latent, caption = image(comfy)
    model = comfy.model.clone()

    def full(_: Any, __: Any) -> None:
        raise management.OOM_EXCEPTION("no room")

    model.set_model_unet_function_wrapper(full)
    with pytest.raises(
        management.OOM_EXCEPTION, match=r"latent: fitting a prompt .* Scale the image down"
    ):
        fitted(comfy, model, comfy.encode(caption), latent, 1)
