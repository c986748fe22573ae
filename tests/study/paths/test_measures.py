"""Paths on which mass fades: attention sees the measure that is meant."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from study.paths.measures import Measures, mixture, unbalanced

N, D = 7, 16


@pytest.fixture
def clouds() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(3)
    return torch.randn(N, D, generator=g), torch.randn(N, D, generator=g)


def attended(rows: Tensor) -> Tensor:
    """What a query gets from rows by softmax attention."""
    query = torch.linspace(-1, 1, D)[None]
    return F.scaled_dot_product_attention(query[None], rows[None], rows[None])[0]


def weighted(x: Tensor, y: Tensor, t: float) -> Tensor:
    """Attention over the rows of both, with masses 1 − t and t."""
    query, both = torch.linspace(-1, 1, D), torch.cat([x, y])
    mass = torch.cat([torch.full((N,), 1 - t), torch.full((N,), t)])
    weights = mass * torch.exp(both @ query / D**0.5)
    return (weights / weights.sum()) @ both


@pytest.mark.parametrize("t", [0.0, 1 / 12, 0.25, 0.5, 11 / 12, 1.0])
def test_attention_to_a_mixture_is_attention_with_masses(
    clouds: tuple[Tensor, Tensor], t: float
) -> None:
    rows = mixture(*clouds).at(t)
    torch.testing.assert_close(attended(rows)[0], weighted(*clouds, t), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("moved", [0.0, 0.5, 1.0])
def test_ends_are_the_two_clouds(clouds: tuple[Tensor, Tensor], moved: float) -> None:
    """As sets: rows stand in another order, and attention ignores it."""
    path = unbalanced(*clouds, moved)
    for t, cloud in zip((0.0, 1.0), clouds, strict=True):
        found = {tuple(row.tolist()) for row in path.at(t)}
        assert found == {tuple(row.tolist()) for row in cloud}


def test_where_all_mass_moves_it_moves_along_straight_lines(clouds: tuple[Tensor, Tensor]) -> None:
    path = unbalanced(*clouds, 1.0)
    assert len(path.leaving) == len(path.coming) == 0
    middle = path.at(0.5).view(2, N, D)  # half of a row is one of two copies
    torch.testing.assert_close(middle[0], (path.start + path.end) / 2)
    torch.testing.assert_close(middle[0], middle[1])


def test_the_rows_that_move_are_those_that_move_least(clouds: tuple[Tensor, Tensor]) -> None:
    """Of two equal clouds but for one row, that row fades and all others stay."""
    x = clouds[0]
    y = x.clone()
    y[2] += 100
    path = unbalanced(x, y, (N - 1) / N)
    torch.testing.assert_close(path.start, path.end)
    torch.testing.assert_close(path.leaving, x[2:3])
    torch.testing.assert_close(path.coming, y[2:3])


def test_times_are_grouped_by_their_number_of_rows(clouds: tuple[Tensor, Tensor]) -> None:
    """And every time is in one group, with its own rows."""
    path: Measures = mixture(*clouds)
    times = [k / 12 for k in range(13)]
    groups = path.rows({"key": 1})(times)
    assert sorted(i for own, *_ in groups for i in own) == list(range(13))
    for own, points, extras in groups:
        assert extras == {"key": 1}
        for i, rows in zip(own, points, strict=True):
            torch.testing.assert_close(rows, path.at(times[i]))
    counts = [points.shape[1] for _, points, _ in groups]
    assert all(a < b for a, b in pairwise(counts))
