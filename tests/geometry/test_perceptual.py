"""LPIPS of a path is the `lpips` package's own, however the frames are batched."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from geodesic_morph.geometry.perceptual import (
    BACKBONES,
    MIN_SIZE,
    Features,
    PerceptualMetric,
    Steps,
    check_frames,
    lpips_network,
    measure,
)
from tests.geometry.strategies import global_random_state


@dataclass(frozen=True, eq=False)
class Backbone:
    """The package's network on random weights, those weights, and our network on them."""

    name: str
    package: torch.nn.Module
    weights: dict[str, Tensor]
    network: torch.nn.Module


def package_network(name: str, seed: int) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        return lpips.LPIPS(net=name, pnet_rand=True, verbose=False).eval().requires_grad_(False)


def torchvision_names(network: torch.nn.Module) -> dict[str, Tensor]:
    """`slice2.3.weight` of the package is `features.3.weight` of torchvision."""
    state = network.get_submodule("net").state_dict()
    return {"features." + key.split(".", 1)[1]: value.clone() for key, value in state.items()}


@pytest.fixture(scope="module", params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    package = package_network(request.param, seed=1)
    weights = torchvision_names(package)
    return Backbone(request.param, package, weights, lpips_network(request.param, weights))


@pytest.fixture(scope="module")
def small() -> Backbone:
    """The smallest network, for laws that do not depend on which it is."""
    package = package_network("squeeze", seed=2)
    weights = torchvision_names(package)
    return Backbone("squeeze", package, weights, lpips_network("squeeze", weights))


def frames(count: int, size: int = 64, seed: int = 0, width: int | None = None) -> Tensor:
    """Images [F, H, W, 3] in [0, 1]: noise that fades into other noise, in uneven steps."""
    generator = torch.Generator("cpu").manual_seed(seed)
    a, b = torch.rand(2, size, width or size, 3, generator=generator)
    u = torch.linspace(0, 1, count)[:, None, None, None] ** 2
    return (1 - u) * a + u * b


def by_the_package(network: torch.nn.Module, a: Tensor, b: Tensor, **options: bool) -> float:
    """One pair through the package's own forward."""
    pair = (image.movedim(-1, 0)[None] for image in (a, b))
    return float(network(*pair, **{"normalize": True, **options}))


# Agreement with the package


@pytest.mark.parametrize(("size", "width"), [(64, None), (32, None), (32, 48), (67, 50)])
def test_every_step_is_the_packages_lpips(backbone: Backbone, size: int, width: int | None) -> None:
    """Each distance, the closing one too, is what the package says of that pair alone."""
    images = frames(4, size, width=width)
    steps = measure([images], backbone.network, "metric")
    expected = [by_the_package(backbone.package, a, b) for a, b in pairwise(images)]
    assert min(expected) > 0
    assert steps.distances == pytest.approx(expected, rel=1e-5, abs=1e-9)
    closing = by_the_package(backbone.package, images[-1], images[0])
    assert steps.closing == pytest.approx(closing, rel=1e-5, abs=1e-9)
    assert steps.metric == "metric"


def test_images_are_scaled_to_minus_one_to_one(backbone: Backbone) -> None:
    """The network sees [−1, 1]; feeding it [0, 1] would give other distances."""
    images = frames(2)
    measured = measure([images], backbone.network, "").distances[0]
    scaled = by_the_package(backbone.package, *(2 * images - 1), normalize=False)
    unscaled = by_the_package(backbone.package, *images, normalize=False)
    assert measured == pytest.approx(scaled, rel=1e-5)
    assert abs(unscaled - scaled) > 1e-2 * scaled


@pytest.mark.parametrize("size", [MIN_SIZE, 64])
def test_the_smallest_images_have_a_distance(backbone: Backbone, size: int) -> None:
    """Every backbone measures 32×32: positive for different images, never NaN."""
    steps = measure([frames(3, size)], backbone.network, "")
    assert all(np.isfinite(d) and d > 0 for d in (*steps.distances, steps.closing))


# Batches


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_the_batch_size_does_not_matter(backbone: Backbone, size: int) -> None:
    """Frames measured one, two, three at a time or all at once have the same distances."""
    images = frames(7, 32)
    expected = measure([images], backbone.network, "", frames_per_batch=7)
    steps = measure([images], backbone.network, "", frames_per_batch=size)
    assert len(steps.distances) == 6
    assert steps.distances == pytest.approx(expected.distances, rel=1e-5)
    assert steps.closing == pytest.approx(expected.closing, rel=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.integers(1, 8))
def test_batches_are_one_path(small: Backbone, sizes: list[int], per_batch: int) -> None:
    """A list of batches of any sizes is measured as the one batch they form, in order."""
    images = frames(sum(sizes) + 2, 32)
    parts = list(images.split([*sizes, 2]))
    whole = measure([images], small.network, "")
    steps = measure(parts, small.network, "", frames_per_batch=per_batch)
    assert steps.distances == pytest.approx(whole.distances, rel=1e-5, abs=1e-8)
    assert steps.closing == pytest.approx(whole.closing, rel=1e-5)


def test_turning_the_path_round_turns_the_steps_round(small: Backbone) -> None:
    """LPIPS is symmetric: a path backwards has its distances backwards and the same closing."""
    images = frames(5)
    there, back = (measure([one], small.network, "") for one in (images, images.flip(0)))
    assert back.distances == pytest.approx(there.distances[::-1], rel=1e-5)
    assert back.closing == pytest.approx(there.closing, rel=1e-5)


def test_images_are_left_as_they_were(small: Backbone) -> None:
    """Measuring writes into none of its images."""
    images = frames(4)
    before = images.clone()
    measure([images], small.network, "", frames_per_batch=4)
    assert torch.equal(images, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_images_of_any_precision_are_measured_in_float32(small: Backbone, dtype: torch.dtype):
    """Half and double precision give the distances of the same numbers in float32."""
    images = frames(3).to(dtype)
    expected = measure([images.float()], small.network, "").distances
    assert measure([images], small.network, "").distances == expected


def test_check_frames_counts_the_frames() -> None:
    """The number of frames is the sum over all batches."""
    assert check_frames([frames(3), frames(1), frames(2)]) == 6


# Pairs in any order


def test_pairs_in_any_order_have_the_packages_distance(backbone: Backbone) -> None:
    """Features computed once, in two calls, give the LPIPS of every pair that is asked for."""
    images = frames(5)
    metric = PerceptualMetric(backbone.network, "metric")
    seen = Features.join([metric.features(images[:2]), metric.features(images[2:])])
    assert len(seen) == 5
    a, b = [0, 4, 2, 1, 3], [3, 0, 1, 1, 3]
    expected = [
        by_the_package(backbone.package, images[i], images[k]) for i, k in zip(a, b, strict=True)
    ]
    assert metric.distances(seen[a], seen[b]) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_steps_are_the_distances_of_neighbours_bit_for_bit(small: Backbone) -> None:
    """`measure` gives the metric of consecutive frames."""
    images = frames(6)
    metric = PerceptualMetric(small.network, "metric")
    seen = metric.features(images)
    steps = measure([images], small.network, "metric", frames_per_batch=6)
    assert list(steps.distances) == metric.distances(seen[:-1], seen[1:])
    assert [steps.closing] == metric.distances(seen[[-1]], seen[[0]])


def test_equal_images_are_at_distance_zero_in_any_batches(small: Backbone) -> None:
    """Exactly 0, also where features differ by rounding because their batches had other sizes."""
    images = frames(4)
    metric = PerceptualMetric(small.network, "metric")
    alone = Features.join([metric.features(image[None]) for image in images])
    assert metric.distances(metric.features(images), alone) == [0.0] * 4


def test_a_frame_picked_by_its_number_does_not_hold_the_others(small: Backbone) -> None:
    """A list of indices copies: the memory of the other frames can be freed."""
    seen = PerceptualMetric(small.network, "").features(frames(4))
    one = seen[[2]]
    pairs = zip((seen.images, *seen.layers), (one.images, *one.layers), strict=True)
    for whole, picked in pairs:
        assert torch.equal(picked, whole[2:3])
        assert picked.untyped_storage().nbytes() == whole.untyped_storage().nbytes() // 4


def test_distances_of_unequally_many_images_are_refused(small: Backbone) -> None:
    """Pairs are image by image: nothing is repeated to fit."""
    metric = PerceptualMetric(small.network, "")
    seen = metric.features(frames(3))
    with pytest.raises(ValueError, match=r"^b: expected 1 images, as many as in a, got 3"):
        metric.distances(seen[:1], seen)


# Progress


def test_progress_rises_to_the_number_of_frames(small: Backbone) -> None:
    """`progress` gets the number of finished frames after every batch, and all at the end."""
    heard: list[tuple[int, int]] = []
    measure(
        [frames(3, 32), frames(4, 32)],
        small.network,
        "",
        frames_per_batch=2,
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_what_progress_raises_comes_through(small: Backbone) -> None:
    """Cancelling from `progress` stops the measurement at once."""
    heard: list[int] = []

    def cancel(done: int, total: int) -> None:
        heard.append(done)
        raise InterruptedError(f"cancelled at {done} of {total}")

    with pytest.raises(InterruptedError, match="cancelled at 2 of 6"):
        measure([frames(6, 32)], small.network, "", frames_per_batch=2, progress=cancel)
    assert heard == [2]


# Networks


def test_a_network_is_frozen_float32_on_given_weights(backbone: Backbone) -> None:
    """The network holds exactly the given weights, in float32, without gradients, in eval mode."""
    held = torchvision_names(backbone.network)
    assert held.keys() == backbone.weights.keys()
    assert all(torch.equal(held[key], value) for key, value in backbone.weights.items())
    assert {p.dtype for p in backbone.network.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in backbone.network.parameters())
    assert not backbone.network.training


def test_half_precision_weights_and_classifiers_are_accepted(small: Backbone) -> None:
    """A file in half precision, with a classifier's weights beside, is the same network."""
    file = {key: value.half() for key, value in small.weights.items()}
    network = lpips_network("squeeze", {**file, "classifier.1.weight": torch.ones(2, 2)})
    expected = lpips_network("squeeze", {key: value.float() for key, value in file.items()})
    images = frames(3, 32)
    assert measure([images], network, "") == measure([images], expected, "")


def test_making_a_network_draws_no_random_numbers(backbone: Backbone) -> None:
    """No weight is drawn, which takes seconds for vgg, and no global random state changes."""

    class Drawn(TorchFunctionMode):
        """Counts the random values that are written into tensors."""

        values = 0

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if getattr(func, "__name__", "") in ("normal_", "uniform_", "trunc_normal_"):
                tensor = args[0] if args else kwargs["tensor"]
                self.values += 0 if tensor.is_meta else tensor.numel()
            return func(*args, **(kwargs or {}))

    before = global_random_state()
    with Drawn() as drawn:
        lpips_network(backbone.name, backbone.weights)
    assert drawn.values == 0
    assert global_random_state() == before


def test_a_network_holds_copies(small: Backbone) -> None:
    """Weights that change afterwards, as a file mapped into memory may, change no distance."""
    weights = {key: value.clone() for key, value in small.weights.items()}
    network = lpips_network("squeeze", weights)
    expected = measure([frames(3)], network, "")
    for value in weights.values():
        value.zero_()
    assert measure([frames(3)], network, "") == expected


def test_making_a_network_warns_of_nothing(small: Backbone, recwarn: pytest.WarningsRecorder):
    """A user sees no warning about torchvision's old arguments."""
    lpips_network("squeeze", small.weights)
    assert [str(w.message) for w in recwarn.list] == []


def test_weights_of_another_network_are_refused(small: Backbone) -> None:
    """Weights of another architecture, incomplete or none are an error that names the layer."""
    cut = {key: value for key, value in small.weights.items() if key != "features.0.bias"}
    reshaped = {**small.weights, "features.0.weight": torch.ones(64, 3, 5, 5)}
    notes = {**small.weights, "features.0.weight": "a text"}
    for backbone, weights in (
        ("alex", small.weights),
        ("squeeze", cut),
        ("squeeze", reshaped),
        ("squeeze", notes),
        ("squeeze", {}),
    ):
        match = f"^backbone: the weights do not belong to torchvision's network for '{backbone}'"
        with pytest.raises(ValueError, match=match):
            lpips_network(backbone, weights)


# Statistics


def gini(d: Sequence[float]) -> float:
    """The Gini coefficient by its rank formula: Σ (2i − n − 1) d_(i) / (n Σ d)."""
    n, total = len(d), sum(d)
    return sum((2 * i - n - 1) * x for i, x in enumerate(sorted(d), 1)) / (n * total)


DISTANCES = st.lists(st.floats(1e-4, 10), min_size=1, max_size=30)


@given(DISTANCES, st.floats(0, 10))
def test_statistics_are_those_of_the_steps_without_the_closing_one(
    d: list[float], closing: float
) -> None:
    """Mean, sum, population variance, maximum and 1 − Gini, by independent formulas."""
    steps = Steps(tuple(d), closing, "")
    mean = sum(d) / len(d)
    assert steps.mean == pytest.approx(mean)
    assert steps.total == pytest.approx(sum(d))
    variance = sum((x - mean) ** 2 for x in d) / len(d)
    assert steps.variance == pytest.approx(variance, rel=1e-9, abs=1e-12)
    assert steps.largest == max(d)
    assert steps.smoothness == pytest.approx(1 - gini(d), abs=1e-9)


@given(st.integers(1, 30), st.floats(1e-6, 1e3))
def test_equal_steps_are_perfectly_smooth(count: int, distance: float) -> None:
    """Constant perceptual speed is smoothness 1 and variance 0."""
    steps = Steps((distance,) * count, 0.0, "")
    assert steps.smoothness == pytest.approx(1.0)
    assert steps.variance == pytest.approx(0.0, abs=1e-9)


@given(st.integers(1, 30), st.integers(0, 29))
def test_a_single_jump_is_as_rough_as_can_be(count: int, at: int) -> None:
    """If one of n steps is the whole way, the smoothness is 1/n."""
    d = [0.0] * count
    d[at % count] = 2.0
    assert Steps(tuple(d), 0.0, "").smoothness == pytest.approx(1 / count)


def assert_still(steps: Steps) -> None:
    assert set(steps.distances) == {0.0}
    numbers = steps.mean, steps.total, steps.variance, steps.largest, steps.smoothness
    assert numbers == (0.0, 0.0, 0.0, 0.0, 1.0)


def test_equal_images_are_at_distance_0(backbone: Backbone) -> None:
    """A path that stands still has length 0, variance 0 and smoothness 1, all finite."""
    steps = measure([frames(1).expand(4, -1, -1, -1)], backbone.network, "")
    assert steps.closing == 0.0
    assert_still(steps)


def test_equal_images_are_at_distance_0_across_batches(backbone: Backbone) -> None:
    """Rounding that differs between batches of 3 and of 1 is no step of the path."""
    images = frames(1).expand(4, -1, -1, -1)
    assert_still(measure([images], backbone.network, "", frames_per_batch=3))
