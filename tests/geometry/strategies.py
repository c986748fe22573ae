"""Clouds for tests of laws: small, seeded, with ties and without, and ways to compare them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from geodesic_morph.geometry.cloud import PointCloud
from geodesic_morph.geometry.coupling import RESOLUTION, Coupling, squared_distances

# Row counts that differ and still have a small common multiple, both ways round.
UNEQUAL_ROWS = ((1, 5), (2, 4), (4, 2), (3, 9), (4, 6), (6, 4), (6, 9), (8, 12), (10, 4), (7, 1))

SEEDS = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers from their own seed."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def cloud(
    seed: int,
    rows: int,
    width: int = 6,
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
    **extras: Any,
) -> PointCloud:
    """A cloud of normal rows."""
    return PointCloud(normal(seed, batch, rows, width, dtype=dtype), extras)


def cloud_of(rows: Any, **extras: Any) -> PointCloud:
    """A batch of one from its rows [N, D], in float64 unless they are a tensor already."""
    points = rows if isinstance(rows, Tensor) else torch.tensor(rows, dtype=torch.float64)
    return PointCloud(points[None], extras)


@st.composite
def rows_of(draw: st.DrawFn, rows: int, width: int) -> Tensor:
    """[N, D] float64: normal, or on a coarse lattice, where rows coincide and costs tie."""
    if draw(st.booleans()):
        return normal(draw(SEEDS), rows, width, dtype=torch.float64)
    numbers = draw(st.lists(st.integers(-2, 2), min_size=rows * width, max_size=rows * width))
    return torch.tensor(numbers, dtype=torch.float64).reshape(rows, width) / 2


Two = tuple[PointCloud, PointCloud]


@st.composite
def clouds(draw: st.DrawFn) -> Two:
    """Two clouds of one row count, 2 to 12, and one width, 2 to 8."""
    x, y, _ = draw(three_clouds())
    return x, y


@st.composite
def three_clouds(draw: st.DrawFn) -> tuple[PointCloud, PointCloud, PointCloud]:
    """Three clouds of one row count, 2 to 12, and one width, 2 to 8."""
    rows, width = draw(st.integers(2, 12)), draw(st.integers(2, 8))
    x, y, z = (cloud_of(draw(rows_of(rows, width))) for _ in range(3))
    return x, y, z


@st.composite
def unequal_clouds(draw: st.DrawFn) -> Two:
    """Two clouds whose row counts differ."""
    m, n = draw(st.sampled_from(UNEQUAL_ROWS))
    width = draw(st.integers(2, 8))
    return cloud_of(draw(rows_of(m, width))), cloud_of(draw(rows_of(n, width)))


def any_two_clouds() -> st.SearchStrategy[Two]:
    """Two clouds, of equal row counts or not."""
    return st.one_of(clouds(), unequal_clouds())


def slack(x: PointCloud, y: PointCloud) -> float:
    """How far above the least squared cost `RESOLUTION` allows a coupling of two clouds to be."""
    largest = max(
        float(squared_distances(a, b).max()) for a, b in zip(x.points, y.points, strict=True)
    )
    return float(np.lcm(x.rows, y.rows)) * x.batch * largest * RESOLUTION + 1e-12


def pairs(coupling: Coupling, b: int = 0) -> list[tuple[int, int]]:
    """The pairs of one prompt, sorted."""
    rows = coupling.source_rows[b].tolist(), coupling.target_rows[b].tolist()
    return sorted(zip(*rows, strict=True))


def measure_gap(x: Tensor, y: Tensor) -> float:
    """The largest distance of two row sets [N, D] matched at best: 0 for the same measure."""
    distances = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")
    i, j = linear_sum_assignment(distances.numpy() ** 2)
    return float(distances[torch.from_numpy(i), torch.from_numpy(j)].max())


def global_random_state() -> tuple[bytes, str, object]:
    """The global random states of torch, numpy and Python, which must not change."""
    numpy_state = repr(np.random.get_state())  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes(), numpy_state, random.getstate()


def refused(attempt: Callable[[], Any], *parts: str) -> None:
    """The call raises a ValueError whose message contains these parts in this order."""
    with pytest.raises(ValueError, match=r"(?s)" + ".*".join(re.escape(part) for part in parts)):
        attempt()
