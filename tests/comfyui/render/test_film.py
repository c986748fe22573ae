"""Morph Sampler's film: where its frames are, what they share, how far they are apart."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ..conftest import PROMPT_A, PROMPT_B, Comfy
from .morphs import STEPS, morph, native, path_of, sampler_of


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
    pace = comfy.times.GeodesicTimes.execute(8, "ease in", "stop", "")[0]
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
