"""The barycentre: no worse than its starts, equal to the geodesic for two prompts, exact ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.barycenter import barycenter
from geodesic_morph.geometry.cloud import PointCloud, populations, repeat_rows
from geodesic_morph.geometry.conditioning_keys import POOLED
from geodesic_morph.geometry.coupling import couple
from geodesic_morph.geometry.mixing_weights import normalised, parse_weights
from geodesic_morph.geometry.path import blend
from tests.geometry.strategies import (
    SEEDS,
    UNEQUAL_ROWS,
    cloud,
    measure_gap,
    normal,
    slack,
    three_clouds,
)

Three = tuple[PointCloud, PointCloud, PointCloud]
SHARE = st.floats(0.01, 0.99)


def objective(points: torch.Tensor, members: Sequence[PointCloud], weights: Sequence[float]):
    """Σ_k λ_k W₂²(X, Y_k), over the pairs."""
    here = PointCloud(points, {})
    shares = np.array(weights) / sum(weights)
    parts = (couple(here, PointCloud(one.points, {})).squared_cost for one in members)
    return float(sum(w * part for w, part in zip(shares, parts, strict=True)))


def several(seed: int, count: int, rows: int = 6, dtype: torch.dtype = torch.float32):
    return [
        cloud(seed + k, rows, dtype=dtype, pooled_output=normal(seed + k, 1, 4, dtype=dtype))
        for k in range(count)
    ]


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("weight", [1.0, 7.0, 0.1])
def test_all_the_weight_on_one_prompt_returns_it(k: int, dtype: torch.dtype, weight: float) -> None:
    """Weights e_k give prompt k bit for bit, pooled vector and row order included."""
    members = several(0, 3, dtype=dtype)
    found = barycenter(members, [weight if n == k else 0.0 for n in range(3)])
    assert torch.equal(found.cloud.points, members[k].points)
    assert found.cloud.extras[POOLED] is members[k].extras[POOLED]
    assert found.objective == 0.0


def test_a_prompt_of_no_weight_has_no_say() -> None:
    """A weight of 0 leaves its prompt out, whatever its rows, width or other keys are."""
    members = several(0, 2)
    alien = cloud(9, 5, width=3, area=(1, 2))
    alone, beside = barycenter(members, [0.5, 0.5]), barycenter([alien, *members], [0, 0.5, 0.5])
    assert torch.equal(alone.cloud.points, beside.cloud.points)
    assert alone.objective == beside.objective


@given(SEEDS, st.integers(2, 10), SHARE)
def test_two_prompts_give_the_geodesic(seed: int, rows: int, u: float) -> None:
    """K = 2 with weights (1−u, u) is the geodesic blend at u, in the row order of the first."""
    x, y = (
        cloud(seed + k, rows, dtype=torch.float64, pooled_output=normal(seed + k, 1, 4), fps=k)
        for k in range(2)
    )
    found = barycenter([x, y], [1 - u, u])
    expected = blend(couple(x, y), u)
    torch.testing.assert_close(found.cloud.points, expected.points, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.cloud.extras[POOLED], expected.extras[POOLED])
    assert found.cloud.extras["fps"] == pytest.approx(expected.extras["fps"])
    assert found.objective == pytest.approx(u * (1 - u) * couple(x, y).squared_cost, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("seed", range(5))
def test_two_prompts_keep_the_row_order_of_the_first(dtype: torch.dtype, seed: int) -> None:
    """Rounding of the rows does not decide from which prompt the barycentre is started."""
    x, y = cloud(seed, 8, dtype=dtype), cloud(seed + 50, 8, dtype=dtype)
    found, expected = barycenter([x, y], [0.6, 0.4]).cloud.points, blend(couple(x, y), 0.4).points
    assert found.dtype == dtype
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@given(st.sampled_from(UNEQUAL_ROWS), SEEDS, SHARE)
def test_two_prompts_of_unequal_rows_give_the_geodesic(
    rows: tuple[int, int], seed: int, u: float
) -> None:
    """The barycentre of m and n rows is the same measure as the blend at u."""
    x, y = (cloud(seed + k, n, dtype=torch.float64) for k, n in enumerate(rows))
    found = barycenter([x, y], [1 - u, u]).cloud.points[0]
    expected = blend(couple(x, y), u).points[0]
    assert len(found) == len(expected)
    assert measure_gap(found, expected) < 1e-6


@given(three_clouds(), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_no_prompt_is_a_better_barycentre(three: Three, weights: list[float]) -> None:
    """The objective is at most that of every prompt itself."""
    found = barycenter(three, weights)
    room = sum(slack(x, y) for x in three for y in three)
    for one in three:
        assert found.objective <= objective(one.points, three, weights) + room


@given(three_clouds(), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_the_objective_is_that_of_the_returned_rows(three: Three, weights: list[float]) -> None:
    """The reported objective is Σ λ_k W₂² at the returned rows."""
    found = barycenter(three, weights)
    room = sum(slack(x, y) for x in three for y in three)
    expected = objective(found.cloud.points, three, weights)
    assert found.objective == pytest.approx(expected, rel=1e-6, abs=room)


@given(three_clouds(), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_the_barycentre_is_a_fixed_point(three: Three, weights: list[float]) -> None:
    """X = Σ λ_k Y_k[σ_k] with σ_k optimal from X: one more step lowers nothing."""
    found = barycenter(three, weights)
    here = PointCloud(found.cloud.points, {})
    moved = sum(
        w * one.points[:, couple(here, one).target_rows[0]]
        for w, one in zip(normalised(weights, 3), three, strict=True)
    )
    assert isinstance(moved, torch.Tensor)
    room = sum(slack(x, y) for x in three for y in three)
    assert objective(moved, three, weights) >= found.objective * (1 - 1e-6) - room


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("start", ["first prompt", "row mean"])
def test_the_barycentre_is_no_worse_than_pots(seed: int, start: str) -> None:
    """The objective is at most that of POT's free-support solver from usual starts."""
    members = [cloud(100 * seed + k, 12, 4, dtype=torch.float64) for k in range(4)]
    weights = torch.softmax(normal(seed, 4, dtype=torch.float64), 0).numpy()
    rows = [one.points[0].numpy() for one in members]
    x0 = rows[0] if start == "first prompt" else np.mean(rows, axis=0)
    other = ot.lp.free_support_barycenter(
        rows, [ot.unif(12)] * 4, x0, weights=weights, numItermax=1000, stopThr=1e-14
    )
    found = barycenter(members, weights.tolist()).objective
    theirs = objective(torch.from_numpy(other)[None], members, weights.tolist())
    assert found <= theirs * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_prompts_does_not_matter(seed: int) -> None:
    """With equal weights every order of three prompts reaches the same objective."""
    members = several(10 * seed, 3, rows=8, dtype=torch.float64)
    reached = [barycenter(order).objective for order in itertools.permutations(members)]
    assert reached == pytest.approx([reached[0]] * 6, rel=1e-9)


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=4), SEEDS, st.integers(2, 8))
def test_equal_prompts_have_themselves_as_barycentre(
    weights: list[float], seed: int, rows: int
) -> None:
    """K copies of one prompt, whatever their weights, give that prompt at objective 0."""
    one = cloud(seed, rows)
    found = barycenter([PointCloud(one.points.clone(), {}) for _ in weights], weights)
    torch.testing.assert_close(found.cloud.points, one.points)
    assert found.objective == pytest.approx(0.0, abs=1e-9)


@given(st.lists(st.floats(0.05, 5), min_size=3, max_size=3), SEEDS, st.floats(0.1, 10))
def test_only_the_shares_of_the_weights_matter(
    weights: list[float], seed: int, unit: float
) -> None:
    """Weights in another unit give the same barycentre; pooled vectors average by the shares."""
    members = several(seed, 3, dtype=torch.float64)
    found = barycenter(members, weights)
    scaled = barycenter(members, [unit * w for w in weights])
    torch.testing.assert_close(found.cloud.points, scaled.cloud.points)
    expected = sum(
        w * one.extras[POOLED] for w, one in zip(normalised(weights, 3), members, strict=True)
    )
    torch.testing.assert_close(found.cloud.extras[POOLED], expected)


def test_no_weights_are_equal_weights() -> None:
    """Leaving the weights out is giving every prompt the same."""
    members = several(0, 3)
    given_none, equal = barycenter(members), barycenter(members, [2.0, 2.0, 2.0])
    assert torch.equal(given_none.cloud.points, equal.cloud.points)


def test_three_row_counts_meet_on_their_common_multiple() -> None:
    """Prompts of 2, 4 and 6 rows have a barycentre of 12 rows, better than each of them."""
    members = [cloud(k, rows, dtype=torch.float64) for k, rows in enumerate((2, 4, 6))]
    found = barycenter(members)
    assert found.cloud.rows == 12
    for one in members:
        repeated = repeat_rows(one.points, 12)
        assert found.objective <= objective(repeated, members, [1, 1, 1]) + 1e-9


def test_populations_are_not_mixed() -> None:
    """The barycentre of SD3 prompts has the CLIP rows and the T5 rows that they have."""
    rows = [normal(k, 1, 5, 4096) for k in range(3)]
    for one in rows:
        one[:, :2, 2048:] = 0
    found = barycenter([PointCloud(one, {}) for one in rows]).cloud
    assert torch.equal(populations(found), populations(PointCloud(rows[0], {})))


def test_progress_rises_with_every_step_and_may_cancel() -> None:
    """`progress` gets rising counts that end at the total, more of them than there are starts."""
    heard: list[tuple[int, int]] = []
    barycenter(several(0, 3), progress=lambda done, most: heard.append((done, most)))
    assert len(heard) > 3
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})
    assert heard[-1][0] == heard[-1][1]

    def cancel(done: int, _most: int) -> None:
        raise InterruptedError(f"cancelled at {done}")

    with pytest.raises(InterruptedError, match="cancelled at 0"):
        barycenter(several(0, 3), progress=cancel)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6).filter(lambda w: sum(w) > 0))
def test_shares_sum_to_one(weights: list[float]) -> None:
    """Normalised weights are not negative, keep their proportions and sum to 1."""
    shares = normalised(weights, len(weights))
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) >= 0
    assert shares == pytest.approx([w / sum(weights) for w in weights])


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("", None),
        ("  ", None),
        ("1", [1.0]),
        ("0.5, 0.3, 0.2", [0.5, 0.3, 0.2]),
        (" 1,2 ,\t3e-1\n", [1.0, 2.0, 0.3]),
    ],
)
def test_weights_are_read_from_text(text: str, weights: list[float] | None) -> None:
    """Numbers separated by commas, blanks ignored; nothing written means equal weights."""
    assert parse_weights(text) == weights


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_written_weights_are_read_back(weights: list[float]) -> None:
    """A number that Python has written is read back as the same number."""
    assert parse_weights(", ".join(map(repr, weights))) == weights
