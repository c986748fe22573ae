"""A path hits its keyframes exactly and runs at constant speed between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.cloud import PointCloud, repeat_rows
from geodesic_morph.geometry.conditioning_keys import POOLED
from geodesic_morph.geometry.coupling import (
    METHODS,
    OPTIMAL,
    RANDOM,
    ROW_ORDER,
    couple,
)
from geodesic_morph.geometry.path import (
    Keyframe,
    Path,
    blend,
    path_of_coupling,
    sample,
)
from geodesic_morph.geometry.times import LOOP, PING_PONG, STOP, times
from tests.geometry.strategies import (
    SEEDS,
    Two,
    any_two_clouds,
    cloud,
    clouds,
    measure_gap,
    normal,
)

INSIDE = st.floats(0.001, 0.999)
BY_METHOD = pytest.mark.parametrize("method", METHODS)


def path_through(*keyframes: Keyframe) -> Path:
    path = Path(keyframes[:1])
    for keyframe in keyframes[1:]:
        path = path.append(keyframe, ("previous", "conditioning"))
    return path


def chain(
    rows: Sequence[int],
    weights: Sequence[float] = (),
    methods: Sequence[str] = (OPTIMAL,),
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Keyframes of the given row counts, each with a pooled vector."""
    return path_through(
        *(
            Keyframe(
                cloud(k, count, dtype=dtype, pooled_output=normal(100 + k, 1, 5, dtype=dtype)),
                weight=weights[k] if weights else 1.0,
                method=methods[k % len(methods)],
                seed=k,
            )
            for k, count in enumerate(rows)
        )
    )


def assert_same(got: PointCloud, expected: PointCloud) -> None:
    assert torch.equal(got.points, expected.points)
    assert got.extras.keys() == expected.extras.keys()
    if POOLED in expected.extras:
        assert torch.equal(got.extras[POOLED], expected.extras[POOLED])


def one_by_one(path: Path, t: float, rows: int) -> PointCloud:
    """What `sample` should give for one frame, from `Path.at`, on the rows of its batch."""
    at = path.at(t)
    return PointCloud(repeat_rows(at.points, rows), at.extras)


def as_clouds(groups: Sequence[PointCloud]) -> list[PointCloud]:
    """The frames of all groups as clouds of one prompt each."""
    found = []
    for group in groups:
        for f in range(len(group.points)):
            extras = dict(group.extras)
            if POOLED in extras:
                assert len(extras[POOLED]) == len(group.points)
                extras[POOLED] = extras[POOLED][f : f + 1]
            found.append(PointCloud(group.points[f : f + 1], extras))
    return found


# Keyframes


@BY_METHOD
@pytest.mark.parametrize(("m", "n"), [(5, 5), (2, 4), (6, 4)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_endpoints_are_the_prompts_themselves(
    method: str, m: int, n: int, dtype: torch.dtype
) -> None:
    """t = 0 and t = 1 return both prompts bit for bit, in their own row order, pooled too."""
    path = chain([m, n], methods=[method], dtype=dtype)
    first, last = path.stops
    assert_same(path.at(0.0), first)
    assert_same(path.at(1.0), last)
    assert_same(blend(path.legs[0], 0.0), first)
    assert_same(blend(path.legs[0], 1.0), last)
    for frame, stop in zip(as_clouds(sample(path, [0.0, 1.0])), path.stops, strict=True):
        assert_same(frame, PointCloud(repeat_rows(stop.points, frame.rows), stop.extras))


@pytest.mark.parametrize("closed", [False, True])
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=6))
def test_every_knot_is_its_keyframe(closed: bool, weights: list[float]) -> None:
    """Knots stand at the cumulative share of the weights and return the keyframes exactly."""
    path = chain([4] * len(weights), weights)
    lengths = weights[1:]
    if closed:
        path, lengths = path.closed(), [*weights[1:], weights[0]]
    expected = np.concatenate([[0], np.cumsum(lengths)]) / sum(lengths)
    np.testing.assert_allclose(path.knots, expected, rtol=1e-12)
    assert (path.knots[0], path.knots[-1]) == (0.0, 1.0)
    for t, stop in zip(path.knots.tolist(), path.stops, strict=True):
        assert_same(path.at(t), stop)


@pytest.mark.parametrize("legs", [2, 3, 5, 6, 7, 9, 11, 49])
def test_thirds_and_sevenths_hit_their_keyframes(legs: int) -> None:
    """k/n is keyframe k of a path of n equal legs, though thirds and sevenths are not binary."""
    path = chain([2] * (legs + 1))
    for k, stop in enumerate(path.stops):
        assert_same(path.at(k / legs), stop)
        assert_same(path.at(min(k * (1 / legs), 1.0)), stop)


@pytest.mark.parametrize("ending", [STOP, PING_PONG, LOOP])
@pytest.mark.parametrize("per_leg", [1, 3, 7])
def test_a_schedule_of_whole_legs_shows_every_keyframe(ending: str, per_leg: int) -> None:
    """A schedule with n frames per leg stands on the keyframes every n frames."""
    path = chain([3] * 4)
    path = path.closed() if ending == LOOP else path
    there = len(path.all_legs) * per_leg
    count = {STOP: there + 1, LOOP: there, PING_PONG: 2 * there + 1}[ending]
    frames = as_clouds(sample(path, times(count, ending=ending).values))
    for f in range(0, min(there + 1, count), per_leg):
        assert_same(frames[f], path.stops[f // per_leg])


# Speed and length


@BY_METHOD
@given(two=any_two_clouds(), u=INSIDE, seed=SEEDS)
def test_a_frame_is_the_weighted_mean_of_the_pairs(method: str, two: Two, u: float, seed: int):
    """z_i(u) = (1−u)·x_i + u·y_σ(i), and so is the pooled vector."""
    x, y = (
        PointCloud(one.points, {POOLED: normal(k, 1, 4, dtype=torch.float64)})
        for k, one in enumerate(two)
    )
    leg = couple(x, y, method, seed)
    z = blend(leg, u)
    expected = (1 - u) * x.points[0][leg.source_rows[0]] + u * y.points[0][leg.target_rows[0]]
    torch.testing.assert_close(z.points[0], expected)
    pooled = (1 - u) * x.extras[POOLED] + u * y.extras[POOLED]
    torch.testing.assert_close(z.extras[POOLED], pooled)


@given(any_two_clouds(), INSIDE, INSIDE)
def test_the_optimal_path_is_a_constant_speed_geodesic(two: Two, s: float, t: float) -> None:
    """W₂(z(s), z(t)) = |t−s|·W₂(x, y), with every row written on the middle's row count."""
    path = path_of_coupling(couple(*two))
    at_s, at_t = (one_by_one(path, at, path.legs[0].pairs) for at in (s, t))
    expected = abs(t - s) * path.legs[0].cost
    assert couple(at_s, at_t).cost == pytest.approx(expected, rel=1e-5, abs=1e-4)


@BY_METHOD
@given(two=any_two_clouds(), ts=st.lists(INSIDE, max_size=8), seed=SEEDS)
def test_the_length_of_a_leg_is_the_cost_of_its_coupling(
    method: str, two: Two, ts: list[float], seed: int
) -> None:
    """Steps between frames sum to the coupling's cost, for every method and any times."""
    leg = couple(*two, method, seed)
    x, y = (
        one.points[0][rows[0]]
        for one, rows in ((two[0], leg.source_rows), (two[1], leg.target_rows))
    )
    rows = [x, *(blend(leg, t).points[0] for t in sorted(ts)), y]
    length = sum(float((b - a).norm()) for a, b in pairwise(rows))
    assert length == pytest.approx(leg.cost, rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=5))
def test_a_chain_runs_through_a_leg_at_constant_speed(weights: list[float]) -> None:
    """Between two knots equal times are equal distances: cost of the leg over its share."""
    path = chain([4] * len(weights), weights, dtype=torch.float64)
    for k, (start, end) in enumerate(pairwise(path.knots.tolist())):
        inside = np.linspace(start, end, 6)[1:-1]
        frames = [path.at(t).points for t in inside]
        steps = [float((b - a).norm()) for a, b in pairwise(frames)]
        assert steps == pytest.approx([path.legs[k].cost / 5] * 3, rel=1e-9)


# Loops


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_closed_path_ends_where_it_began(count: int) -> None:
    """t = 1 of a loop is the first keyframe; its last leg leads there from the last one."""
    path = chain([4] * count).closed()
    assert_same(path.at(0.0), path.stops[0])
    assert_same(path.at(1.0), path.stops[0])
    assert len(path.all_legs) == count
    assert path.closing is not None
    assert path.closing.source is path.keyframes[-1].cloud
    assert path.closing.target is path.keyframes[0].cloud


def test_closing_a_closed_path_changes_nothing() -> None:
    """A loop is closed once."""
    path = chain([4, 4, 4]).closed()
    assert path.closed() is path


def test_the_closing_leg_is_made_as_the_first_keyframe_says() -> None:
    """Method, seed and weight of the first keyframe describe the leg that ends there."""
    first = Keyframe(cloud(0, 6), weight=3.0, method=RANDOM, seed=42)
    middle, last = Keyframe(cloud(1, 6)), Keyframe(cloud(2, 6), method=ROW_ORDER)
    path = path_through(first, middle, last).closed()
    expected = couple(last.cloud, first.cloud, RANDOM, 42)
    assert path.closing is not None
    assert (path.closing.method, path.closing.seed) == (RANDOM, 42)
    assert torch.equal(path.closing.target_rows, expected.target_rows)
    assert path.knots.tolist() == pytest.approx([0.0, 0.2, 0.4, 1.0])


@BY_METHOD
@pytest.mark.parametrize(("m", "n"), [(6, 6), (4, 6), (2, 4)])
def test_two_keyframes_return_by_the_pairs_they_came_by(method: str, m: int, n: int) -> None:
    """A loop through two prompts with one coupling shows the same clouds on both ways."""
    path = path_through(
        *(Keyframe(cloud(k, rows), method=method, seed=5) for k, rows in enumerate((m, n)))
    ).closed()
    for t in (0.05, 0.25, 0.4):
        assert measure_gap(path.at(t).points[0], path.at(1 - t).points[0]) < 1e-5


def test_two_optimal_keyframes_return_by_their_pairs_whatever_their_seeds() -> None:
    """Seeds matter to "random" alone: tied optimal pairs do not change on the way back."""
    # Row i of y is far from row i of x and equally near to the others: both 3-cycles are optimal.
    x, y = (PointCloud(sign * torch.eye(3)[None], {}) for sign in (1, -1))
    path = path_through(Keyframe(x, seed=1), Keyframe(y, seed=2)).closed()
    assert measure_gap(path.at(0.25).points[0], path.at(0.75).points[0]) < 1e-6


def test_two_random_keyframes_return_by_pairs_of_another_seed() -> None:
    """The way back is drawn from the first keyframe's seed if that is not the seed of the way."""
    x, y = (Keyframe(cloud(k, 6), method=RANDOM, seed=k) for k in (1, 2))
    path = path_through(x, y).closed()
    assert path.closing is not None
    expected = couple(y.cloud, x.cloud, RANDOM, 1)
    assert torch.equal(path.closing.target_rows, expected.target_rows)


# Legs


def test_every_leg_is_coupled_as_its_keyframe_says() -> None:
    """The leg that ends at a keyframe has that keyframe's method and seed."""
    keyframes = [
        Keyframe(cloud(k, 6), method=method, seed=10 + k)
        for k, method in enumerate((ROW_ORDER, RANDOM, OPTIMAL, ROW_ORDER))
    ]
    path = path_through(*keyframes)
    for leg, (a, b) in zip(path.legs, pairwise(keyframes), strict=True):
        expected = couple(a.cloud, b.cloud, b.method, b.seed)
        assert (leg.method, leg.seed) == (b.method, b.seed)
        assert torch.equal(leg.target_rows, expected.target_rows)


def test_appending_leaves_the_shorter_path_as_it_was() -> None:
    """One path can branch into several: a path never changes."""
    stem = chain([4, 4])
    stem.append(Keyframe(cloud(9, 4, pooled_output=normal(9, 1, 5))), ("a", "b"))
    assert (len(stem.keyframes), len(stem.legs)) == (2, 1)


@given(clouds())
def test_a_coupling_is_the_path_of_its_one_leg(two: Two) -> None:
    """A coupling accepted as a path keeps its pairs and its two ends."""
    leg = couple(*two, RANDOM, seed=3)
    path = path_of_coupling(leg)
    assert path.legs == (leg,)
    assert path.stops == tuple(two)
    assert_same(path.at(0.5), blend(leg, 0.5))
    assert [(k.method, k.seed) for k in path.keyframes] == [(RANDOM, 3)] * 2


@BY_METHOD
def test_a_batch_of_prompts_blends_prompt_by_prompt(method: str) -> None:
    """Path.at of a batch is the batch of what each prompt gives alone."""
    x, y = cloud(0, 4, batch=3), cloud(1, 4, batch=3)
    z = blend(couple(x, y, method, seed=2), 0.4).points
    for b in range(3):
        a, c = (PointCloud(one.points[b : b + 1], {}) for one in (x, y))
        assert torch.equal(z[b], blend(couple(a, c, method, seed=2), 0.4).points[0])
