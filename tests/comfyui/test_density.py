"""Density paths in a real ComfyUI: on models whose density is known, and on the small one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from geometry.density.boundary import solve
from geometry.density.curve import line
from geometry.noise_level import NoiseLevel

from .conftest import Comfy
from .densities import (
    DIFFERENCE,
    TRUE,
    beyond,
    both,
    clean,
    found,
    inverted,
    prompts,
    rendered,
    spread,
)
from .known import KINDS, known
from .test_inversion import picture, psnr


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """ComfyUI runs every node like this."""
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_geodesic_of_the_models_density(comfy: Comfy, kind: str) -> None:
    """Through ComfyUI's sampling code the same path as with the density's own formula."""
    model = known(comfy, kind, spread())
    a, b = both(comfy, model)
    state = found(comfy, model, a, b)[4]
    level = NoiseLevel(torch.tensor([a["geodesic_sigma"]]), kind == "flow")
    variance = (level.signal * spread().flatten()) ** 2 + level.noise**2
    exact = solve(
        a["samples"].flatten(),
        b["samples"].flatten(),
        lambda z, _: -z / variance,
        strength=0.02,
        levels=3,
        iterations=20,
        learning_rate=1.0,
    ).curve
    arc = line(a["samples"].flatten(), b["samples"].flatten()).at(exact.times)
    bulge = float((exact.knots - arc).norm(dim=1).max())
    assert bulge > 0.5
    assert float((state.curve.knots - exact.knots).norm(dim=1).max()) < 1e-2 * bulge


@pytest.mark.parametrize("kind", KINDS)
def test_native_samplers_go_on_from_it(comfy: Comfy, kind: str) -> None:
    """The ends' frames come back to the latents that were inverted, for any kind of model."""
    model = known(comfy, kind, spread())
    a, b = both(comfy, model)
    positives, latents, *_ = found(comfy, model, a, b)
    back = rendered(model, positives, latents)
    for frame, seed in ((back[0], 1), (back[-1], 2)):
        original = clean(comfy, seed)["samples"][0]
        assert float((frame - original).norm() / original.norm()) < 0.02


def test_its_ends_are_the_images(comfy: Comfy) -> None:
    """On the small checkpoint the ends are as good as by inversion alone: 45 dB and more."""
    pictures = [picture(k) for k in (3, 4)]
    encoded = [{"samples": comfy.vae.encode(image)} for image, _ in pictures]
    captions = [caption for _, caption in pictures]
    a, b = (
        inverted(comfy, comfy.model, latent, comfy.encode(caption))
        for latent, caption in zip(encoded, captions, strict=True)
    )
    path = prompts(comfy, *captions)
    changes = {"path": path, "score": DIFFERENCE, "strength": 0.1, "iterations": 2, "frames": 2}
    changes |= {"levels": 2}
    positives, latents, *_ = found(comfy, comfy.model, a, b, **changes)
    back = comfy.vae.decode(rendered(comfy.model, positives, latents))
    for frame, latent, caption, noise in zip(
        (back[:1], back[-1:]), encoded, captions, (a, b), strict=True
    ):
        scale = math.sqrt(1 + noise["geodesic_sigma"] ** 2)
        start = comfy.model.model.process_latent_out(noise["samples"] * scale)
        alone = rendered(comfy.model, [comfy.encode(caption)], [{"samples": start}])
        kept = psnr(comfy.vae.decode(alone), comfy.vae.decode(latent["samples"]))
        reached = psnr(frame, comfy.vae.decode(latent["samples"]))
        print(f"end: {reached:.1f} dB; by inversion alone {kept:.1f} dB")
        assert reached > kept - 0.5
        assert reached > 45


@pytest.mark.parametrize("score", [TRUE, DIFFERENCE])
def test_a_seed_gives_one_path(comfy: Comfy, pair: tuple[Any, Any], score: str) -> None:
    """Two runs agree; another seed is another path where noise is drawn."""
    a, b = pair
    one, again, other = (
        found(comfy, comfy.model, a, b, seed=seed, score=score, levels=2, iterations=2)[
            4
        ].curve.knots
        for seed in (1, 1, 2)
    )
    torch.testing.assert_close(one, again, rtol=1e-5, atol=1e-5)
    assert torch.allclose(one, other, atol=1e-4) == (score == TRUE)


def test_it_finds_denser_places(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """On the small checkpoint: the true density along the path is above that of the great arc."""
    search = comfy.density.Search(0.01, 3, 12, 3.0, TRUE, 0)
    paths = comfy.density.prompts_between(prompts(comfy))
    result = comfy.density.find(comfy.model, paths, comfy.encode(""), pair, search)
    assert float(result.log_density.mean()) > float(result.log_density_of_arc.mean()) + 1
    assert result.history[0][-1] < result.history[0][0]


def test_points_are_evaluated_in_batches_that_fit(
    comfy: Comfy, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With memory for two images at a time the path is the same, two at a time."""
    import comfy.model_management as management

    a, b = pair
    whole = found(comfy, comfy.model, a, b, levels=2, iterations=2, score=DIFFERENCE)[4].curve.knots
    model = comfy.model.clone()
    sizes = []

    def count(apply: Any, arguments: dict[str, Any]) -> Tensor:
        sizes.append(len(arguments["input"]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(count)
    needed = comfy.model.model.memory_required([4, 4, 8, 8])

    def free(_: Any = None, torch_free_too: bool = False) -> Any:
        return (needed * 1.6, 0) if torch_free_too else needed * 1.6

    monkeypatch.setattr(management, "get_free_memory", free)
    parts = found(comfy, model, a, b, levels=2, iterations=2, score=DIFFERENCE)[4].curve.knots
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-3)
    assert max(sizes) == 4  # two images, two prompts


def test_progress_shows_the_middle(
    comfy: Comfy, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step is reported, with a preview of the middle point as the model denoises it."""
    from geodesic_morph.nodes import internals

    told: list[tuple[int, Any]] = []
    middles: list[Tensor] = []
    own = internals.LoadedModel.denoise

    def watch(self: Any, *inputs: Any) -> Any:
        denoised = own(self, *inputs)
        middles.append(denoised[0][len(denoised[0]) // 2])
        return denoised

    def listen(_: Any, most: int) -> Callable[..., None]:
        assert most == 2 * 3
        return lambda step, x0, _x, _most: told.append((step, x0.clone()))

    monkeypatch.setattr(internals.LoadedModel, "denoise", watch)
    monkeypatch.setattr(internals, "preview_callback", listen)
    found(comfy, comfy.model, *pair, levels=2, iterations=3)
    assert [step for step, _ in told] == list(range(6))
    # In their order; between them, and at the end, the chart's densities are evaluated.
    seen = iter(middles)
    for _, x0 in told:
        assert any(torch.equal(x0, middle[None]) for middle in seen)


def test_frames_come_in_batches(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """Prompts and latents match, cut where asked; all frames are those of one batch."""
    a, b = pair
    small = {"iterations": 0, "frames": 7}
    one = found(comfy, comfy.model, a, b, **small)
    parts = found(comfy, comfy.model, a, b, **small, frames_per_batch=3)
    assert [len(latent["samples"]) for latent in parts[1]] == [3, 3, 1]
    assert [len(positive[0][0]) for positive in parts[0]] == [3, 3, 1]
    whole = torch.cat([latent["samples"] for latent in parts[1]])
    torch.testing.assert_close(whole, one[1][0]["samples"])
    assert one[2].values == pytest.approx([k / 6 for k in range(7)])
    # A sampler that adds noise in its steps adds the same to all frames.
    assert [latent["batch_index"] for latent in parts[1]] == [[0] * 3, [0] * 3, [0]]


def test_frames_at_other_times_need_no_search(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """Density Frames on the state: the same frames at the same times, and any others."""
    a, b = pair
    positives, latents, times, _, state = found(comfy, comfy.model, a, b, iterations=2)
    execute = comfy.density.GeodesicDensityFrames.execute
    again, same, count = execute(state, times)
    assert count == 5
    assert torch.equal(same[0]["samples"], latents[0]["samples"])
    assert torch.equal(again[0][0][0], positives[0][0][0])
    steps = comfy.metrics.Steps((1.0, 3.0, 1.0, 1.0), 6.0, "test")
    dense = comfy.metrics.GeodesicRetime.execute(times, steps, 9)[0]
    _, more, count = execute(state, dense)
    assert count == 9
    samples = torch.cat([latent["samples"] for latent in more])
    assert torch.equal(samples[[0, -1]], latents[0]["samples"][[0, -1]])
    there_and_back = comfy.times.GeodesicTimes.execute(9, "linear", "ping-pong", "")[0]
    assert execute(state, there_and_back)[2] == 9
    loop = comfy.times.GeodesicTimes.execute(9, "linear", "loop", "")[0]
    with pytest.raises(ValueError, match="times: expected an ending of 'stop' or 'ping-pong'"):
        execute(state, loop)


def test_equal_ends_are_a_still_path(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """No NaN anywhere; extrapolating it is an error that says why."""
    a, _ = pair
    _, latents, _, chart, state = found(comfy, comfy.model, a, a)
    samples = latents[0]["samples"]
    torch.testing.assert_close(samples, samples[:1].expand(5, -1, -1, -1))
    assert bool(torch.isfinite(samples).all())
    assert bool(torch.isfinite(chart).all())
    with pytest.raises(ValueError, match="state: expected a path between two different images"):
        beyond(comfy, comfy.model, state)


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": 1},
        {"iterations": 0},
        {"strength": 0.0},
        {"strength": 1e3},
        {"strength": 1e3, "learning_rate": 1e3, "score": DIFFERENCE},
        {"frames": 1},
    ],
)
def test_odd_settings_give_finite_paths(
    comfy: Comfy, pair: tuple[Any, Any], changes: dict[str, Any]
) -> None:
    a, b = pair
    _, latents, _, chart, state = found(comfy, comfy.model, a, b, **{"iterations": 3} | changes)
    assert bool(torch.isfinite(state.curve.knots).all())
    assert bool(torch.isfinite(chart).all())
    assert bool(torch.isfinite(latents[0]["samples"]).all())
    if changes in ({"iterations": 0}, {"strength": 0.0}):
        arc = line(a["samples"].flatten(), b["samples"].flatten()).at(state.curve.times)
        torch.testing.assert_close(state.curve.knots, arc, rtol=1e-4, atol=1e-4)


def _cases() -> dict[str, tuple[Callable[[Comfy, Any, Any], dict[str, Any]], str]]:
    def larger(_: Comfy, a: Any, __: Any) -> dict[str, Any]:
        return {"latent_b": a | {"samples": torch.ones(1, 4, 16, 8)}}

    def other_level(comfy: Comfy, _: Any, __: Any) -> dict[str, Any]:
        latent = inverted(comfy, comfy.model, clean(comfy, 2), comfy.encode(""), 0.5)
        return {"latent_b": latent}

    def broken(_: Comfy, a: Any, __: Any) -> dict[str, Any]:
        return {"latent_a": a | {"samples": a["samples"] * math.nan}}

    return {
        "size": (larger, r"expected one size, got \[4, 8, 8\] and \[4, 16, 8\]"),
        "noise level": (other_level, r"expected one noise level, got 0\.6 and 0\.5"),
        "not inverted": (
            lambda comfy, _, __: {"latent_a": clean(comfy, 1)},
            "latent_a: expected an inverted image.*Invert Image",
        ),
        "a batch": (
            lambda _, a, __: {"latent_a": a | {"samples": a["samples"].repeat(2, 1, 1, 1)}},
            "latent_a: expected one inverted image, got a batch of 2",
        ),
        "channels": (
            lambda _, a, __: {"latent_b": a | {"samples": torch.ones(1, 16, 8, 8)}},
            "latent_b: expected 4 channels",
        ),
        "NaN": (broken, "latent_a: expected finite numbers"),
        "two negatives": (
            lambda comfy, _, __: {"negative": [[comfy.encode("")[0][0].repeat(2, 1, 1), {}]]},
            "negative: expected one prompt for all frames, got 2",
        ),
        "opposites": (
            lambda _, a, __: {"latent_b": a | {"samples": -a["samples"]}},
            "exact opposites",
        ),
        "timestep range": (
            lambda comfy, _, __: {"negative": [[comfy.encode("")[0][0], {"start_percent": 0.5}]]},
            "negative: expected a prompt for all steps",
        ),
        "timestep range that ends": (
            lambda comfy, _, __: {"negative": [[comfy.encode("")[0][0], {"end_percent": 0.5}]]},
            "negative: expected a prompt for all steps",
        ),
        "ControlNet": (
            lambda comfy, _, __: {"negative": [[comfy.encode("")[0][0], {"control": object()}]]},
            "negative: expected a plain prompt, got one with a ControlNet",
        ),
        "strength": (lambda *_: {"strength": -1.0}, "strength: expected a number from 0 up"),
    }


@pytest.mark.parametrize("case", list(_cases()))
def test_bad_input_is_named(comfy: Comfy, pair: tuple[Any, Any], case: str) -> None:
    a, b = pair
    make, message = _cases()[case]
    changes = {"latent_a": a, "latent_b": b} | make(comfy, a, b)
    ends = changes.pop("latent_a"), changes.pop("latent_b")
    with pytest.raises(ValueError, match=message):
        found(comfy, comfy.model, *ends, **changes)


def test_where_it_cannot_work_it_says_so(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """A flow model's latents at noise level 1, nested latents, a model that gives NaN."""
    model = known(comfy, "flow")
    a, b = both(comfy, model, 1.0)
    with pytest.raises(ValueError, match=r"flow model.*lower level, such as 0\.6"):
        found(comfy, model, a, b)
    from comfy.nested_tensor import NestedTensor

    a, b = pair
    nested = a | {"samples": NestedTensor([torch.ones(1, 4, 8, 8), torch.ones(1, 8, 4)])}
    with pytest.raises(ValueError, match="latent_a: this model's latents are nested"):
        found(comfy, comfy.model, nested, b)
    state = found(comfy, comfy.model, a, b, iterations=0)[4]
    with pytest.raises(ValueError, match="model: expected the model of the path"):
        beyond(comfy, known(comfy, "flow"), state)
    windows = comfy.model.clone()
    windows.model_options["context_handler"] = object()
    with pytest.raises(ValueError, match=r"model: .* context windows"):
        found(comfy, windows, a, b)
    nan = comfy.model.clone()
    nan.set_model_unet_function_wrapper(lambda _, arguments: arguments["input"] * math.nan)
    with pytest.raises(ValueError, match="model: expected a finite score"):
        found(comfy, nan, a, b)


def test_noise_alone_has_paths_too(comfy: Comfy) -> None:
    """Noise level 1 of an eps model: the jitter ends there, the sampler starts from it."""
    model = known(comfy, "eps", spread())
    a, b = both(comfy, model, 1.0)
    positives, latents, *_ = found(comfy, model, a, b, score=DIFFERENCE, iterations=2)
    back = rendered(model, positives, latents, 1.0)
    original = clean(comfy, 1)["samples"][0]
    assert float((back[0] - original).norm() / original.norm()) < 0.05


def test_a_video_model_gets_its_five_dimensions(comfy: Comfy) -> None:
    from comfy.latent_formats import SD15

    class Video(SD15):
        latent_dimensions = 3

    model = known(comfy, "eps")
    model.add_object_patch("latent_format", Video())
    a, b = both(comfy, model)
    _, latents, *_ = found(comfy, model, a, b, iterations=2)
    assert latents[0]["samples"].shape == (5, 4, 1, 8, 8)
