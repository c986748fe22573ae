"""What happens to the other keys of a conditioning: kept, averaged, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.conditioning_keys import (
    POOLED,
    QUANTITIES,
    average,
    check_extras,
    is_number,
    mix_extras,
    same_value,
)
from tests.geometry.strategies import SEEDS, normal

NAMES = ("source", "target")
SHARES = st.floats(0.0, 1.0)

# Values of which each equals only itself.
DISTINCT: list[Any] = [
    None,
    True,
    2,
    2.5,
    "default",
    (64, 64, 0, 0),
    ("percentage", 0.5, 0.5, 0.0, 0.0),
    [1, 2],
    {"a": 1},
    torch.ones(1, 4),
    torch.ones(1, 5),
    torch.zeros(1, 4),
    torch.ones(1, 4, dtype=torch.float16),
    {"mask": torch.ones(2)},
    [torch.ones(2), torch.zeros(2)],
]


def copied(value: Any) -> Any:
    """An equal value that is another object, wherever Python allows one."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(part) for part in value)
    return value


class Control:
    """As ComfyUI's ControlNets: a shared network, and settings of its own."""

    NETWORK = object()

    def __init__(self, image: torch.Tensor, strength: float, before: Control | None = None) -> None:
        self.network = self.NETWORK
        self.image, self.strength, self.previous_controlnet = image, strength, before


def test_copies_of_one_controlnet_are_one() -> None:
    """Applied to each prompt by a node of its own, with the same image and strength."""
    image = torch.ones(1, 3, 4, 4)
    for before in (None, 0.5):

        def control(strength: float, before: float | None = before) -> dict[str, Any]:
            first = None if before is None else Control(image, before)
            return {"control": Control(image.clone(), strength, first)}

        a, b = control(1.0), control(1.0)
        assert mix_extras([a, b], [0.4, 0.6], NAMES)["control"] is a["control"]
        for other in (control(0.9), {"control": Control(0 * image, 1.0)}, {}, control(1.0, 0.6)):
            with pytest.raises(ValueError, match=r"'control' must be equal .*the same ControlNet"):
                check_extras([a, other], NAMES)


@pytest.mark.parametrize("value", DISTINCT, ids=str)
def test_a_copy_is_the_same_value(value: Any) -> None:
    """Equality is by value, of tensors and of containers that hold tensors too."""
    assert same_value(value, copied(value))


@pytest.mark.parametrize("i", range(len(DISTINCT)))
def test_distinct_values_are_not_the_same(i: int) -> None:
    """Values of another type, shape, precision or content differ, in both directions."""
    assert [k for k, other in enumerate(DISTINCT) if same_value(DISTINCT[i], other)] == [i]


def test_a_switch_is_not_a_number() -> None:
    """Integers and floats are numbers; a boolean, text and a tensor are not."""
    assert all(is_number(value) for value in (0, 2, -1.5))
    assert not any(is_number(value) for value in (True, False, "2", None, torch.ones(1)))


@pytest.mark.parametrize("key", ["anything", POOLED])
@pytest.mark.parametrize("value", DISTINCT, ids=str)
@pytest.mark.parametrize("u", [0.0, 0.3, 1.0])
def test_a_value_equal_in_all_prompts_is_kept(key: str, value: Any, u: float) -> None:
    """Equal values need no rule: the first one itself comes out, at every weight."""
    mixed = mix_extras([{key: value}, {key: copied(value)}], (1 - u, u), NAMES)
    assert mixed[key] is value


@given(st.lists(SEEDS, min_size=2, max_size=4, unique=True), SEEDS)
def test_pooled_vectors_are_averaged_linearly(seeds: list[int], weights_seed: int) -> None:
    """`pooled_output` of the mix is Σ λ_k p_k."""
    vectors = [normal(seed, 1, 8) for seed in seeds]
    weights = torch.softmax(normal(weights_seed, len(seeds), dtype=torch.float64), 0)
    names = [f"keyframe {k}" for k in range(len(seeds))]
    mixed = mix_extras([{POOLED: v} for v in vectors], weights.tolist(), names)
    expected = sum(w * v.double() for w, v in zip(weights, vectors, strict=True))
    torch.testing.assert_close(mixed[POOLED].double(), expected, rtol=1e-5, atol=1e-6)


def test_only_the_pooled_vector_is_an_averaged_tensor() -> None:
    """Tensors under any other key are not blended."""
    extras = [{"mask": torch.zeros(1, 4)}, {"mask": torch.ones(1, 4)}]
    with pytest.raises(ValueError, match="'mask' must be equal"):
        mix_extras(extras, (0.5, 0.5), NAMES)


@given(
    key=st.sampled_from(sorted(QUANTITIES)),
    a=st.one_of(st.integers(-1000, 1000), st.floats(-1e3, 1e3)),
    b=st.one_of(st.integers(-1000, 1000), st.floats(-1e3, 1e3)),
    u=SHARES,
)
def test_a_quantity_that_differs_is_averaged_linearly(
    key: str, a: float, b: float, u: float
) -> None:
    """Numbers a and b become (1−u)·a + u·b."""
    mixed = mix_extras([{key: a}, {key: b}], (1 - u, u), NAMES)
    assert mixed[key] == pytest.approx((1 - u) * a + u * b, rel=1e-12, abs=1e-9)


def test_the_amounts_of_comfyuis_own_nodes_are_quantities() -> None:
    """Every number that these nodes write is blended; a missing one would be an error."""
    sizes = {"width", "height", "crop_w", "crop_h", "target_width", "target_height"}
    assert sizes | {"aesthetic_score"} <= QUANTITIES  # CLIPTextEncodeSDXL, -Refiner
    assert {"strength", "mask_strength", "start_percent", "end_percent", "guidance"} <= QUANTITIES
    assert {"fps", "motion_bucket_id", "augmentation_level", "frame_rate"} <= QUANTITIES  # videos
    sounds = {"seconds_start", "seconds_total", "lyrics_strength"}
    assert sounds | {"noise_augmentation"} <= QUANTITIES


@pytest.mark.parametrize(
    "key", ["guiding_frame_index", "concat_mask_index", "seed", "azimuth", "clip_end_percent", "n"]
)
@pytest.mark.parametrize(("a", "b"), [(2, 3), (0.25, 0.5)])
def test_a_number_that_is_no_quantity_is_refused(key: str, a: float, b: float) -> None:
    """Numbers that count or choose something, and unknown keys, are not blended."""
    match = (
        rf"^source and target: '{key}' must be equal in all prompts, because it cannot be blended, "
        rf"but source has {a}, target has {b}. Give all prompts the same value, or set it after"
    )
    with pytest.raises(ValueError, match=match):
        mix_extras([{key: a}, {key: b}], (0.3, 0.7), NAMES)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "an object of type object"),
        ([object()], "a list of 1 values"),
        (("percentage", object()), "a tuple of 2 values"),
        ({"a": object()}, "an object of type dict"),
        ("x" * 100, "a text of 100 characters"),
        ((64, 64, 0, 0), r"\(64, 64, 0, 0\)"),
        ("default", "'default'"),
    ],
)
def test_no_message_shows_an_address_in_memory(value: Any, words: str) -> None:
    """Objects are named by their type; plain values are shown as they are."""
    with pytest.raises(ValueError, match=rf"source has {words}, target has none") as caught:
        mix_extras([{"prompt_type": value}, {}], (0.5, 0.5), NAMES)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_weight_of_one_returns_that_prompts_values_exactly(k: int) -> None:
    """At weight 1 every value of that prompt comes out as the object it was."""
    extras = [
        {POOLED: normal(n, 1, 4), "guidance": n / 3, "width": 512 + n, "mode": "same"}
        for n in range(3)
    ]
    weights = [0.0, 0.0, 0.0]
    weights[k] = 1.0
    mixed = mix_extras(extras, weights, ["a", "b", "c"])
    assert all(mixed[key] is extras[k][key] for key in (POOLED, "guidance", "width"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(torch.ones(1, 4), None, id="a mask and none"),
        pytest.param(torch.ones(1, 4), torch.ones(1, 5), id="masks of two lengths"),
        pytest.param((64, 64, 0, 0), (64, 32, 0, 0), id="areas"),
        pytest.param(True, False, id="switches"),
        pytest.param(1.0, None, id="a number and none"),
        pytest.param(1, True, id="a number and a switch"),
        pytest.param(object(), object(), id="control nets"),
        pytest.param([1.0], [2.0], id="lists of numbers"),
    ],
)
@pytest.mark.parametrize("both_ways", [False, True])
def test_anything_else_that_differs_is_an_error_that_names_the_key(
    a: Any, b: Any, both_ways: bool
) -> None:
    """Values without a blend rule are refused, naming both inputs, the key and what to do."""
    extras = [{"this_key": value} for value in ((b, a) if both_ways else (a, b))]
    match = r"^source and target: 'this_key' must be equal .* source has .*target has .*Give all"
    with pytest.raises(ValueError, match=match):
        mix_extras(extras, (0.5, 0.5), NAMES)


def test_a_key_that_one_prompt_lacks_differs_from_one_it_has() -> None:
    """A missing key is none, in the first prompt as in the last."""
    for extras in ([{"area": (1, 2)}, {}], [{}, {"area": (1, 2)}]):
        with pytest.raises(ValueError, match=r"'area' .* has none"):
            check_extras(extras, NAMES)


@pytest.mark.parametrize("other", [None, torch.ones(1, 768)])
def test_pooled_vectors_of_two_models_are_refused(other: Any) -> None:
    """Pooled vectors of two widths, or one and none, cannot be averaged."""
    extras = [{POOLED: torch.ones(1, 1280)}, {POOLED: other}]
    with pytest.raises(ValueError, match=r"'pooled_output' .* Encode all prompts with the same"):
        mix_extras(extras, (0.5, 0.5), NAMES)


def test_every_key_of_every_prompt_is_in_the_mix_once_and_in_order() -> None:
    """Keys come out in the order in which the prompts name them first; none where it is shared."""
    extras = [{"strength": 1.0, "a": None}, {"c": None, "strength": 2.0}]
    assert list(mix_extras(extras, (0.5, 0.5), NAMES)) == ["strength", "a", "c"]


@pytest.mark.parametrize(
    "values", [(1.0, 2.0), (torch.ones(1, 2), torch.zeros(1, 2)), ("a", "a"), ("a", "b"), (1, None)]
)
@pytest.mark.parametrize("key", ["key", "guidance", POOLED])
def test_the_check_raises_exactly_where_the_mix_does(key: str, values: tuple[Any, Any]) -> None:
    """`check_extras` raises the same errors as `mix_extras`, without mixing."""
    extras = [{key: value} for value in values]
    outcomes = []
    for attempt in (
        lambda: check_extras(extras, NAMES),
        lambda: mix_extras(extras, (0.25, 0.75), NAMES),
    ):
        try:
            attempt()
            outcomes.append("fine")
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_inputs_are_left_as_they_were() -> None:
    """Mixing writes into none of the dictionaries and none of the tensors it reads."""
    vectors = [normal(k, 1, 4) for k in range(2)]
    extras = [{POOLED: v.clone(), "fps": k} for k, v in enumerate(vectors)]
    mix_extras(extras, (0.5, 0.5), NAMES)
    assert [one["fps"] for one in extras] == [0, 1]
    assert all(torch.equal(one[POOLED], v) for one, v in zip(extras, vectors, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_an_average_with_one_weight_is_that_tensor(dtype: torch.dtype, k: int) -> None:
    """Weights e_k give tensor k bit for bit, whatever stands in the others, and keep its type."""
    tensors = [torch.full((2, 3), torch.inf, dtype=dtype) for _ in range(3)]
    tensors[k] = normal(k, 2, 3, dtype=dtype)
    result = average(tensors, [float(n == k) for n in range(3)])
    assert result.dtype == dtype
    assert torch.equal(result, tensors[k])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32(dtype: torch.dtype) -> None:
    """Half precision is rounded once, at the end: no overflow on the way, no error built up."""
    tensors = [torch.full((4,), 60000.0).to(dtype), torch.full((4,), 50000.0).to(dtype)]
    result = average(tensors, (0.5, 0.5))
    assert torch.equal(result, ((tensors[0].double() + tensors[1].double()) / 2).to(dtype))
    twice = average(tensors, (1.5, -0.5))
    assert torch.isfinite(twice).all()


@pytest.mark.parametrize("key", ["prompt_type", "reference_latents_method", "control"])
def test_words_that_steer_a_model_are_refused(key: str) -> None:
    """A text under a key that ComfyUI reads chooses something."""
    with pytest.raises(
        ValueError, match=rf"'{key}' must be equal .* source has 'a', target has 'b'"
    ):
        mix_extras([{key: "a"}, {key: "b"}], (0.5, 0.5), NAMES)


@pytest.mark.parametrize("notes", [("a fox", "a lamp"), (["a", "b"], None), ("a", ("a", None))])
def test_notes_of_other_packs_are_no_obstacle(notes: tuple[Any, Any]) -> None:
    """Texts under a key that ComfyUI does not read; other values there are refused."""
    extras = [{"their_note": note} for note in notes]
    assert mix_extras(extras, (0.5, 0.5), NAMES) == {}
    assert mix_extras(extras, (1, 0), NAMES) == extras[0]
    with pytest.raises(ValueError, match="'their_note' must be equal"):
        mix_extras([extras[0], {"their_note": 2.0}], (0.5, 0.5), NAMES)


def test_words_that_no_model_reads_are_no_obstacle() -> None:
    """prompt-control keeps the text under `prompt`: kept where equal, else left out between."""
    texts: list[dict[str, Any]] = [{"prompt": "a fox", "strength": 1.0}, {"prompt": "a lamp"}]
    assert mix_extras([texts[0], texts[0]], (0.5, 0.5), NAMES) == texts[0]
    texts[1]["strength"] = 3.0
    assert mix_extras(texts, (0.5, 0.5), NAMES) == {"strength": 2.0}
    assert mix_extras(texts, (1, 0), NAMES) == texts[0]
    assert mix_extras(texts, (0, 1), NAMES) == texts[1]
