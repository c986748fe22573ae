"""A coupling pairs whole clouds, the optimal one at the least cost, on every machine alike."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.cloud import PointCloud, repeat_rows
from geodesic_morph.geometry.coupling import (
    METHODS,
    OPTIMAL,
    RANDOM,
    ROW_ORDER,
    couple,
    squared_distances,
)
from geodesic_morph.geometry.path import blend
from tests.geometry.strategies import (
    SEEDS,
    UNEQUAL_ROWS,
    Two,
    any_two_clouds,
    cloud,
    cloud_of,
    clouds,
    global_random_state,
    measure_gap,
    normal,
    pairs,
    slack,
    three_clouds,
)

BY_METHOD = pytest.mark.parametrize("method", METHODS)


def w2(x: PointCloud, y: PointCloud) -> float:
    return couple(x, y).cost


def pot_cost(distances: np.ndarray) -> float:
    """POT's mean squared cost of uniform measures, when it may take all its iterations."""
    m, n = distances.shape
    return float(np.asarray(ot.emd2(ot.unif(m), ot.unif(n), distances, numItermax=10_000_000)))


def permuted(one: PointCloud, seed: int) -> tuple[PointCloud, torch.Tensor]:
    order = torch.randperm(one.rows, generator=torch.Generator("cpu").manual_seed(seed))
    return PointCloud(one.points[:, order], one.extras), order


# What a coupling is


@BY_METHOD
@given(two=any_two_clouds(), seed=SEEDS, pin=st.booleans())
def test_every_row_has_its_share_of_the_pairs(method: str, two: Two, seed: int, pin: bool) -> None:
    """Of L = lcm(m, n) pairs every source row holds L/m and every target row L/n."""
    x, y = two
    coupling = couple(x, y, method, seed, pin)
    total = math.lcm(x.rows, y.rows)
    assert coupling.pairs == total
    for rows, count in ((coupling.source_rows, x.rows), (coupling.target_rows, y.rows)):
        assert Counter(rows[0].tolist()) == dict.fromkeys(range(count), total // count)


@BY_METHOD
@given(two=clouds(), seed=SEEDS)
def test_equal_counts_give_a_permutation(method: str, two: Two, seed: int) -> None:
    """For N rows each, source row i stands at place i and the target rows are a permutation σ."""
    coupling = couple(*two, method, seed)
    count = two[0].rows
    assert coupling.source_rows.tolist() == [list(range(count))]
    assert sorted(coupling.target_rows[0].tolist()) == list(range(count))


@BY_METHOD
@given(two=any_two_clouds(), seed=SEEDS)
def test_pairs_stand_in_the_order_of_the_source(method: str, two: Two, seed: int) -> None:
    """The rows of a morph keep the order of the prompt it starts from."""
    rows = couple(*two, method, seed).source_rows
    assert torch.equal(rows, rows.sort(dim=1).values)


@BY_METHOD
def test_every_prompt_of_a_batch_is_coupled_by_itself(method: str) -> None:
    """Prompt b of a batch gets the pairs it gets alone, and the squared costs add up."""
    x, y = cloud(1, rows=5, batch=3), cloud(2, rows=5, batch=3)
    together = couple(x, y, method, seed=7)
    alone = [
        couple(cloud_of(a), cloud_of(b), method, seed=7)
        for a, b in zip(x.points, y.points, strict=True)
    ]
    assert [pairs(together, b) for b in range(3)] == [pairs(one) for one in alone]
    assert together.squared_cost == pytest.approx(sum(one.squared_cost for one in alone))


@BY_METHOD
@given(two=any_two_clouds(), seed=SEEDS)
def test_cost_is_the_root_of_the_summed_squares(method: str, two: Two, seed: int) -> None:
    """cost² = Σ ‖x_i − y_σ(i)‖² over the pairs."""
    coupling = couple(*two, method, seed)
    x, y = (one.points[0].numpy() for one in two)
    expected = sum(float(((x[i] - y[j]) ** 2).sum()) for i, j in pairs(coupling))
    assert coupling.squared_cost == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert coupling.cost == math.sqrt(coupling.squared_cost)


@BY_METHOD
@given(two=any_two_clouds(), seed=SEEDS)
def test_the_inverse_holds_the_same_pairs_the_other_way(method: str, two: Two, seed: int) -> None:
    """Source and target change places, the cost stays, and inverting twice is no change."""
    coupling = couple(*two, method, seed)
    back = coupling.inverse()
    assert (back.source, back.target) == (coupling.target, coupling.source)
    assert pairs(back) == sorted((j, i) for i, j in pairs(coupling))
    assert torch.equal(back.source_rows, back.source_rows.sort(dim=1).values)
    assert back.cost == pytest.approx(coupling.cost, rel=1e-12)
    assert pairs(back.inverse()) == pairs(coupling)


@given(clouds(), SEEDS)
def test_a_permutation_and_its_inverse_compose_to_the_identity(two: Two, seed: int) -> None:
    """For equal counts σ⁻¹(σ(i)) = i."""
    sigma = couple(*two, RANDOM, seed)
    there, back = sigma.target_rows[0], sigma.inverse().target_rows[0]
    assert back[there].tolist() == list(range(two[0].rows))


# The optimal coupling


@given(any_two_clouds(), st.lists(SEEDS, min_size=1, max_size=10), st.booleans())
def test_no_coupling_is_cheaper_than_the_optimal_one(two: Two, seeds: list[int], pin: bool) -> None:
    """cost(optimal) ≤ cost(row order), and ≤ cost(random) for every seed."""
    least = couple(*two).squared_cost - slack(*two)
    assert least <= couple(*two, ROW_ORDER).squared_cost
    assert all(least <= couple(*two, RANDOM, seed, pin).squared_cost for seed in seeds)


@BY_METHOD
@given(two=any_two_clouds(), seed=SEEDS)
def test_the_optimum_of_any_coupling_is_the_optimal_coupling(method: str, two: Two, seed: int):
    """`optimal` of a coupling by any method is W₂ between its two clouds."""
    coupling = couple(*two, method, seed)
    assert coupling.optimal.method == OPTIMAL
    assert pairs(coupling.optimal) == pairs(couple(*two))


@given(any_two_clouds())
def test_w2_is_symmetric(two: Two) -> None:
    """W₂(x, y) = W₂(y, x)."""
    x, y = two
    there, back = couple(x, y).squared_cost, couple(y, x).squared_cost
    assert there == pytest.approx(back, rel=1e-9, abs=2 * slack(x, y))


@given(three_clouds())
def test_w2_obeys_the_triangle_inequality(
    three: tuple[PointCloud, PointCloud, PointCloud],
) -> None:
    """W₂(x, z) ≤ W₂(x, y) + W₂(y, z) for clouds of one row count."""
    x, y, z = three
    assert w2(x, z) <= w2(x, y) + w2(y, z) + math.sqrt(slack(x, z))


@given(clouds())
def test_a_cloud_coupled_to_itself_stays_where_it_is(two: Two) -> None:
    """Identical clouds couple row i to row i at cost 0, even where rows coincide."""
    coupling = couple(two[0], PointCloud(two[0].points.clone(), {}))
    assert torch.equal(coupling.source_rows, coupling.target_rows)
    assert coupling.cost == 0.0


@given(st.sampled_from([m for m, n in UNEQUAL_ROWS]), st.integers(2, 3), SEEDS)
def test_a_cloud_and_its_repetition_are_one_measure(rows: int, times: int, seed: int) -> None:
    """W₂ between a cloud and the same cloud repeated is 0."""
    one = cloud(seed, rows)
    assert w2(one, PointCloud(repeat_rows(one.points, rows * times), {})) == 0.0


@given(SEEDS, st.integers(1, 4), st.integers(1, 7))
def test_equal_pad_rows_keep_their_places(seed: int, words: int, pads: int) -> None:
    """Ties go to equal indices: pad rows, all alike in both prompts, are not shuffled."""
    pad = normal(seed, 1, 5).repeat(pads, 1)
    x, y = (cloud_of(torch.cat([normal(seed + k, words, 5), pad])) for k in (1, 2))
    sigma = couple(x, y).target_rows[0]
    # A word may be paired with a pad row; a pad row that meets a pad row meets its own.
    met = [(i, int(j)) for i, j in enumerate(sigma) if i >= words and j >= words]
    assert all(i == j for i, j in met)
    assert len(met) >= pads - words


@pytest.mark.parametrize(("m", "n", "width"), [(77, 77, 768), (77, 154, 768), (512, 512, 256)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pads_of_real_prompts_keep_their_places(
    m: int, n: int, width: int, dtype: torch.dtype
) -> None:
    """At real sizes too, rounding in the matrix product does not shuffle rows that are alike."""
    words, pad = 9, 30 * normal(0, 1, width)
    parts = [
        torch.cat([30 * normal(10 * k + p, words, width), pad.repeat(m - words, 1)])
        for k, count in ((1, m), (2, n))
        for p in range(count // m)
    ]
    x, y = cloud_of(parts[0].to(dtype)), cloud_of(torch.cat(parts[1:]).to(dtype))
    met = [(i, j) for i, j in pairs(couple(x, y)) if i >= words and j % m >= words]
    assert all(i == j % m for i, j in met)
    assert len(met) >= n - 2 * words * (n // m)


@given(SEEDS, st.integers(2, 6), st.integers(2, 6))
def test_rows_that_are_alike_map_index_to_itself(seed: int, kinds: int, copies: int) -> None:
    """Rows that occur several times in both clouds, at the same places, stay at their places."""
    x = normal(seed, kinds, 4).repeat(copies, 1)
    y = x + 0.01 * normal(seed + 1, kinds, 4).repeat(copies, 1)
    sigma = couple(cloud_of(x), cloud_of(y)).target_rows[0]
    assert sigma.tolist() == list(range(kinds * copies))


@given(SEEDS, st.integers(2, 10), st.integers(2, 10))
def test_permuted_rows_give_the_same_morph(seed: int, m: int, n: int) -> None:
    """Permute the rows of both prompts: the cost and the measure at t = 0.3 do not change."""
    rows = (m, n) if math.gcd(m, n) > 1 else (m, m)
    x, y = (cloud(seed + k, count, dtype=torch.float64) for k, count in enumerate(rows))
    before = couple(x, y)
    after = couple(permuted(x, seed)[0], permuted(y, seed + 1)[0])
    assert after.cost == pytest.approx(before.cost, rel=1e-9)
    assert measure_gap(blend(before, 0.3).points[0], blend(after, 0.3).points[0]) < 1e-9


@given(SEEDS, st.integers(2, 10))
def test_sigma_follows_a_permutation_of_the_source(seed: int, rows: int) -> None:
    """Permute the source by π: row i of the new source meets what row π(i) met before."""
    x, y = cloud(seed, rows), cloud(seed + 1, rows)
    moved, order = permuted(x, seed)
    assert torch.equal(couple(moved, y).target_rows[0], couple(x, y).target_rows[0][order])


@given(any_two_clouds())
def test_cost_agrees_with_pot(two: Two) -> None:
    """cost² = L · emd2 with uniform weights: N · emd2 for equal counts."""
    x, y = (one.points[0].numpy() for one in two)
    least = pot_cost(np.asarray(ot.dist(x, y)))
    coupling = couple(*two)
    assert coupling.squared_cost == pytest.approx(
        coupling.pairs * least, rel=1e-7, abs=slack(*two) + 1e-9
    )


@pytest.mark.parametrize(
    ("m", "n", "width"),
    [(1024, 1024, 64), (77, 77, 768), (77, 154, 768), (154, 231, 768), (128, 512, 64)],
)
def test_large_clouds_are_optimal_too(m: int, n: int, width: int) -> None:
    """Prompts of real size reach the cost that POT finds when it may take all its iterations."""
    x, y = cloud(1, m, width), cloud(2, n, width)
    least = pot_cost(squared_distances(x.points[0], y.points[0]))
    coupling = couple(x, y)
    assert coupling.squared_cost == pytest.approx(coupling.pairs * least, rel=1e-8)


@given(any_two_clouds(), SEEDS)
def test_rounding_noise_does_not_choose_the_coupling(two: Two, seed: int) -> None:
    """Rows that differ by 1e-14, and features summed in another order, give the same pairs."""
    expected = pairs(couple(*two))
    x, y = (
        PointCloud(one.points * (1 + 1e-14 * normal(seed + k, *one.points.shape).double()), {})
        for k, one in enumerate(two)
    )
    assert pairs(couple(x, y)) == expected
    order = torch.randperm(x.width, generator=torch.Generator("cpu").manual_seed(seed))
    x, y = (PointCloud(one.points[..., order], {}) for one in two)
    assert pairs(couple(x, y)) == expected


BINARY = st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=2, max_size=15)


@given(BINARY, BINARY, SEEDS)
def test_rounding_noise_does_not_break_ties(a: list[list[int]], b: list[list[int]], seed: int):
    """Costs that differ by rounding are a tie, and ties go to the same rows with and without it."""
    rows = min(len(a), len(b))
    x, y = (cloud_of([[float(k)] * 4, *one[:rows]]) for k, one in ((0, a), (1, b)))
    expected = pairs(couple(x, y))
    noise = 1e-11 * normal(seed, 1, rows + 1, 4, dtype=torch.float64)
    assert pairs(couple(PointCloud(x.points + noise, {}), y)) == expected
    assert pairs(couple(x, PointCloud(y.points + noise, {}))) == expected


@pytest.mark.parametrize("shift", [1.0, 30.0, 1000.0])
@given(two=any_two_clouds())
def test_a_shift_of_both_clouds_changes_no_cost(shift: float, two: Two) -> None:
    """W₂ is invariant to translation: where the origin lies does not matter."""
    x, y = (PointCloud(one.points + shift, {}) for one in two)
    expected = couple(*two).squared_cost
    assert couple(x, y).squared_cost == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_a_shared_offset_costs_no_digits() -> None:
    """Distances of rows that all lie far from 0 are as exact as those of rows near 0."""
    x, y = (normal(k, rows, 6, dtype=torch.float64) for k, rows in enumerate((5, 7)))
    near, far = squared_distances(x, y), squared_distances(x + 1e6, y + 1e6)
    np.testing.assert_allclose(far, near, rtol=1e-6)


def test_a_millionth_of_the_cost_is_no_tie() -> None:
    """Swapping both rows is cheaper by 2e-6, more than any rounding error."""
    found = couple(cloud_of([[0.0], [1.0]]), cloud_of([[1e-6], [0.0]]))
    assert found.target_rows.tolist() == [[1, 0]]


def test_squared_distances_are_exact_and_never_negative() -> None:
    """‖x_i − y_j‖² by one matrix product is what the plain sum gives, and 0 at the least."""
    x, y = normal(0, 40, 768, dtype=torch.float64), normal(1, 60, 768)
    plain = (x[:, None] - y.double()[None]).square().sum(-1)
    np.testing.assert_allclose(squared_distances(x, y), plain.numpy(), rtol=1e-11)
    assert squared_distances(x, x).min() >= 0


# Row order and random


@pytest.mark.parametrize(("m", "n"), [*UNEQUAL_ROWS, (4, 4)])
def test_row_order_repeats_both_clouds_as_comfyui_does(m: int, n: int) -> None:
    """Pair k of L joins row k mod m with row k mod n."""
    coupling = couple(cloud(0, m), cloud(1, n), ROW_ORDER)
    assert pairs(coupling) == sorted((k % m, k % n) for k in range(math.lcm(m, n)))


@given(any_two_clouds(), SEEDS, st.booleans())
def test_a_seed_is_reproducible(two: Two, seed: int, pin: bool) -> None:
    """The same seed draws the same random pairs, whatever the rows hold."""
    first = couple(*two, RANDOM, seed, pin)
    x, y = (PointCloud(-one.points, {}) for one in two)
    again = couple(x, y, RANDOM, seed, pin)
    assert torch.equal(first.source_rows, again.source_rows)
    assert torch.equal(first.target_rows, again.target_rows)


@pytest.mark.parametrize(("m", "n"), [(8, 8), (8, 12), (77, 154)])
def test_different_seeds_draw_different_pairs(m: int, n: int) -> None:
    """Twenty seeds give twenty couplings."""
    x, y = cloud(0, m, 2), cloud(1, n, 2)
    drawn = {tuple(pairs(couple(x, y, RANDOM, seed))) for seed in range(20)}
    assert len(drawn) == 20


@pytest.mark.parametrize(("m", "n"), [(4, 4), (4, 6), (2, 4), (1, 5)])
def test_a_pinned_first_row_stays_with_the_first_row(m: int, n: int) -> None:
    """With `pin_first_row` row 0 meets row 0 for every seed, while other rows move."""
    x, y = cloud(0, m, 2), cloud(1, n, 2)
    drawn = [couple(x, y, RANDOM, seed, pin_first_row=True) for seed in range(100)]
    assert all((0, 0) in pairs(one) for one in drawn)
    assert m == 1 or any(pairs(one) != pairs(drawn[0]) for one in drawn)


def test_a_free_first_row_meets_every_row() -> None:
    """Without `pin_first_row` row 0 is as free as any other."""
    x, y = cloud(0, 4, 2), cloud(1, 4, 2)
    met = [int(couple(x, y, RANDOM, s, pin_first_row=False).target_rows[0, 0]) for s in range(200)]
    assert all(30 <= count <= 70 for count in Counter(met).values())
    assert len(set(met)) == 4


@BY_METHOD
def test_the_global_random_state_is_left_alone(method: str) -> None:
    """Coupling uses its own generator: the random states of torch and numpy do not change."""
    before = global_random_state()
    couple(cloud(0, 8), cloud(1, 8), method, seed=3)
    couple(cloud(0, 4), cloud(1, 6), method, seed=3)
    assert global_random_state() == before
