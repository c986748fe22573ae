"""Every mistake is an error that names the input, says what came, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from geodesic_morph.geometry.barycenter import barycenter
from geodesic_morph.geometry.cloud import PointCloud, clouds_from_conditioning
from geodesic_morph.geometry.coupling import METHODS, OPTIMAL, RANDOM, couple
from geodesic_morph.geometry.mixing_weights import parse_weights
from geodesic_morph.geometry.path import Keyframe, Path, blend, path_of_coupling, sample
from tests.geometry.strategies import cloud, normal, refused

NAN, INF = float("nan"), float("inf")

# Conditioning


def test_an_empty_conditioning_is_refused() -> None:
    """An empty conditioning is refused."""
    refused(lambda: clouds_from_conditioning([]), "conditioning: ", "an empty list", "Connect")


@pytest.mark.parametrize("entry", [[torch.ones(1, 2, 3)], ["text", {}], [torch.ones(1, 2, 3), 1]])
def test_an_entry_that_is_no_conditioning_is_refused(entry: list[Any]) -> None:
    """An entry is a pair of a tensor and a dictionary; another names its place and its parts."""
    conditioning = [[torch.ones(1, 2, 3), {}], entry]
    kinds = ", ".join(type(part).__name__ for part in entry)
    refused(
        lambda: clouds_from_conditioning(conditioning, "positive"),
        "positive, entry 1: expected a pair",
        f"[{kinds}]",
        "Connect",
    )


@pytest.mark.parametrize("shape", [(77, 768), (1, 0, 768), (0, 77, 768), (1, 77, 0), (1, 1, 2, 3)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Rows are [batch, rows, width], without a dimension of 0."""
    refused(
        lambda: clouds_from_conditioning([[torch.ones(shape), {}]]),
        "conditioning, entry 0: expected rows of shape",
        str(list(shape)),
        "Connect",
    )


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_rows_that_are_not_finite_are_refused(bad: float, dtype: torch.dtype) -> None:
    """NaN and infinity are counted by row before they can spread."""
    rows = normal(0, 2, 5, 4, dtype=dtype)
    rows[0, 1, 2] = rows[1, 3, 0] = rows[1, 3, 1] = bad
    refused(
        lambda: clouds_from_conditioning([[rows, {}]], "target"),
        "target, entry 0: expected finite numbers",
        "in 2 of 10 rows",
        "Check the text encoder",
    )


# Couplings

BY_METHOD = pytest.mark.parametrize("method", METHODS)


@BY_METHOD
def test_prompts_of_two_models_are_refused(method: str) -> None:
    """Rows of 768 and 2048 features live in different spaces."""
    refused(
        lambda: couple(cloud(0, 4, 768), cloud(1, 4, 2048), method, names=("previous", "prompt")),
        "previous and prompt: ",
        "768 and 2048 features",
        "Encode both prompts with the text encoder of one model",
    )


@BY_METHOD
def test_batches_of_two_sizes_are_refused(method: str) -> None:
    """Prompt b pairs with prompt b, so there must be one."""
    refused(
        lambda: couple(cloud(0, 4, batch=2), cloud(1, 4, batch=3), method),
        "source and target: ",
        "got 2 and 3",
        "Give both the same number of prompts",
    )


@pytest.mark.parametrize("method", [OPTIMAL, RANDOM])
@pytest.mark.parametrize(("m", "n", "total"), [(256, 263, 67328), (250, 256, 32000), (2, 3, 6)])
def test_row_counts_without_a_small_common_multiple_are_refused(
    method: str, m: int, n: int, total: int
) -> None:
    """Lengths that would need thousands of rows are refused with the remedies."""
    refused(
        lambda: couple(cloud(0, m, 2), cloud(1, n, 2), method),
        "source and target: ",
        f"{m} and {n} rows",
        f"{total} rows",
        "Pad all prompts to one length",
        "minimum-length option",
        "'row order'",
    )


def test_an_unknown_method_is_refused() -> None:
    """Only the methods of the menu exist."""
    refused(
        lambda: couple(cloud(0, 4), cloud(1, 4), "sinkhorn"),
        "method: expected one of optimal transport, row order, random",
        "'sinkhorn'",
    )


@BY_METHOD
@pytest.mark.parametrize(
    ("key", "a", "b"),
    [
        ("mask", torch.ones(1, 8, 8), torch.zeros(1, 8, 8)),
        ("mask", torch.ones(1, 8, 8), None),
        ("area", (8, 8, 0, 0), (8, 4, 0, 0)),
        ("attention_mask", torch.ones(1, 4, 4), torch.zeros(1, 4, 4)),
        ("control", object(), object()),
        ("pooled_output", torch.ones(1, 768), torch.ones(1, 1280)),
    ],
)
def test_dictionaries_that_cannot_be_blended_are_refused(
    method: str, key: str, a: Any, b: Any
) -> None:
    """A key that differs and has no value in between is named before anything is computed."""
    source, target = (cloud(k, 4, **{key: value}) for k, value in enumerate((a, b)))
    special = {"pooled_output": "Encode all prompts", "attention_mask": "minimum-length option"}
    special |= {"control": "Apply the same ControlNet"}
    remedy = special.get(key, "Give all prompts the same value")
    for two in ((source, target), (target, source)):
        refused(lambda two=two: couple(*two, method), "source and target: ", f"'{key}'", remedy)


def test_populations_of_unequal_size_are_refused() -> None:
    """CLIP and T5 rows must match one to one: SD3's rows cannot be repeated apart."""
    rows = [normal(k, 1, 6, 4096) for k in range(2)]
    rows[0][:, :2, 2048:] = 0
    rows[1][:, :3, 2048:] = 0
    x, y = (PointCloud(one, {}) for one in rows)
    refused(
        lambda: couple(x, y),
        "source and target: their rows come from several encoders or are partly masked",
        "4/2",
        "3/3",
        "Pad both prompts to one length",
    )


def test_sd3_prompts_of_unequal_rows_are_refused() -> None:
    """Repeating rows is not neutral where two encoders meet."""
    rows = [normal(k, 1, count, 4096) for k, count in enumerate((4, 8))]
    for one in rows:
        one[:, : one.shape[1] // 2, 2048:] = 0
    x, y = (PointCloud(one, {}) for one in rows)
    refused(lambda: couple(x, y), "source and target", "Pad both")


# Paths


def two_keyframes() -> Path:
    return path_of_coupling(couple(cloud(0, 4), cloud(1, 4)))


@pytest.mark.parametrize("t", [-0.1, 1.0001, -1e-12, 2, NAN, INF, -INF])
def test_a_time_outside_the_path_is_refused(t: float) -> None:
    """Times before 0 and after 1 are refused."""
    path = two_keyframes()
    for attempt in (
        lambda: path.at(t),
        lambda: sample(path, [0.5, t]),
        lambda: blend(path.legs[0], t),
    ):
        refused(attempt, "t: expected a time in [0, 1]", str(t))


def test_a_path_of_one_keyframe_is_refused() -> None:
    """A path of one prompt is refused."""
    path = Path((Keyframe(cloud(0, 4)),))
    for attempt in (lambda: path.at(0.5), lambda: sample(path, [0.0])):
        refused(attempt, "path: expected at least two keyframes", "Chain another")


def test_a_loop_of_one_keyframe_is_refused() -> None:
    """A loop of one prompt is refused too."""
    path = Path((Keyframe(cloud(0, 4)),))
    refused(lambda: sample(path.closed(), [0.0, 0.5]), "path: expected at least two keyframes")


BAD_WEIGHTS = pytest.mark.parametrize("weight", [0.0, -1.0, NAN, INF])


@BAD_WEIGHTS
def test_a_leg_of_no_length_is_refused(weight: float) -> None:
    """The relative length of a leg is a positive number."""
    refused(
        lambda: two_keyframes().append(Keyframe(cloud(2, 4), weight=weight), ("a", "b")),
        "weight: expected a positive number",
        str(weight),
    )


@BAD_WEIGHTS
def test_a_closing_leg_of_no_length_is_refused(weight: float) -> None:
    """The first keyframe's weight is the closing leg's length, so it obeys the same rule."""
    path = Path((Keyframe(cloud(0, 4), weight=weight),))
    refused(
        lambda: path.append(Keyframe(cloud(1, 4)), ("a", "b")).closed().knots,
        "weight: expected a positive number",
        str(weight),
    )


def test_sampling_a_batch_of_prompts_is_refused() -> None:
    """A path holds one prompt per keyframe; a batch of prompts is refused."""
    path = path_of_coupling(couple(cloud(0, 4, batch=2), cloud(1, 4, batch=2)))
    refused(lambda: sample(path, [0.5]), "path: expected one prompt per keyframe", "batch of 2")


# Barycentres


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ([1.0, 2.0], ("weights: expected 3, one per keyframe, got 2", "Leave the text empty")),
        ([1.0] * 4, ("weights: expected 3, one per keyframe, got 4", "Leave the text empty")),
        ([1.0, -0.1, 1.0], ("weights: ", "at least 0", "-0.1")),
        ([0.0, 0.0, 0.0], ("weights: ", "not all 0", "0.0")),
        ([1.0, NAN, 1.0], ("weights: ", "nan")),
        ([1.0, INF, 1.0], ("weights: ", "inf")),
    ],
)
def test_weights_that_are_no_shares_are_refused(
    weights: Sequence[float], parts: tuple[str, ...]
) -> None:
    """One finite weight of at least 0 per keyframe, and not all 0."""
    refused(lambda: barycenter([cloud(k, 4) for k in range(3)], weights), *parts)


@pytest.mark.parametrize("text", ["a, b", "1;2", "0.5, , 0.5", "0.5,", "1 2", "0,5, x"])
def test_text_that_is_no_list_of_numbers_is_refused(text: str) -> None:
    """Text that is not numbers is refused, with an example."""
    refused(lambda: parse_weights(text), "weights: ", "'0.5, 0.3, 0.2'", f"'{text}'")


def test_a_barycentre_of_batches_is_refused() -> None:
    """A barycentre is of one prompt per keyframe."""
    refused(lambda: barycenter([cloud(0, 4, batch=2), cloud(1, 4, batch=2)]), "path: ", "Split the")


def test_a_barycentre_of_unlike_dictionaries_names_the_keyframes() -> None:
    """The keyframes and the key are named as the user counts them, those of weight 0 included."""
    members = [cloud(0, 4), cloud(1, 4, area=(1, 2)), cloud(2, 4, area=(1, 3))]
    refused(lambda: barycenter(members, [0, 1, 1]), "keyframe 2 and keyframe 3: 'area'", "Give all")


def test_a_barycentre_of_two_models_names_the_keyframe() -> None:
    """The keyframe of another width is named as the user counts it."""
    members = [cloud(0, 4), cloud(1, 4), cloud(2, 4, width=7)]
    refused(lambda: barycenter(members, [0, 1, 1]), "keyframe 3: ", "6 and 7 features", "Encode")


@pytest.mark.parametrize("rows", [(3, 4), (250, 256), (36, 60, 100, 140, 44)])
def test_a_barycentre_on_too_many_rows_is_refused(rows: tuple[int, ...]) -> None:
    """A barycentre refuses the same row counts as a path."""
    members = [cloud(k, count, 2) for k, count in enumerate(rows)]
    refused(lambda: barycenter(members), "path: ", "rows", "Pad all prompts to one length")
