"""Photos through Morph Sampler: every keyframe is its photo's own reconstruction."""

from __future__ import annotations

import dataclasses
import math
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from scenes.drawing import draw
from scenes.language import evaluation_scene, say

from ..conftest import Comfy
from ..densities import TRUE, found
from ..known import known
from .morphs import morph, path_of, sampler_of

STEPS, LEVEL = 4, 0.6


def photo(number: int) -> tuple[Tensor, str]:
    """A scene that the model was not trained on, [1, H, W, 3], and its caption."""
    scene, rng = evaluation_scene(9, number)
    return draw(scene, Random(number)).permute(1, 2, 0)[None], say(scene, rng)


def keyframe(comfy: Comfy, number: int, **changes: Any) -> Any:
    """The path that Image Keyframe gives."""
    return keyframe_and_noise(comfy, number, **changes)[0]


def keyframe_and_noise(comfy: Comfy, number: int, **changes: Any) -> tuple[Any, Any]:
    """The path, and the photo's noise as a LATENT."""
    from geodesic_morph.nodes.noise.image_keyframe import GeodesicImageKeyframe

    image, caption = photo(number)
    inputs: dict[str, Any] = {"model": comfy.model, "vae": comfy.vae, "image": image}
    inputs |= {"prompt": comfy.encode(caption), "steps": STEPS, "noise_level": LEVEL}
    inputs |= {"weight": 1.0} | changes
    done = GeodesicImageKeyframe.execute(**inputs)
    return done[0], done[2]


def chain(comfy: Comfy, *numbers: int, weights: Any = None, **changes: Any) -> Any:
    path = None
    for number, weight in zip(numbers, weights or [1.0] * len(numbers), strict=True):
        path = keyframe(comfy, number, weight=weight, previous=path, **changes)
    return path


def film(comfy: Comfy, path: Any, **changes: Any) -> Any:
    level = path.level.share if hasattr(path, "level") else LEVEL
    settings = {"denoise": level, "scheduler": "normal", "cfg": 1.0, "steps": STEPS}
    return morph(comfy, path, **settings | {"frames_per_batch": 1} | changes)


def frames_at(comfy: Comfy, path: Any, times: list[float], ending: str = "stop") -> Tensor:
    """The latents at these times, each from the noise on."""
    settings = {"scheduler": "normal", "denoise": LEVEL, "steps": STEPS, "ending": ending}
    sampler = sampler_of(comfy, path=path.prompts, image_path=path, frames_per_batch=1, **settings)
    return torch.stack([frame.samples for frame in sampler.render(times)])


def reconstruction(comfy: Comfy, number: int, level: float) -> Tensor:
    """Invert Image, and back by ComfyUI's own nodes, which add no noise."""
    from comfy_extras import nodes_custom_sampler as custom

    image, caption = photo(number)
    prompt = comfy.encode(caption)
    encoded = {"samples": comfy.vae.encode(image)}
    invert = comfy.noise.GeodesicInvert.execute
    noise = invert(comfy.model, prompt, encoded, STEPS, level, 1)[0]
    inside = noise["samples"] * math.sqrt(1 + noise["geodesic_sigma"] ** 2)
    latent = {"samples": comfy.model.model.process_latent_out(inside)}
    return custom.SamplerCustomAdvanced.execute(
        custom.DisableNoise.execute()[0],
        custom.BasicGuider.execute(comfy.model, prompt)[0],
        custom.KSamplerSelect.execute("euler")[0],
        custom.BasicScheduler.execute(comfy.model, "normal", STEPS, level)[0],
        latent,
    )[0]["samples"]


@pytest.mark.parametrize("level", [LEVEL, 1.0])
def test_keyframes_are_the_reconstructions(comfy: Comfy, level: float) -> None:
    """Bit for bit what ComfyUI's sampler makes of each inversion, with the same settings."""
    path = chain(comfy, 0, 1, 2, noise_level=level)
    _, latents, times, *_ = film(comfy, path, frames=7).result
    for number, t in enumerate((0.0, 0.5, 1.0)):
        frame = latents["samples"][times.values.index(t)][None]
        assert torch.equal(frame, reconstruction(comfy, number, level))


def test_a_loop_has_no_seam(comfy: Comfy) -> None:
    """Its path ends at the first photo, bit for bit, and its last frame stands before that."""
    path = chain(comfy, 0, 1, 2)
    first, last = frames_at(comfy, path, [0.0, 1.0], "loop")
    assert torch.equal(first, last)
    near, *_ = frames_at(comfy, path, [1 - 1e-5], "loop")
    assert float((near - first).norm()) < 1e-2 * float(first.norm())
    times = film(comfy, path, frames=6, ending="loop").result[2]
    assert times.values[-1] < 1


def test_one_photo_twice_is_still(comfy: Comfy) -> None:
    """Equal photos and prompts: all frames are equal."""
    images = film(comfy, chain(comfy, 0, 0)).result[0]
    torch.testing.assert_close(images, images[:1].expand_as(images), rtol=0, atol=1e-4)


def test_the_reverse_order_is_the_reversed_film(comfy: Comfy) -> None:
    """With the weights of the legs reversed too."""
    times = [0.0, 0.1, 0.25, 0.6, 1.0]
    there = frames_at(comfy, chain(comfy, 0, 1, 2, weights=(1.0, 1.0, 3.0)), times)
    path = chain(comfy, 2, 1, 0, weights=(1.0, 3.0, 1.0))
    back = frames_at(comfy, path, [1 - t for t in reversed(times)])
    torch.testing.assert_close(back.flip(0), there, rtol=1e-3, atol=1e-3)


def test_weights_say_where_photos_stand(comfy: Comfy) -> None:
    """Legs of 1 and 3: the second photo stands after a quarter of the time."""
    path = chain(comfy, 0, 1, 2, weights=(1.0, 1.0, 3.0))
    _, latents, times, *_ = film(comfy, path, frames=7).result
    frame = latents["samples"][times.values.index(0.25)][None]
    assert torch.equal(frame, reconstruction(comfy, 1, LEVEL))


def test_noise_between_photos_keeps_its_strength(comfy: Comfy) -> None:
    """Also where photos are alike, whose noises are not independent."""
    path = chain(comfy, 0, 1)
    norms = path.at([0.0, 0.25, 0.5, 0.75, 1.0], "stop").flatten(1).norm(dim=1)
    low, high = sorted((float(norms[0]), float(norms[-1])))
    assert all(0.99 * low < float(norm) < 1.01 * high for norm in norms)


def test_other_prompts_may_lead_from_photo_to_photo(comfy: Comfy) -> None:
    """`path` alone is a path of photos; beside `image_path` it says which prompts are used."""
    path = chain(comfy, 0, 1)
    alone = film(comfy, path).result[0]
    prompts = path_of(comfy, *(comfy.encode(photo(k)[1]) for k in (0, 1)))
    assert torch.equal(film(comfy, prompts, image_path=path).result[0], alone)
    empty = path_of(comfy, comfy.encode(""), comfy.encode(""))
    assert not torch.equal(film(comfy, empty, image_path=path).result[0], alone)


def test_three_photos_in_a_loop(comfy: Comfy) -> None:
    """Every photo comes back (30 dB beside what the VAE keeps of it), and the way back closes.

    50 steps give 59 dB; 12 are enough to tell a photo from its neighbours.
    """
    path = chain(comfy, 0, 1, 2, steps=12)
    images, _, times, steps, _ = film(comfy, path, frames=12, steps=12, ending="loop").result
    for number in range(3):
        frame = images[min(range(12), key=lambda k: abs(times.values[k] - number / 3))]
        kept = comfy.vae.decode(comfy.vae.encode(photo(number)[0]))[0]
        assert -10 * math.log10(float((frame - kept).square().mean())) > 30
    assert steps.closing < 3 * sorted(steps.distances)[len(steps.distances) // 2]


@pytest.mark.parametrize("ending", ["stop", "ping-pong", "loop"])
def test_photos_themselves_can_be_pasted_in(comfy: Comfy, ending: str) -> None:
    """They stand where they are bit for bit, in every ending; latents stay, and the steps are those
    of the images that are shown.
    """
    path = chain(comfy, 0, 1, 2)
    options = {"frames": 13, "ending": ending, "distance": "alex"}
    plain = film(comfy, path, **options).result
    pasted = film(comfy, path, **options, photo_frames="pasted in").result
    images, latents, times, steps, _ = pasted
    knots = [0, 1 / 3, 2 / 3] if ending == "loop" else [0, 0.5, 1]
    for number, knot in enumerate(knots):
        places = [k for k, t in enumerate(times.values) if abs(t - knot) < 1e-9]
        assert len(places) == 1 + (ending == "ping-pong" and number < 2)
        for place in places:
            assert torch.equal(images[place], photo(number)[0][0])
            assert not torch.equal(plain[0][place], images[place])
    assert torch.equal(latents["samples"], plain[1]["samples"])
    measured = comfy.metrics.GeodesicPathLength.execute([images], ["alex"], [16], [False])[3]
    assert steps.distances == pytest.approx(measured.distances, rel=1e-3, abs=1e-6)


def test_a_photo_is_pasted_in_as_the_vae_cuts_it(comfy: Comfy) -> None:
    """70 x 66 pixels are 64 x 64 from the middle, for ComfyUI's VAE and for the pasted photo."""
    wide = torch.zeros(1, 66, 70, 3)
    wide[:, 1:65, 3:67] = photo(0)[0]
    path = keyframe(comfy, 1, image=wide, previous=keyframe(comfy, 0, image=wide))
    images = film(comfy, path, photo_frames="pasted in").result[0]
    assert torch.equal(images[0], photo(0)[0][0])


def test_a_path_has_twenty_photos(comfy: Comfy) -> None:
    path = chain(comfy, 0, 1, steps=1)
    full = dataclasses.replace(path, photos=path.photos * 10)
    with pytest.raises(ValueError, match=r"previous: expected fewer than 20 photos .*, got 20"):
        keyframe(comfy, 2, previous=full, steps=1)


def test_two_photos_lead_into_a_density_path(comfy: Comfy) -> None:
    """Their prompts and noises give the path that Invert Image and Prompt Keyframe give."""
    first, a = keyframe_and_noise(comfy, 0)
    path, b = keyframe_and_noise(comfy, 1, previous=first)
    for number, latent in enumerate((a, b)):
        image, caption = photo(number)
        encoded = {"samples": comfy.vae.encode(image)}
        invert = comfy.noise.GeodesicInvert.execute
        same = invert(comfy.model, comfy.encode(caption), encoded, STEPS, LEVEL, 1)[0]
        assert torch.equal(latent["samples"], same["samples"])
        assert latent["geodesic_sigma"] == same["geodesic_sigma"]
    search = {"levels": 1, "iterations": 1, "frames": 3, "score": TRUE}
    prompts = path_of(comfy, *(comfy.encode(photo(k)[1]) for k in (0, 1)))
    by_hand, by_photos = (
        found(comfy, comfy.model, a, b, path=one, **search) for one in (prompts, path)
    )
    for left, right in zip(by_hand[1], by_photos[1], strict=True):
        assert torch.equal(left["samples"], right["samples"])
    for left, right in zip(by_hand[0], by_photos[0], strict=True):
        assert torch.equal(left[0][0], right[0][0])
    three = keyframe(comfy, 0, previous=path)
    with pytest.raises(ValueError, match="path: expected two photos, got 3"):
        found(comfy, comfy.model, a, b, path=three, **search)


def test_the_photos_so_far_are_shown(comfy: Comfy) -> None:
    """In order, small, in their proportions; small ones as they are."""
    from geodesic_morph.nodes.noise.image_keyframe import SHOWN, thumbnails

    wide = torch.rand(3, 300, 600, 3)
    assert thumbnails(list(wide)).shape == (3, SHOWN // 2, SHOWN, 3)
    path = chain(comfy, 0, 1)
    for shown, number in zip(thumbnails(path.photos), (0, 1), strict=True):
        torch.testing.assert_close(shown, photo(number)[0][0])


def test_mistakes_at_a_photo_are_named(comfy: Comfy) -> None:
    """Before the photo is inverted, each with what to do."""
    path = keyframe(comfy, 0)
    image, caption = photo(1)
    two = [[torch.cat([rows, rows]), {}] for rows, _ in comfy.encode(caption)]
    other = dataclasses.replace(path.made_by, digest="other")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"image": image.repeat(3, 1, 1, 1)}, "image: expected one photo, got a batch of 3"),
        ({"image": torch.cat([image, image[..., :1]], -1)}, "image: expected 3 channels .*, got 4"),
        ({"image": image[:, :48]}, "the photos before it, 64x64 pixels, got 64x48. Scale or crop"),
        ({"prompt": two}, "prompt: expected one prompt"),
        ({"prompt": []}, "prompt: "),
        ({"weight": 0.0}, "weight: expected a positive number"),
        ({"noise_level": 0.8}, r"noise_level: .* the photos before it, 0\.6 .*, got 0\.8"),
        ({"previous": dataclasses.replace(path, made_by=other)}, "previous: .* another"),
        ({"model": known(comfy, "flow"), "noise_level": 1.0}, "noise_level: at noise_level 1 a fl"),
    ]
    for changes, message in wrong:
        with pytest.raises(ValueError, match=message):
            keyframe(comfy, 1, **{"previous": path} | changes)


def test_mistakes_at_the_sampler_are_named(comfy: Comfy) -> None:
    """Each with what to do."""
    path = chain(comfy, 0, 1)
    noises = comfy.noise.GeodesicNoiseKeyframe.execute(1, 1.0)[0]
    masked = comfy.latent() | {"noise_mask": torch.ones(1, 1, 64, 64)}
    other = dataclasses.replace(path.made_by, digest="other")
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (keyframe(comfy, 0), {}, "image_path: expected at least two photos, got one"),
        (dataclasses.replace(path, made_by=other), {}, "image_path: .* inverted with another"),
        (path, {"noise_path": noises}, "image_path: expected either image_path or noise_path"),
        (path, {"latent": comfy.latent(128)}, "latent: expected the size of the image path's"),
        (path, {"latent": masked}, "latent: expected no mask with the image path"),
        (path, {"denoise": 1.0}, r"denoise: .* of the image path, 0\.6 .* Set denoise to 0\.6"),
        (chain(comfy, 0, 1, 2), {"frames": 2}, "frames: expected at least one for each of the 3"),
        (path.prompts, {"photo_frames": "pasted in"}, "photo_frames: expected photos for 'pasted"),
    ]
    for photos, changes, message in wrong:
        with pytest.raises(ValueError, match=message):
            film(comfy, photos, **changes)


def test_a_flow_model_has_photos_too(comfy: Comfy) -> None:
    """Below noise_level 1, on a known model: each keyframe is its photo's latent again."""
    model = known(comfy, "flow")
    path = chain(comfy, 0, 1, model=model, steps=40)
    latents = film(comfy, path, model=model, steps=40, frames=4).result[1]["samples"]
    for number, place in ((0, 0), (1, -1)):
        encoded = comfy.vae.encode(photo(number)[0])[0]
        assert float((latents[place] - encoded).norm()) < 0.02 * float(encoded.norm())
