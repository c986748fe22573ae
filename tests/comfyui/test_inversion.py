"""DDIM inversion in a real ComfyUI: on models whose answer is known, and on the small one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from scenes.drawing import draw
from scenes.language import evaluation_scene, say

from .conftest import Comfy
from .known import DATA, known


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """ComfyUI runs every node like this."""
    with torch.inference_mode():
        yield


def true_noise(kind: str, model: Any, x: Tensor) -> Tensor:
    """The noise that the probability-flow ODE of N(0, DATA²) gives for a latent at the top σ."""
    inside = model.model.process_latent_in(x)
    if kind == "flow":
        return inside / DATA
    top = float(model.get_model_object("model_sampling").sigma_max)
    return inside * math.sqrt(DATA**2 + top**2) / DATA / math.sqrt(1 + top**2)


def invert(comfy: Comfy, model: Any, latent: Any, steps: int, *more: Any, prompt: str = "") -> Any:
    level, refinements = [*more, *[1.0, 0][len(more) :]]
    execute = comfy.noise.GeodesicInvert.execute
    return execute(model, comfy.encode(prompt), latent, steps, level, refinements).result


def generate(comfy: Comfy, model: Any, noise: Any, steps: int, prompt: str) -> Tensor:
    """From a keyframe of inverted noise through the native sampler: the latent it draws."""
    from comfy_extras import nodes_custom_sampler as custom

    path = comfy.noise.GeodesicNoiseKeyframe.execute(0, 1.0, noise)[0]
    noise = comfy.noise.GeodesicNoiseCentroid.execute(path, "", "COG")[0]
    guider = custom.BasicGuider.execute(model, comfy.encode(prompt))[0]
    sigmas = custom.BasicScheduler.execute(model, "normal", steps, 1.0)[0]
    sampler = custom.KSamplerSelect.execute("euler")[0]
    latent = comfy.latent()
    return custom.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent)[0][
        "samples"
    ]


def picture(k: int = 0) -> tuple[Tensor, str]:
    """A scene the model was never trained on, [1, 64, 64, 3], and its caption."""
    scene, rng = evaluation_scene(7, k)
    return draw(scene, Random(k)).movedim(0, -1)[None], say(scene, rng, complete=True)


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


def some_latent(comfy: Comfy, count: int = 1) -> dict[str, Any]:
    x = DATA * torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return {"samples": comfy.model.model.process_latent_out(x)}


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_it_follows_the_exact_ode(comfy: Comfy, kind: str) -> None:
    """Noise-, velocity- and flow-predicting models: the error falls with the number of steps."""
    model, latent = known(comfy, kind), some_latent(comfy)
    truth = true_noise(kind, model, latent["samples"])
    errors = []
    for steps in (50, 200):
        noise, ratio = invert(comfy, model, latent, steps)
        errors.append(float((noise["samples"] - truth).norm() / truth.norm()))
        assert ratio == pytest.approx(float(noise["samples"].norm()) / 16, rel=1e-6)
    assert errors[1] < 0.35 * errors[0]
    assert errors[1] < 0.02


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_refinements_come_nearer(comfy: Comfy, kind: str) -> None:
    """A corrected step regenerates the latent far better than a plain one of the same length."""
    model, latent = known(comfy, kind), some_latent(comfy)
    wrong = []
    for refinements in (0, 1, 3):
        noise, _ = invert(comfy, model, latent, 50, 1.0, refinements)
        back = generate(comfy, model, noise, 50, "")
        wrong.append(float((back - latent["samples"]).norm() / latent["samples"].norm()))
    assert wrong[2] < wrong[1] < wrong[0] < 0.2
    assert wrong[2] < 0.01


def test_a_picture_comes_back(comfy: Comfy) -> None:
    """50 steps to noise and back, without guidance: 45 dB compared with the VAE alone.

    Not more, because a DDIM step up and one down take their slope at different points; with the
    step count the error falls (100 steps: 49 dB; 200: 54 dB; 400: 59 dB). The picture itself is met
    as well as the VAE meets it (32 dB): the autoencoder of the small checkpoint is the bottleneck.
    """
    image, caption = picture()
    latent = {"samples": comfy.vae.encode(image)}
    decoded = comfy.vae.decode(latent["samples"])
    reached = {}
    for steps in (10, 50):
        noise, ratio = invert(comfy, comfy.model, latent, steps, prompt=caption)
        back = comfy.vae.decode(generate(comfy, comfy.model, noise, steps, caption))
        reached[steps] = psnr(back, decoded)
        print(f"{steps} steps: {reached[steps]:.1f} dB; the picture {psnr(back, image):.1f} dB")
        assert psnr(back, image) > psnr(decoded, image) - 1
    assert reached[50] >= 43
    assert 30 <= reached[10] < reached[50] - 5
    assert 0.5 < ratio < 1.3  # few plain steps give too low a norm


def test_refined_steps_save_time(comfy: Comfy) -> None:
    """50 steps with one refinement (100 evaluations) match 400 plain ones: at least 50 dB."""
    image, caption = picture(1)
    latent = {"samples": comfy.vae.encode(image)}
    noise, _ = invert(comfy, comfy.model, latent, 50, 1.0, 1, prompt=caption)
    back = comfy.vae.decode(generate(comfy, comfy.model, noise, 50, caption))
    assert psnr(back, comfy.vae.decode(latent["samples"])) >= 50


def test_half_way_up_a_sampler_takes_over(comfy: Comfy) -> None:
    """noise_level is the denoise of a sampler, with its very sigmas, and unit scale."""
    from comfy_extras import nodes_custom_sampler as custom

    image, caption = picture(2)
    latent = {"samples": comfy.vae.encode(image)}
    noise, ratio = invert(comfy, comfy.model, latent, 30, 0.6, 2, prompt=caption)
    assert noise["geodesic_noise_level"] == 0.6
    assert ratio == pytest.approx(1, abs=0.35)
    sigmas = custom.BasicScheduler.execute(comfy.model, "normal", 30, 0.6)[0]
    inside = noise["samples"] * (1 + sigmas[0] ** 2).sqrt()
    start = {"samples": comfy.model.model.process_latent_out(inside)}
    back = custom.SamplerCustom.execute(
        comfy.model,
        False,
        0,
        1.0,
        comfy.encode(caption),
        comfy.encode(""),
        custom.KSamplerSelect.execute("euler")[0],
        sigmas,
        start,
    )[0]["samples"]
    assert psnr(comfy.vae.decode(back), comfy.vae.decode(latent["samples"])) >= 45


def test_the_norm_ratio_tells_good_from_bad(comfy: Comfy) -> None:
    """Three pictures: refined steps give ratios near 1, few plain ones far less; the node says so.

    A draw of 256 numbers has a norm ratio of 1 ± 0.044 by itself, so the mean is judged here.
    """
    found = [picture(k) for k in range(3)]
    latent = {"samples": comfy.vae.encode(torch.cat([image for image, _ in found]))}
    prompts = [[torch.cat([comfy.encode(caption)[0][0] for _, caption in found]), {}]]
    inversion = comfy.noise.inversion
    good = inversion.invert(comfy.model, prompts, latent, 30, 1.0, 2)
    bad = inversion.invert(comfy.model, prompts, latent, 8, 1.0, 0)
    assert abs(sum(good.norm_ratios) / 3 - 1) < inversion.TRUSTED
    assert max(bad.norm_ratios) < 1 - 2 * inversion.TRUSTED
    assert "Raise steps" in bad.report
    print(good.report)


def test_there_is_no_guidance(comfy: Comfy) -> None:
    """One evaluation for each step and each refinement, with the positive prompt only."""
    model = comfy.model.clone()
    asked: list[list[int]] = []

    def count(apply: Any, arguments: dict[str, Any]) -> Tensor:
        asked.append(list(arguments["cond_or_uncond"]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(count)
    model.model_options["disable_cfg1_optimization"] = True
    invert(comfy, model, some_latent(comfy), 4, 1.0, 2)
    assert asked == [[0]] * (4 * 3)


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_noise_paths_start_any_kind_of_model(comfy: Comfy, kind: str) -> None:
    """From seed to seed on exact models: ends are RandomNoise's, the middle is as strong."""
    from comfy_extras import nodes_custom_sampler as custom

    model = known(comfy, kind)
    path = None
    for seed in (1, 2):
        path = comfy.noise.GeodesicNoiseKeyframe.execute(seed, 1.0, None, path)[0]
    when = comfy.times.GeodesicTimes.execute(3, "linear", "stop", "")[0]
    travelling = comfy.noise.GeodesicNoiseAlong.execute(path, when, "COG")[0]
    guider = custom.BasicGuider.execute(model, comfy.encode(""))[0]
    sigmas = custom.BasicScheduler.execute(model, "normal", 50, 1.0)[0]
    sampler = custom.KSamplerSelect.execute("euler")[0]

    def drawn(noise: Any, count: int) -> Tensor:
        run = custom.SamplerCustomAdvanced.execute
        return run(noise, guider, sampler, sigmas, comfy.latent(count=count))[0]["samples"]

    frames = drawn(travelling, 3)
    for frame, seed in ((frames[0], 1), (frames[2], 2)):
        alone = drawn(custom.RandomNoise.execute(seed)[0], 1)[0]
        torch.testing.assert_close(frame, alone, rtol=1e-4, atol=1e-4)
    inside = comfy.model.model.process_latent_in(frames)
    for frame in inside:
        assert float(frame.std()) == pytest.approx(DATA, rel=0.2)


def test_a_video_model_gets_its_five_dimensions(comfy: Comfy) -> None:
    """A picture's latent becomes a video of one frame for a model that works on videos."""

    from comfy.latent_formats import SD15

    class Video(SD15):
        latent_dimensions = 3

    model = known(comfy, "eps")
    model.add_object_patch("latent_format", Video())
    latent = some_latent(comfy)
    noise, ratio = invert(comfy, model, latent, 50, 1.0, 1)
    assert noise["samples"].shape == (1, 4, 1, 8, 8)
    flat, same = invert(comfy, known(comfy, "eps"), latent, 50, 1.0, 1)
    torch.testing.assert_close(noise["samples"][:, :, 0], flat["samples"])
    assert ratio == pytest.approx(same)


def test_a_batch_is_its_images_one_by_one(comfy: Comfy) -> None:
    """Each with its own prompt or all with one; the ratio is the one furthest from 1."""
    latent = some_latent(comfy, 3)
    latent["samples"][1] *= 1.5
    prompts = [comfy.encode(text) for text in ("a red circle", "a blue star", "")]
    execute = comfy.noise.GeodesicInvert.execute
    joined = [[torch.cat([rows for ((rows, _),) in prompts]), {}]]
    together, worst = execute(comfy.model, joined, latent, 5, 1.0).result
    ratios = []
    for k, prompt in enumerate(prompts):
        one = {"samples": latent["samples"][k : k + 1]}
        alone, ratio = execute(comfy.model, prompt, one, 5, 1.0).result
        torch.testing.assert_close(
            together["samples"][k], alone["samples"][0], rtol=1e-3, atol=1e-3
        )
        ratios.append(ratio)
    assert worst == pytest.approx(max(ratios, key=lambda r: abs(r - 1)), rel=1e-3)


def test_batches_are_cut_to_what_fits(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five images where two fit: three batches, the same noises, and progress that runs through."""
    from comfy.utils import set_progress_bar_global_hook

    from geodesic_morph.nodes.noise import inversion

    latent, steps = some_latent(comfy, 5), 4
    prompts = [comfy.encode(text)[0][0] for text in ("a red circle", "", "a star", "fog", "sea")]
    joined = [[torch.cat(prompts), {}]]
    execute = comfy.noise.GeodesicInvert.execute
    expected, worst = execute(comfy.model, joined, latent, steps, 1.0).result
    monkeypatch.setattr(inversion, "fitting_frames", lambda _model, _shape, _wanted: 2)
    sizes, reported = [], []
    model = comfy.model.clone()

    def count(apply: Any, arguments: dict[str, Any]) -> Any:
        sizes.append(len(arguments["input"]))
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    model.set_model_unet_function_wrapper(count)
    set_progress_bar_global_hook(lambda done, most, *_, **__: reported.append((done, most)))
    try:
        cut, cut_worst = execute(model, joined, latent, steps, 1.0).result
    finally:
        set_progress_bar_global_hook(None)
    assert sizes == [2] * steps + [2] * steps + [1] * steps
    torch.testing.assert_close(cut["samples"], expected["samples"], rtol=1e-3, atol=1e-3)
    assert cut_worst == pytest.approx(worst, rel=1e-3)
    assert reported == [(k + 1, 3 * steps) for k in range(3 * steps)]


def test_what_else_a_latent_holds_stays(comfy: Comfy) -> None:
    """A mask is kept and does not change the noise: the whole picture is inverted."""
    latent = some_latent(comfy)
    plain, _ = invert(comfy, comfy.model, latent, 3)
    mask = torch.zeros(1, 1, 64, 64)
    masked, _ = invert(comfy, comfy.model, latent | {"noise_mask": mask}, 3)
    assert torch.equal(plain["samples"], masked["samples"])
    assert masked["noise_mask"] is mask


def test_a_photo_can_be_a_keyframe(comfy: Comfy) -> None:
    """Two inverted pictures: the ends of the path are their noises, bit for bit.

    That these noises render the pictures is `test_a_picture_comes_back`.
    """
    ends = []
    for k in (3, 4):
        image, caption = picture(k)
        latent = {"samples": comfy.vae.encode(image)}
        ends.append(invert(comfy, comfy.model, latent, 10, 1.0, 1, prompt=caption)[0])
    path = None
    for noise in ends:
        path = comfy.noise.GeodesicNoiseKeyframe.execute(0, 1.0, noise, path)[0]
    when = comfy.times.GeodesicTimes.execute(5, "linear", "stop", "")[0]
    along = comfy.noise.GeodesicNoiseAlong.execute(path, when, "COG")[0]
    frames = along.generate_noise({"samples": torch.zeros(5, 4, 8, 8)})
    for frame, noise in zip((frames[:1], frames[-1:]), ends, strict=True):
        assert torch.equal(frame, noise["samples"])
    norms = frames.flatten(1).norm(dim=1)
    assert float(norms.min()) > 0.85 * float(norms[[0, -1]].min())


def test_the_report_says_whether_to_trust_it(comfy: Comfy) -> None:
    """The report under the node: true noise passes, and what fails is named with what to do."""
    inversion = comfy.noise.inversion

    def report(noise: Tensor, level: float = 1.0) -> str:
        latent = {"samples": noise, "geodesic_noise_level": level}
        return inversion.Inversion(latent, inversion.norm_ratios(noise)).report

    drawn = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    assert "passes as Gaussian noise" in report(drawn)
    assert "image" not in report(drawn[:1])
    weak = report(torch.cat([drawn, 0.7 * drawn[:1]]))
    assert weak.startswith("image 3 of 3, the worst: norm ratio 0.")
    assert "Raise steps or refinements" in weak
    shared = drawn[:1].clone()
    shared[0, 1] = shared[0, 0]
    assert "channels correlate (+1.00)" in report(shared)
    assert "noise_level 0.6" in report(drawn, 0.6)
    assert "not tested" in report(drawn, 0.6)
    assert inversion.Inversion({}, [0.97, 0.7, 1.2]).worst_ratio == 0.7


def _cases() -> dict[str, tuple[Callable[[Comfy], dict[str, Any]], tuple[str, ...]]]:
    def broken(comfy: Comfy) -> dict[str, Any]:
        latent = some_latent(comfy)
        latent["samples"][0, 1, 2, 3] = math.nan
        return latent

    def nested(_: Comfy) -> dict[str, Any]:
        from comfy.nested_tensor import NestedTensor

        return {"samples": NestedTensor([torch.ones(1, 4, 8, 8), torch.ones(1, 8, 4)])}

    return {
        "empty": (lambda comfy: comfy.latent(), ("an encoded image", "empty latent")),
        "NaN": (broken, ("finite", "NaN")),
        "channels": (lambda _: {"samples": torch.ones(1, 16, 8, 8)}, ("4 channels", "got 16")),
        "nested": (nested, ("nested",)),
    }


@pytest.mark.parametrize("case", list(_cases()))
def test_what_is_no_image_is_refused(comfy: Comfy, case: str) -> None:
    """Named as the input `latent`, before any step."""
    make, parts = _cases()[case]
    with pytest.raises(ValueError, match="latent: .*" + ".*".join(parts)):
        invert(comfy, comfy.model, make(comfy), 3)


def test_prompts_that_do_not_match_are_refused(comfy: Comfy) -> None:
    """Two prompts for three images; a prompt that is no conditioning."""
    execute = comfy.noise.GeodesicInvert.execute
    two = [[torch.cat([comfy.encode(t)[0][0] for t in "ab"]), {}]]
    with pytest.raises(ValueError, match="conditioning: expected one prompt, or one for each of"):
        execute(comfy.model, two, some_latent(comfy, 3), 3, 1.0)
    with pytest.raises(ValueError, match="conditioning: expected at least one"):
        execute(comfy.model, [], some_latent(comfy), 3, 1.0)
    with pytest.raises(ValueError, match=r"steps: expected at most 100 at noise_level 0\.01"):
        execute(comfy.model, comfy.encode(""), some_latent(comfy), 101, 0.01)


def test_a_model_that_breaks_down_is_named(comfy: Comfy) -> None:
    """NaN never leaves the node."""
    model = comfy.model.clone()
    model.set_model_unet_function_wrapper(lambda _, arguments: arguments["input"] * math.nan)
    with pytest.raises(ValueError, match="model: expected steps that give finite numbers"):
        invert(comfy, model, some_latent(comfy), 3)
