"""What `nodes/internals.py` relies on in ComfyUI, each on the real one.

With another version of ComfyUI, run this first: a test's name says what is different there.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dev.comfyui.environment import ROOT

from ..generations import BOTH
from .conftest import Comfy
from .known import KINDS, known

pytestmark = BOTH


@pytest.fixture
def internals(comfy: Comfy) -> Any:
    """The module, once `comfy` has loaded the pack."""
    assert comfy
    from geodesic_morph.nodes import internals

    return internals


def seen(internals: Any, model: Any, conditioning: Any, work: Any, size: int = 8) -> Any:
    """The result of `work` with a loaded model, for latents of this size."""
    like = torch.ones(1, 4, size, size)
    return internals.with_loaded_model(model, [conditioning], like, 1.0, work)


def test_all_keys_that_models_read_are_known(internals: Any) -> None:
    """A new key of ComfyUI may steer the picture with a text: it must stand in `STEERING`."""
    from comfy import model_base

    from geodesic_morph.geometry.steering_keys import STEERING

    assert internals
    source = Path(model_base.__file__).read_text()
    looked_up = r"kwargs(?:\.get\(|\.pop\(|\[)\s*[\"'](\w+)[\"']"
    assert set(re.findall(looked_up, source)) <= STEERING


def test_half_precision_noise_is_comfyuis_own(comfy: Comfy, internals: Any) -> None:
    """Latents of --fp16-intermediates: the noise that KSampler draws for them, in their type."""
    from comfy.sample import prepare_noise

    like = comfy.latent()["samples"].half().expand(3, -1, -1, -1)
    for index in (None, [0, 2, 2]):
        made = internals.seed_noise(like, 7, index)
        assert made.dtype == torch.float16
        torch.testing.assert_close(made, prepare_noise(like, 7, index), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_denoise_is_the_models_own_denoiser(comfy: Comfy, internals: Any, kind: str) -> None:
    """calc_cond_batch: D for each condition, without guidance, each frame at its own σ."""
    model = known(comfy, kind)
    x = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    sigma = torch.tensor([0.2, 0.5, 0.8])

    def work(loaded: Any) -> list[Any]:
        conditions = [loaded.conditions(comfy.encode(text), 3) for text in ("a", "b")]
        return loaded.denoise(x, sigma, conditions)

    found = seen(internals, model, comfy.encode(""), work)
    s = sigma.reshape(-1, 1, 1, 1)
    share = 1 - s if kind == "flow" else torch.ones_like(s)
    expected = x * share * 0.49 / (share**2 * 0.49 + s**2)
    assert len(found) == 2
    for denoised in found:
        torch.testing.assert_close(denoised, expected, rtol=1e-4, atol=1e-5)


def test_conditions_fit_any_number_of_images(comfy: Comfy, internals: Any) -> None:
    """process_conds: prompts of one row for all images, or one for each, in their order."""
    one, two = comfy.encode("a red circle"), comfy.encode("a blue star")
    both = [[torch.cat([one[0][0], two[0][0]]), {}]]
    x, sigma = torch.ones(2, 4, 8, 8), torch.ones(2)

    def work(loaded: Any) -> list[Any]:
        def of(conditioning: Any, images: slice) -> Any:
            count = len(x[images])
            condition = loaded.conditions(conditioning, count)
            return loaded.denoise(x[images], sigma[images], [condition])[0]

        return [of(both, slice(0, 2)), of(one, slice(0, 1)), of(two, slice(1, 2))]

    together, first, second = seen(internals, comfy.model, one, work)
    torch.testing.assert_close(together, torch.cat([first, second]), rtol=1e-4, atol=1e-5)


def test_the_model_is_as_before_after_an_error(comfy: Comfy, internals: Any) -> None:
    """CFGGuider restores the model when the work inside raises."""

    def fails(_: Any) -> None:
        raise KeyError("inside")

    before = comfy.sample(comfy.encode("a"), comfy.latent(), steps=1)
    with pytest.raises(KeyError, match="inside"):
        seen(internals, comfy.model, comfy.encode(""), fails)
    assert torch.equal(comfy.sample(comfy.encode("a"), comfy.latent(), steps=1), before)


def test_the_noise_of_a_seed_is_ksamplers(internals: Any) -> None:
    """prepare_noise_inner: image n of a batch gets draw `batch_index[n]` of the generator."""
    from comfy.sample import prepare_noise

    like = torch.zeros(3, 4, 8, 8)
    for index in (None, [0, 0, 0], [2, 0, 5]):
        expected: Any = prepare_noise(like, 7, index)
        assert torch.equal(internals.seed_noise(like, 7, index), expected)


def test_sigmas_fall_to_zero(comfy: Comfy, internals: Any) -> None:
    """calculate_sigmas: steps + 1 of them, falling, the last one 0."""
    sigmas = internals.scheduler_sigmas(comfy.model, "normal", 6)
    assert len(sigmas) == 7
    assert bool((sigmas[1:] < sigmas[:-1]).all())
    assert float(sigmas[-1]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_flow_models_are_known(comfy: Comfy, internals: Any, kind: str) -> None:
    """Told by model_sampling's own scaling of image and noise."""
    assert internals.is_flow(known(comfy, kind)) == (kind == "flow")


@pytest.mark.parametrize(
    ("of_image", "of_noise"), [(0.6, 8 * 0.4), (1.0, 0.0), (0.5, 0.4), (0.6, 0.6)]
)
def test_other_scalings_are_refused(internals: Any, of_image: float, of_noise: float) -> None:
    """A larger noise (HiDream-O1), none at all (image to image), or anything else."""

    class Scaling:
        def get_model_object(self, name: str) -> Any:
            assert name == "model_sampling"
            return self

        def percent_to_sigma(self, _: float) -> float:
            return 0.4

        def noise_scaling(self, _sigma: Any, noise: Any, image: Any, _most: bool) -> Any:
            return of_image * image + of_noise * noise

    with pytest.raises(ValueError, match=r"model: expected noised images x0 \+ s\*e or") as raised:
        internals.is_flow(Scaling())
    assert f"got {of_image:g}*x0 + {of_noise:g}*e" in str(raised.value)


def test_an_empty_latent_gets_the_models_shape(comfy: Comfy, internals: Any) -> None:
    """fix_empty_latent_channels, with the ratios that newer empty latents have."""
    latent = comfy.latent(128) | {"downscale_ratio_spacial": 8}
    assert internals.with_model_channels(comfy.model, latent).shape == (1, 4, 16, 16)
    other = {"samples": torch.zeros(1, 16, 8, 8), "downscale_ratio_spacial": 8, "kept": 1}
    assert internals.with_model_channels(comfy.model, other).shape == (1, 4, 8, 8)
    assert internals.without_ratios(other).keys() == {"samples", "kept"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_image_and_noise(comfy: Comfy, internals: Any, kind: str) -> None:
    """model_sampling.noise_scaling is linear: latent_factor · image + noise_factor · noise."""
    model = known(comfy, kind)
    sigma = torch.tensor([0.3])
    image, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    state = model.get_model_object("model_sampling").noise_scaling(sigma, noise, image, False)
    of_image, of_noise = internals.latent_factor(model, sigma), internals.noise_factor(model, sigma)
    torch.testing.assert_close(state, of_image * image + of_noise * noise)
    assert of_noise == pytest.approx(0.3)
    assert of_image == pytest.approx(0.7 if kind == "flow" else 1.0)


def row_gradient(comfy: Comfy, internals: Any) -> torch.Tensor:
    """The gradient of the model's answer for the rows of a prompt, [1, 77, 768]."""
    with torch.inference_mode():
        rows = comfy.encode("a red circle")[0][0]

    def work(loaded: Any) -> Any:
        with internals.differentiation(loaded), torch.enable_grad():
            wanted = rows.clone().requires_grad_(True)
            condition = loaded.conditions([[wanted, {}]], 1)
            x = torch.ones(1, 4, 8, 8)
            (denoised,) = loaded.denoise(x, torch.ones(1), [condition])
            return torch.autograd.grad(denoised.square().sum(), wanted)[0]

    with torch.inference_mode():
        model = internals.with_copied_weights(comfy.model)
        return seen(internals, model, comfy.encode(""), work)


def test_copied_weights_give_gradients(comfy: Comfy, internals: Any) -> None:
    """add_weight_wrapper: rows can be differentiated through weights loaded in inference mode."""
    assert bool(row_gradient(comfy, internals).any())


def test_weights_that_arrive_in_reused_memory_are_copied(
    comfy: Comfy, internals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a model is only partly on the card, the next layer's weights overwrite these ones.

    ComfyUI then brings all weights through one buffer. Here `cast_to` does so on the CPU.
    """
    import comfy.model_management as management

    expected = row_gradient(comfy, internals)
    cast_to, handed_out = management.cast_to, 0
    with torch.inference_mode(False):
        memory = torch.zeros(2, 8_000_000)  # a layer's weight and bias come one after the other

    def through_memory(weight: torch.Tensor, *given: Any, **more: Any) -> torch.Tensor:
        nonlocal handed_out
        cast = cast_to(weight, *given, **more)
        if not more.get("copy"):
            return cast
        handed_out += 1
        return memory[handed_out % 2, : cast.numel()].view(cast.shape).copy_(cast)

    monkeypatch.setattr(management, "cast_to", through_memory)
    torch.testing.assert_close(row_gradient(comfy, internals), expected)
    assert handed_out


def test_frames_leave_room_for_the_rest_of_the_model(
    comfy: Comfy, internals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is not loaded yet takes its size from the memory that is free."""
    import comfy.model_management as management

    model = comfy.model.clone()
    monkeypatch.setattr(model, "model_size", lambda: 900)
    monkeypatch.setattr(model, "memory_required", lambda shape: 10 * shape[0])
    monkeypatch.setattr(management, "get_free_memory", lambda _device: 1021)
    for loaded, fit in ((900, 32), (0, 4)):  # 30 bytes a frame, 1021 or 121 bytes
        monkeypatch.setattr(model, "loaded_size", lambda size=loaded: size)
        assert internals.fitting_frames(model, (4, 8, 8), 32) == fit


def test_a_state_is_that_of_one_step(internals: Any) -> None:
    """Also where σ falls by a few per cent a step; between two steps nothing is kept."""
    kept: list[tuple[int, float]] = []
    keeper = internals._StateKeeper(
        lambda x, _sigma: x,
        torch.tensor([1.0, 0.97, 0.94, 0.0]),
        lambda step, x: kept.append((step, float(x))),
    )
    for sigma in (1.0, 0.985, 0.97, 0.94):
        keeper(torch.tensor(sigma), torch.tensor([sigma]))
    assert kept == [(k, pytest.approx(sigma)) for k, sigma in enumerate((1.0, 0.97, 0.94))]


def test_no_other_file_uses_what_is_not_public() -> None:
    """comfy.samplers, comfy.sample, comfy.model_sampling and latent_preview: in internals alone."""
    private = ("comfy.samplers", "comfy.sample", "comfy.model_sampling", "comfy.sampler_helpers")
    found = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in sorted((ROOT / "nodes").rglob("*.py"))
        if file.name != "internals.py"
        for name in imported(file)
        if name.startswith((*private, "latent_preview"))
    ]
    assert found == []


def imported(file: Path) -> list[str]:
    """The modules that a file imports from outside the pack."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
