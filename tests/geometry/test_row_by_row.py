"""Row order takes prompts of any lengths and masks; zeros stand for the rows that are missing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from geodesic_morph.geometry.cloud import PointCloud
from geodesic_morph.geometry.coupling import OPTIMAL, ROW_ORDER, Coupling, couple, relative_cost
from geodesic_morph.geometry.path import Keyframe, Path, blend, path_of_coupling, sample
from tests.geometry.strategies import UNEQUAL_ROWS, cloud, normal

# Row counts without a small common multiple, both ways round.
COPRIME = ((23, 31), (31, 23), (2, 3), (256, 263))
BY_COUNTS = pytest.mark.parametrize(("m", "n"), COPRIME)
LLAMA = "conditioning_llama3"


def zeros_behind(points: Tensor, rows: int) -> Tensor:
    """[1, N, D] with zeros up to `rows`, as ConditioningAverage writes them."""
    missing = torch.zeros(1, rows - points.shape[1], points.shape[2], dtype=points.dtype)
    return torch.cat([points, missing], dim=1)


def row_by_row(m: int, n: int, **extras: tuple[Any, Any]) -> Coupling:
    """Two prompts in row order; extras: the values of both."""
    both = ({key: pair[k] for key, pair in extras.items() if pair[k] is not None} for k in (0, 1))
    source, target = (cloud(k, r, **e) for k, (r, e) in enumerate(zip((m, n), both, strict=True)))
    return couple(source, target, ROW_ORDER)


@BY_COUNTS
@pytest.mark.parametrize("u", [0.25, 0.5, 0.9])
def test_the_shorter_prompt_is_filled_up_with_zeros(m: int, n: int, u: float) -> None:
    """Inside a leg: (1 - u) · source + u · target, with zeros where a row is missing."""
    leg, rows = row_by_row(m, n), max(m, n)
    a, b = (zeros_behind(c.points, rows) for c in (leg.source, leg.target))
    torch.testing.assert_close(blend(leg, u).points, (1 - u) * a + u * b)


@BY_COUNTS
def test_both_ends_are_the_prompts_in_their_own_length(m: int, n: int) -> None:
    """Nothing is added to a keyframe, in a path and in its frames."""
    leg = row_by_row(m, n)
    path = path_of_coupling(leg)
    frames = sample(path, [0.0, 0.5, 1.0])
    assert sum(len(group.points) for group in frames) == 3
    for end, t, group, f in ((leg.source, 0.0, frames[0], 0), (leg.target, 1.0, frames[-1], -1)):
        assert torch.equal(path.at(t).points, end.points)
        assert torch.equal(group.points[f], end.points[0])


@BY_COUNTS
def test_the_frames_of_a_leg_are_one_batch(m: int, n: int) -> None:
    """Frames between the ends have equally many rows, and equal those made one by one."""
    path = path_of_coupling(row_by_row(m, n))
    inside = [0.2, 0.4, 0.6]
    (group,) = sample(path, inside)
    for points, t in zip(group.points, inside, strict=True):
        torch.testing.assert_close(points[None], path.at(t).points)


@BY_COUNTS
def test_cost_and_the_least_cost_count_all_rows(m: int, n: int) -> None:
    """The cost is the distance of the padded prompts, and no pairing of their rows costs less."""
    leg, rows = row_by_row(m, n), max(m, n)
    a, b = (zeros_behind(c.points, rows).double() for c in (leg.source, leg.target))
    assert leg.cost == pytest.approx(float((a - b).norm()))
    padded = couple(PointCloud(a, {}), PointCloud(b, {}), OPTIMAL)
    assert relative_cost([leg]) == pytest.approx(leg.cost / padded.cost)
    assert relative_cost([leg]) >= 1


@BY_COUNTS
def test_the_way_back_passes_the_same_prompts(m: int, n: int) -> None:
    """A loop of two prompts shows the same rows on both ways."""
    leg = row_by_row(m, n)
    path = path_of_coupling(leg).closed()
    for t in (0.1, 0.3, 0.45):
        torch.testing.assert_close(path.at(t).points, path.at(1 - t).points)


@pytest.mark.parametrize(("m", "n"), UNEQUAL_ROWS)
def test_lengths_with_a_common_multiple_are_repeated(m: int, n: int) -> None:
    """Rows of zeros are added only where repeating is impossible."""
    leg = row_by_row(m, n)
    assert not leg.is_padded
    assert leg.pairs == math.lcm(m, n)


@pytest.mark.parametrize("batch", [1, 3])
def test_every_prompt_of_a_batch_is_filled_up(batch: int) -> None:
    """A batch of couplings is its prompts' own."""
    x, y = cloud(0, 4, batch=batch), cloud(1, 7, batch=batch)
    z = blend(couple(x, y, ROW_ORDER), 0.5).points
    for b in range(batch):
        first, second = (PointCloud(c.points[b : b + 1], {}) for c in (x, y))
        one = couple(first, second, ROW_ORDER)
        assert torch.equal(z[b : b + 1], blend(one, 0.5).points)


def test_a_path_goes_on_through_any_lengths() -> None:
    """Three prompts of 5, 7 and 12 rows in a loop: every keyframe as it was, all frames finite."""
    path = Path((Keyframe(cloud(0, 5), method=ROW_ORDER),))
    for k, rows in ((1, 7), (2, 12)):
        path = path.append(Keyframe(cloud(k, rows), method=ROW_ORDER), ("previous", "conditioning"))
    path = path.closed()
    for knot, stop in zip(path.knots, path.stops, strict=True):
        assert torch.equal(path.at(float(knot)).points, stop.points)
    counts = [group.points.shape[1] for group in sample(path, [k / 12 for k in range(12)])]
    assert counts == [5, 7, 12]


# Masks


def mask(*shown: int) -> Tensor:
    return torch.tensor([shown])


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_between_the_prompts_a_row_is_read_if_one_of_them_shows_it(dtype: torch.dtype) -> None:
    """Masks of one shape and of two: their union inside the leg, each prompt's own at its end."""
    for a, b, both in (
        (mask(1, 1, 0, 0), mask(1, 0, 1, 0), mask(1, 1, 1, 0)),
        (mask(1, 0), mask(1, 1, 1, 0), mask(1, 1, 1, 0)),
        (mask(1, 1, 1, 0), mask(0, 1), mask(1, 1, 1, 0)),
    ):
        masks = a.to(dtype), b.to(dtype)
        leg = row_by_row(a.shape[1], b.shape[1], attention_mask=masks)
        found = blend(leg, 0.3)
        assert torch.equal(found.extras["attention_mask"], both.to(dtype))
        assert found.rows == both.shape[1]
        for u, own in zip((0.0, 1.0), masks, strict=True):
            assert blend(leg, u).extras["attention_mask"] is own


def test_prompts_with_masks_are_never_repeated() -> None:
    """2 rows with 4 would be repeated without masks; with one, its places would be wrong."""
    leg = row_by_row(2, 4, attention_mask=(mask(1, 1), mask(1, 1, 1, 0)))
    assert leg.is_padded
    assert leg.pairs == 4


@pytest.mark.parametrize("without", [0, 1])
def test_a_prompt_without_a_mask_shows_all_rows(without: int) -> None:
    """Nothing is hidden between a prompt with a mask and one without."""
    masks = [None if k == without else mask(1, 1, 0, 0) for k in (0, 1)]
    leg = row_by_row(4, 4, attention_mask=(masks[0], masks[1]))
    assert "attention_mask" not in blend(leg, 0.5).extras
    assert ("attention_mask" in blend(leg, float(without)).extras) is False
    assert blend(leg, float(1 - without)).extras["attention_mask"] is masks[1 - without]


def test_relative_cost_of_masked_prompts_is_that_of_all_rows() -> None:
    """Prompts whose hidden rows differ have a least cost too: that of pairing any row with any."""
    leg = row_by_row(4, 4, attention_mask=(mask(1, 1, 0, 0), mask(1, 1, 1, 0)))
    first, second = (PointCloud(c.points, {}) for c in (leg.source, leg.target))
    plain = couple(first, second, ROW_ORDER)
    assert relative_cost([leg]) == pytest.approx(relative_cost([plain]))


# Rows of further encoders


def test_further_rows_are_blended_like_the_prompts_own() -> None:
    """HiDream's Llama rows [1, layers, rows, width]: averaged, the shorter filled up with zeros."""
    a, b = normal(5, 1, 2, 4, 6), normal(6, 1, 2, 7, 6)
    leg = row_by_row(3, 3, **{LLAMA: (a, b)})
    expected = 0.75 * torch.nn.functional.pad(a, (0, 0, 0, 3)) + 0.25 * b
    torch.testing.assert_close(blend(leg, 0.25).extras[LLAMA], expected)
    assert blend(leg, 0.0).extras[LLAMA] is a


def test_rows_that_one_prompt_lacks_fade() -> None:
    """HunyuanImage's ByT5 rows exist only for prompts with quoted words."""
    rows = normal(5, 1, 4, 6)
    leg = row_by_row(3, 3, conditioning_byt5small=(None, rows))
    torch.testing.assert_close(blend(leg, 0.25).extras["conditioning_byt5small"], 0.25 * rows)
    assert "conditioning_byt5small" not in blend(leg, 0.0).extras


def test_frames_with_further_rows_are_one_batch() -> None:
    """Every frame's further rows are joined like its own."""
    path = path_of_coupling(
        row_by_row(3, 3, **{LLAMA: (normal(5, 1, 2, 4, 6), normal(6, 1, 2, 4, 6))})
    )
    times = [0.0, 0.5, 1.0]
    (group,) = sample(path, times)
    for k, t in enumerate(times):
        torch.testing.assert_close(group.extras[LLAMA][k : k + 1], path.at(t).extras[LLAMA])


@pytest.mark.parametrize(
    ("key", "a", "b"),
    [
        (LLAMA, normal(1, 1, 4, 6), normal(2, 1, 4, 8)),
        (LLAMA, torch.ones(1, 4, 6, dtype=torch.int64), torch.zeros(1, 4, 6, dtype=torch.int64)),
        ("attention_mask", torch.ones(1, 4), torch.ones(2, 4)),
        ("attention_mask", torch.ones(1, 1, 4), torch.ones(1, 4)),
    ],
)
def test_what_is_no_rows_or_mask_is_refused(key: str, a: Tensor, b: Tensor) -> None:
    """Rows of two widths, numbers of tokens, and masks of another shape have nothing between."""
    with pytest.raises(ValueError, match=f"'{key}' must be equal"):
        row_by_row(4, 4, **{key: (a, b)})


@pytest.mark.parametrize("key", [LLAMA, "attention_mask"])
def test_other_pairings_refuse_them_and_name_row_order(key: str) -> None:
    """Optimal transport pairs the rows of one encoder alone, and says what else there is."""
    values = (normal(1, 1, 4, 6), normal(2, 1, 4, 6)) if key == LLAMA else (mask(1, 0), mask(0, 1))
    x, y = (PointCloud(normal(k, 1, 2, 6), {key: value}) for k, value in enumerate(values))
    with pytest.raises(ValueError, match=r"minimum-length option.*'row order'"):
        couple(x, y, OPTIMAL)
