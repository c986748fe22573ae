"""A conditioning is a measure on its rows, and nothing is lost on the way to it or back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodesic_morph.geometry.cloud import (
    PointCloud,
    clouds_from_conditioning,
    conditioning_from_clouds,
    repeat_rows,
    summary,
)
from tests.geometry.strategies import SEEDS, cloud, normal


def entry(seed: int, *shape: int, pooled: int = 0, **extras: Any) -> list[Any]:
    """One conditioning entry as a text encoder writes it."""
    if pooled:
        extras["pooled_output"] = normal(seed + 1, shape[0], pooled)
    return [normal(seed, *shape), extras]


def assert_same_conditioning(there: list[Any], back: list[Any]) -> None:
    assert len(there) == len(back)
    for (rows, extras), (rows_back, extras_back) in zip(there, back, strict=True):
        assert rows.dtype == rows_back.dtype
        assert torch.equal(rows, rows_back)
        assert list(extras) == list(extras_back)
        for key, value in extras.items():
            assert extras_back[key] is value


@pytest.mark.parametrize(
    "conditioning",
    [
        pytest.param([entry(0, 1, 77, 768)], id="SD1.5"),
        pytest.param([entry(1, 1, 77, 2048, pooled=1280)], id="SDXL"),
        pytest.param([entry(2, 1, 154, 768)], id="long prompt of two parts"),
        pytest.param([entry(3, 1, 231, 2048, pooled=1280)], id="long prompt of three parts"),
        pytest.param([entry(4, 3, 77, 768, pooled=768)], id="batch"),
        pytest.param([entry(5, 1, 77, 768), entry(6, 1, 154, 768, area=(8, 8, 0, 0))], id="two"),
        pytest.param([entry(7, 1, 20, 4096, guidance=3.5, mask=normal(8, 1, 4, 4))], id="extras"),
        pytest.param([[normal(9, 1, 77, 768).half(), {}]], id="half precision"),
        pytest.param([[normal(10, 1, 77, 768).bfloat16(), {"start_percent": 0.0}]], id="bfloat16"),
    ],
)
def test_a_conditioning_survives_the_round_trip_bit_for_bit(conditioning: list[Any]) -> None:
    """Conditioning to clouds to conditioning returns every value and every key as it was."""
    clouds = clouds_from_conditioning(conditioning)
    assert [c.points.shape for c in clouds] == [e[0].shape for e in conditioning]
    assert_same_conditioning(conditioning, conditioning_from_clouds(clouds))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    SEEDS.map(lambda seed: normal(seed, 2, 3)),
)


@given(
    shapes=st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=1, max_size=3),
    extras=st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
    seed=SEEDS,
)
def test_any_dictionary_survives_the_round_trip(
    shapes: list[tuple[int, int, int]], extras: dict[str, Any], seed: int
) -> None:
    """Every value of an entry's dictionary comes back as the same object."""
    conditioning = [[normal(seed + k, *shape), extras] for k, shape in enumerate(shapes)]
    back = conditioning_from_clouds(clouds_from_conditioning(conditioning))
    assert_same_conditioning(conditioning, back)


def test_a_cloud_does_not_share_its_dictionary() -> None:
    """Writing into the dictionary that went in, or into one that came out, changes no cloud."""
    conditioning = [entry(0, 1, 3, 4, strength=1.0)]
    clouds = clouds_from_conditioning(conditioning)
    conditioning[0][1]["strength"] = 2.0
    conditioning_from_clouds(clouds)[0][1]["strength"] = 3.0
    assert clouds[0].extras["strength"] == 1.0
    assert conditioning[0][1]["strength"] == 2.0


def test_batch_rows_and_width_are_the_three_sides_of_the_points() -> None:
    """A cloud [B, N, D] has batch B, rows N and width D."""
    one = cloud(0, rows=3, width=5, batch=2)
    assert (one.batch, one.rows, one.width) == (2, 3, 5)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), SEEDS)
def test_repeating_gives_every_row_the_same_mass(rows: int, times: int, batch: int, seed: int):
    """Repeated rows are the whole cloud again and again: every row stands there equally often."""
    points = normal(seed, batch, rows, 4)
    repeated = repeat_rows(points, rows * times)
    assert torch.equal(repeated, torch.cat([points] * times, dim=1))
    assert torch.equal(repeat_rows(points[0], rows * times), repeated[0])


def attention(queries: Tensor, rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(QKᵀ/√d)V with K = XW_K and V = XW_V."""
    k, v = rows @ keys, rows @ values
    return torch.softmax(queries @ k.T / k.shape[1] ** 0.5, dim=-1) @ v


@given(SEEDS, st.integers(1, 8), st.integers(1, 4))
def test_attention_sees_the_measure_alone(seed: int, rows: int, times: int) -> None:
    """Neither permuting the rows nor repeating all of them changes what attention returns."""
    points = normal(seed, rows, 5, dtype=torch.float64)
    queries, keys, values = (
        normal(seed + k, n, 4, dtype=torch.float64) for k, n in ((1, 3), (2, 5), (3, 5))
    )
    expected = attention(queries, points, keys, values)
    order = torch.randperm(rows * times, generator=torch.Generator("cpu").manual_seed(seed))
    changed = repeat_rows(points, rows * times)[order]
    torch.testing.assert_close(attention(queries, changed, keys, values), expected)


def test_repeating_refuses_rows_that_do_not_divide() -> None:
    """A measure cannot be written on a number of rows that its own does not divide."""
    with pytest.raises(ValueError, match="4 rows do not divide 6 rows"):
        repeat_rows(normal(0, 4, 2), 6)


def test_the_summary_names_rows_width_norms_and_keys() -> None:
    """The summary says the number of rows, their width and norms, and the other keys."""
    points = torch.zeros(2, 3, 4)
    points[..., 0] = torch.tensor([1.0, 2.0, 6.0])
    text = summary([PointCloud(points, {"strength": 1.0, "area": None}), cloud(0, rows=2)])
    first, keys, second, nothing = text.splitlines()
    assert "3 rows of 4 features, batch of 2" in first
    assert "1.00 to 6.00, mean 3.00" in first
    assert keys.endswith("area, strength")
    assert "2 rows of 6 features;" in second
    assert nothing.endswith("nothing")
