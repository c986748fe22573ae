"""Noise nodes inside a real ComfyUI: the noise that SamplerCustomAdvanced gets, and its images."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from .conftest import PROMPT_A, PROMPT_B, Comfy

METHODS = ("COG", "SLERP", "LERP", "NAO")
CENTROIDS = ("COG", "Euclidean", "standardised", "mode norm", "NAO")
SEEDS = (5, 6, 7)


def chain(comfy: Comfy, *seeds: int, latents: dict[int, Any] | None = None, **settings: Any) -> Any:
    """A noise path through seeds; `latents` replaces some of them by inverted images."""
    path = None
    for k, seed in enumerate(seeds):
        arguments = {"weight": 1.0, "latent": (latents or {}).get(k)} | settings
        path = comfy.noise.GeodesicNoiseKeyframe.execute(seed, **arguments, previous=path)[0]
    return path


def times(comfy: Comfy, frames: int, ending: str = "stop") -> Any:
    return comfy.times.GeodesicTimes.execute(frames, "linear", ending, "[[0,0],[1,1]]")[0]


def along(comfy: Comfy, path: Any, frames: int, method: str = "COG", ending: str = "stop") -> Any:
    return comfy.noise.GeodesicNoiseAlong.execute(path, times(comfy, frames, ending), method)[0]


def native(comfy: Comfy, seed: int, latent: Any) -> Tensor:
    """The noise of ComfyUI's own RandomNoise."""
    return custom(comfy).RandomNoise.execute(seed)[0].generate_noise(latent)


def custom(comfy: Comfy) -> Any:
    from comfy_extras import nodes_custom_sampler

    assert comfy
    return nodes_custom_sampler


def empty(count: int, *shape: int) -> dict[str, Any]:
    return {"samples": torch.zeros(count, *(shape or (4, 8, 8)))}


def at_level(noise: Tensor, level: float = 1.0) -> dict[str, Any]:
    """A latent as Invert Image leaves it; σ as in SD1.5."""
    return {"samples": noise, "geodesic_noise_level": level, "geodesic_sigma": 14.6 * level}


def sample(comfy: Comfy, noise: Any, positive: Any, latent: Any, steps: int = 4) -> Tensor:
    """SamplerCustomAdvanced with guidance, as in the example workflows: latents."""
    c = custom(comfy)
    guider = c.CFGGuider.execute(comfy.model, positive, comfy.encode(""), 4.0)[0]
    sigmas = c.BasicScheduler.execute(comfy.model, "karras", steps, 1.0)[0]
    sampler = c.KSamplerSelect.execute("dpmpp_2m")[0]
    return c.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent)[0]["samples"]


def refused(attempt: Any, *parts: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + ".*".join(parts)):
        attempt()


@pytest.mark.parametrize("method", METHODS)
def test_keyframes_are_the_native_noises(comfy: Comfy, method: str) -> None:
    """Whatever the method, frames that stand on a keyframe are RandomNoise's, bit for bit."""
    made = along(comfy, chain(comfy, *SEEDS), 5, method).generate_noise(empty(5))
    for place, seed in zip((0, 2, 4), SEEDS, strict=True):
        assert torch.equal(made[place], native(comfy, seed, empty(1))[0])


def test_noise_is_the_same_on_every_machine(comfy: Comfy) -> None:
    """Drawn on the CPU: golden numbers of seeds 42 and 43, and of their middle."""
    made = along(comfy, chain(comfy, 42, 43), 3).generate_noise(empty(3))
    drawn = [1.9269153, 1.4872841, 0.9007172, -2.1055210]
    assert made[0, 0, 0, :4].tolist() == pytest.approx(drawn, abs=1e-5)
    middle = [1.3507944, 0.7215948, 2.1153913, -1.0540263]
    assert made[1, 0, 0, :4].tolist() == pytest.approx(middle, abs=1e-5)
    assert float(made[1].double().norm()) == pytest.approx(14.776658, abs=1e-4)


@pytest.mark.parametrize("shape", [(4, 64, 64), (16, 32, 32), (16, 3, 16, 16), (128, 16, 16)])
def test_any_latent_has_its_path(comfy: Comfy, shape: tuple[int, ...]) -> None:
    """Four or more channels, and five-dimensional video latents: exact ends, normal between."""
    made = along(comfy, chain(comfy, *SEEDS), 9).generate_noise(empty(9, *shape))
    assert made.shape == (9, *shape)
    assert made.device.type == "cpu"
    assert torch.equal(made[-1:], native(comfy, SEEDS[-1], empty(1, *shape)))
    for frame in made:
        assert kstest(frame.flatten().numpy(), "norm").pvalue >= 1e-5
        assert float(frame.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * frame.numel()))


def test_cog_is_its_closed_form_from_seed_to_seed(comfy: Comfy) -> None:
    """((1−t) x + t y) / √((1−t)² + t²) of the two native noises."""
    x, y = (native(comfy, seed, empty(1))[0] for seed in (1, 2))
    made = along(comfy, chain(comfy, 1, 2), 5).generate_noise(empty(5))
    for t, frame in zip((0, 0.25, 0.5, 0.75, 1), made, strict=True):
        expected = ((1 - t) * x + t * y) / math.sqrt((1 - t) ** 2 + t**2)
        torch.testing.assert_close(frame, expected, rtol=1e-6, atol=1e-6)


def test_a_loop_comes_back(comfy: Comfy) -> None:
    """Keyframes stand at thirds, and the last frame is on the way to the first."""
    made = along(comfy, chain(comfy, *SEEDS), 6, ending="loop").generate_noise(empty(6))
    first, last = (native(comfy, seed, empty(1))[0] for seed in (SEEDS[0], SEEDS[2]))
    assert torch.equal(made[4], last)
    torch.testing.assert_close(made[5], (last + first) / math.sqrt(2))


def test_weights_are_lengths_of_legs(comfy: Comfy) -> None:
    """A second leg three times as long takes three quarters of the time."""
    path = chain(comfy, 5, 6)
    path = comfy.noise.GeodesicNoiseKeyframe.execute(7, 3.0, None, path)[0]
    made = along(comfy, path, 5).generate_noise(empty(5))
    assert torch.equal(made[1], native(comfy, 6, empty(1))[0])


def test_the_first_weight_is_the_length_of_the_way_back(comfy: Comfy) -> None:
    """In a loop: of four frames the second is the last keyframe, after a quarter of the time."""
    path = comfy.noise.GeodesicNoiseKeyframe.execute(5, 3.0)[0]
    path = comfy.noise.GeodesicNoiseKeyframe.execute(6, 1.0, None, path)[0]
    made = along(comfy, path, 4, ending="loop").generate_noise(empty(4))
    assert torch.equal(made[1], native(comfy, 6, empty(1))[0])


@pytest.mark.parametrize("method", METHODS)
def test_batches_make_the_same_noise(comfy: Comfy, method: str) -> None:
    """All frames at once or in parts of Rebatch Latents: equal bit for bit."""
    from comfy_extras.nodes_rebatch import LatentRebatch

    noise = along(comfy, chain(comfy, *SEEDS), 7, method)
    whole = noise.generate_noise(empty(7))
    parts = LatentRebatch.execute([empty(7)], [3])[0]
    assert [len(part["samples"]) for part in parts] == [3, 3, 1]
    assert torch.equal(torch.cat([noise.generate_noise(part) for part in parts]), whole)
    picked = comfy.nodes.LatentFromBatch().frombatch(empty(7), 4, 2)[0]
    assert torch.equal(noise.generate_noise(picked), whole[4:6])


@pytest.mark.parametrize("per_batch", [0, 1, 3])
def test_prompt_and_noise_travel_together(comfy: Comfy, per_batch: int) -> None:
    """Morph Schedule's latents get the noise of their own frames, in batches of any size."""
    clouds = [
        comfy.prompt.GeodesicPointCloud.execute(comfy.encode(p))[0] for p in (PROMPT_A, PROMPT_B)
    ]
    coupled = comfy.prompt.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]
    when = times(comfy, 5)
    scheduled = comfy.schedule.GeodesicSchedule.execute(coupled, when, comfy.latent(), per_batch)
    noise = comfy.noise.GeodesicNoiseAlong.execute(chain(comfy, *SEEDS), when, "COG")[0]
    whole = noise.generate_noise(empty(5))
    made = [noise.generate_noise(latents) for latents in scheduled[1]]
    assert torch.equal(torch.cat(made), whole)
    pairs = zip(scheduled[0], scheduled[1], strict=True)
    frames = torch.cat([sample(comfy, noise, positive, latent) for positive, latent in pairs])
    for place, seed, prompt in ((0, SEEDS[0], PROMPT_A), (-1, SEEDS[-1], PROMPT_B)):
        random = custom(comfy).RandomNoise.execute(seed)[0]
        alone = sample(comfy, random, comfy.encode(prompt), comfy.latent())
        torch.testing.assert_close(frames[place], alone[0], rtol=1e-3, atol=1e-3)


def test_the_native_sampler_draws_the_same_ends(comfy: Comfy) -> None:
    """A fixed prompt from seed to seed: rendered one by one, the ends are the native renders."""
    noise, prompt = along(comfy, chain(comfy, 5, 6), 3), comfy.encode(PROMPT_A)
    for place, seed in ((0, 5), (2, 6)):
        one = {"samples": torch.zeros(1, 4, 8, 8), "batch_index": [place]}
        random = custom(comfy).RandomNoise.execute(seed)[0]
        expected = sample(comfy, random, prompt, comfy.latent())
        assert torch.equal(sample(comfy, noise, prompt, one), expected)
    assert noise.seed == 5


@pytest.mark.parametrize("method", CENTROIDS)
def test_a_weight_of_one_is_that_noise(comfy: Comfy, method: str) -> None:
    """With one weight of 1 every method gives the keyframe itself, in a batch too."""
    path = chain(comfy, *SEEDS)
    noise = comfy.noise.GeodesicNoiseCentroid.execute(path, "0, 2, 0", method)[0]
    assert torch.equal(noise.generate_noise(empty(1)), native(comfy, SEEDS[1], empty(1)))
    latent = empty(3) | {"batch_index": [4, 0, 4]}
    assert torch.equal(noise.generate_noise(latent), native(comfy, SEEDS[1], latent))


def test_centroids_are_what_they_say(comfy: Comfy) -> None:
    """Euclidean: the mean. COG: √K times it. Standardised: variance 1. Mode norm: √(D−2)."""
    path, latent = chain(comfy, *SEEDS), empty(1, 4, 32, 32)
    made = {
        method: comfy.noise.GeodesicNoiseCentroid.execute(path, "", method)[0].generate_noise(
            latent
        )
        for method in CENTROIDS[:-1]
    }
    mean = torch.cat([native(comfy, seed, latent) for seed in SEEDS]).mean(0, keepdim=True)
    torch.testing.assert_close(made["Euclidean"], mean)
    torch.testing.assert_close(made["COG"], mean * math.sqrt(3))
    assert float(made["standardised"].std()) == pytest.approx(1, abs=1e-3)
    assert float(made["mode norm"].norm()) == pytest.approx(math.sqrt(4 * 32 * 32 - 2))
    assert kstest(made["COG"].flatten().numpy(), "norm").pvalue >= 1e-5
    assert kstest(made["Euclidean"].flatten().numpy(), "norm").pvalue < 1e-5


def test_nao_centroid_is_worked_out_once(comfy: Comfy) -> None:
    """Two requests of one size give one result, from memory."""
    noise = comfy.noise.GeodesicNoiseCentroid.execute(chain(comfy, 1, 2), "", "NAO")[0]
    first = noise.generate_noise(empty(1))
    (found,) = noise.memory.values()
    kept = found[0]
    assert torch.equal(noise.generate_noise(empty(1)), first)
    assert found[0] is kept
    assert 0.7 < float(first.norm()) / 16 < 1.3


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 65, 65), (4, 75, 75)])
def test_a_batch_is_drawn_as_random_noise_draws_it(
    comfy: Comfy, shape: tuple[int, int, int]
) -> None:
    """Image n of a batch mixes draw n of every seed, also where sizes are no multiple of 16."""
    path = chain(comfy, *SEEDS)
    one = comfy.noise.GeodesicNoiseCentroid.execute(path, "0, 1, 0", "COG")[0]
    assert torch.equal(one.generate_noise(empty(3, *shape)), native(comfy, 6, empty(3, *shape)))
    all_equal = comfy.noise.GeodesicNoiseCentroid.execute(path, "", "COG")[0]
    mean = torch.stack([native(comfy, seed, empty(3, *shape)) for seed in SEEDS]).mean(0)
    torch.testing.assert_close(all_equal.generate_noise(empty(3, *shape)), mean * math.sqrt(3))


@pytest.mark.parametrize("method", METHODS)
def test_any_seed_and_half_precision_will_do(comfy: Comfy, method: str) -> None:
    """The largest seed, and latents of 16 bits: ends are RandomNoise's."""
    largest = 2**64 - 1
    latent = {"samples": torch.zeros(3, 4, 8, 8, dtype=torch.float16)}
    made = along(comfy, chain(comfy, largest, 1), 3, method).generate_noise(latent)
    assert made.dtype == torch.float16
    one = {"samples": latent["samples"][:1]}
    assert torch.equal(made[:1], native(comfy, largest, one))
    assert torch.equal(made[2:], native(comfy, 1, one))
    assert bool(torch.isfinite(made).all())


def test_a_grid_has_the_first_seed_in_its_middle(comfy: Comfy) -> None:
    """Rows × columns noises, every one normal, the middle one RandomNoise's."""
    path = chain(comfy, 1, 2, 3, 4, 5)
    noise, count = comfy.noise.GeodesicNoiseGrid.execute(path, 3, 5, 1, 2, 1.0).result
    assert count == 15
    made = noise.generate_noise(empty(15, 4, 32, 32))
    middle = native(comfy, 1, empty(1, 4, 32, 32))[0]
    assert torch.equal(made[7], middle)
    for frame in made:
        assert kstest(frame.flatten().numpy(), "norm").pvalue >= 1e-5


class TestInvertedKeyframes:
    """Noises that were not drawn from a seed."""

    def test_they_are_the_ends(self, comfy: Comfy) -> None:
        """Bit for bit, also of another type or on another side of the path."""
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) * 0.95
        path = chain(comfy, 0, 1, latents={1: at_level(noise)})
        turned = chain(comfy, 0, 1, latents={0: at_level(noise.half())})
        for method in METHODS:
            made = along(comfy, path, 3, method).generate_noise(empty(3))
            assert torch.equal(made[2:], noise)
            assert torch.equal(made[:1], native(comfy, 0, empty(1)))
            back = along(comfy, turned, 3, method).generate_noise(empty(3))
            assert torch.equal(back[:1], noise.half().float())
            assert torch.equal(back[2:], native(comfy, 1, empty(1)))

    def test_correlated_ones_keep_their_norm(self, comfy: Comfy) -> None:
        """Two images with much in common: the middle has their norm, not √2 times it."""
        g = torch.Generator().manual_seed(4)
        shared, one, other = (torch.randn(1, 4, 32, 32, generator=g) for _ in range(3))
        ends = [0.9 * shared + math.sqrt(1 - 0.81) * own for own in (one, other)]
        path = chain(comfy, 0, 0, latents={k: at_level(end) for k, end in enumerate(ends)})
        made = along(comfy, path, 5).generate_noise(empty(5, 4, 32, 32))
        for frame in made:
            assert float(frame.std()) == pytest.approx(1, abs=0.03)

    def test_bad_ones_are_refused(self, comfy: Comfy) -> None:
        """Several at once, NaN, half-way inverted, a picture's own latent, an empty one."""
        execute = comfy.noise.GeodesicNoiseKeyframe.execute
        noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
        broken = noise.clone()
        broken[0, 0, 0, 0] = math.nan
        cases = [
            (at_level(noise.repeat(2, 1, 1, 1)), ("one inverted image", "batch of 2")),
            (at_level(broken), ("finite", "NaN")),
            (at_level(noise, 0.6), ("noise_level 1", "0.6")),
            (at_level(5 * noise), ("norm ratio near 1", "Invert Image")),
            (at_level(0 * noise), ("norm ratio near 1", "got 0.00")),
            # As SaveLatent and LoadLatent give back an image inverted to 0.6, and an empty latent.
            ({"samples": noise}, ("without a noise level", "Save Inversion")),
            (empty(1), ("without a noise level", "Invert Image")),
        ]
        for latent, parts in cases:
            refused(lambda latent=latent: execute(0, 1.0, latent), "latent: expected", *parts)

    def test_other_sizes_are_refused(self, comfy: Comfy) -> None:
        """Images of different sizes are refused, when they are chained and when sampled."""
        g = torch.Generator().manual_seed(6)
        small, large = (at_level(torch.randn(1, 4, n, n, generator=g)) for n in (8, 16))
        refused(
            lambda: chain(comfy, 0, 0, latents={0: small, 1: large}),
            "latent: expected the size of keyframe 1",
            "16, 16",
        )
        noise = along(comfy, chain(comfy, 0, 1, latents={1: small}), 2)
        refused(
            lambda: noise.generate_noise(empty(2, 4, 16, 16)),
            "noise_path, keyframe 2",
            "8, 8",
            "16, 16",
        )


class TestBadInput:
    """Everything that cannot be a noise path is an error."""

    def test_one_keyframe(self, comfy: Comfy) -> None:
        refused(lambda: along(comfy, chain(comfy, 1), 3), "noise_path: expected at least two")

    def test_weights_of_a_centroid(self, comfy: Comfy) -> None:
        execute, path = comfy.noise.GeodesicNoiseCentroid.execute, chain(comfy, *SEEDS)
        refused(lambda: execute(path, "0, 0, 0", "COG"), "weights: expected", "not all 0")
        refused(lambda: execute(path, "1, 1", "COG"), "weights: expected 3", "got 2")
        refused(lambda: execute(path, "1, nan, 1", "COG"), "weights: expected")
        refused(lambda: execute(path, "1, two, 1", "COG"), "weights: expected numbers")

    def test_weights_of_a_leg(self, comfy: Comfy) -> None:
        for weight in (0.0, -1.0, math.nan, math.inf):
            refused(
                lambda w=weight: comfy.noise.GeodesicNoiseKeyframe.execute(0, w), "weight: expected"
            )

    def test_more_axes_than_keyframes(self, comfy: Comfy) -> None:
        execute = comfy.noise.GeodesicNoiseGrid.execute
        refused(
            lambda: execute(chain(comfy, 1, 2), 3, 3, 1, 2, 1.0),
            "axis_y: expected an axis from 0 to 1",
        )
        path = chain(comfy, 1, 2, 1)
        noise = execute(path, 3, 3, 1, 2, 1.0)[0]
        refused(lambda: noise.generate_noise(empty(9)), "noise_path: expected keyframes that all")

    def test_an_unknown_method(self, comfy: Comfy) -> None:
        refused(lambda: along(comfy, chain(comfy, 1, 2), 3, "cubic"), "method: expected", "cubic")
        refused(
            lambda: comfy.noise.GeodesicNoiseCentroid.execute(chain(comfy, 1, 2), "", "mean"),
            "method: expected",
        )

    @pytest.mark.parametrize(
        "latent",
        [
            empty(4),
            empty(6),
            empty(1),
            empty(2) | {"batch_index": [0, 0]},
            empty(2) | {"batch_index": [4, 5]},
        ],
    )
    def test_latents_that_are_not_the_frames(self, comfy: Comfy, latent: Any) -> None:
        """Never tiled, never cut: too few, too many, one frame twice, frames beyond the end."""
        noise = along(comfy, chain(comfy, 1, 2), 5)
        refused(lambda: noise.generate_noise(latent), "one latent for each of the noise's 5 frames")

    def test_an_index_of_another_length(self, comfy: Comfy) -> None:
        """ComfyUI's `batch_index` of a batch that has since changed."""
        latent = empty(2) | {"batch_index": [0, 1, 2]}
        path = chain(comfy, 1, 2)
        mixed = comfy.noise.GeodesicNoiseCentroid.execute(path, "", "COG")[0]
        for noise in (along(comfy, path, 5), mixed):
            refused(lambda n=noise: n.generate_noise(latent), "one batch_index for each", "got 3")

    def test_a_schedule_of_other_times(self, comfy: Comfy) -> None:
        path = None
        for text in (PROMPT_A, PROMPT_B):
            arguments = (comfy.encode(text), 1.0, "optimal transport", 0, path)
            path = comfy.prompt.GeodesicKeyframe.execute(*arguments)[0]
        made = comfy.schedule.GeodesicSchedule.execute(path, times(comfy, 4), comfy.latent(), 0)
        noise = along(comfy, chain(comfy, 1, 2), 5)
        refused(lambda: noise.generate_noise(made[1][0]), "4 frames", "noise has 5", "same times")
        four = along(comfy, chain(comfy, 1, 2), 4)
        part = comfy.nodes.LatentFromBatch().frombatch(made[1][0], 1, 2)[0]
        refused(lambda: four.generate_noise(part), "got 2 of a batch of 4", "frames_per_batch")

    def test_nested_latents(self, comfy: Comfy) -> None:
        from comfy.nested_tensor import NestedTensor

        nested = {"samples": NestedTensor([torch.zeros(3, 4, 8, 8), torch.zeros(3, 8, 4)])}
        noise = along(comfy, chain(comfy, 1, 2), 3)
        refused(lambda: noise.generate_noise(nested), "latent_image", "nested")
