"""Optimal couplings against POT's exact solver on the same distances, D = 768."""

from __future__ import annotations

import ot
import torch

from dev.measure import Row, paired
from geodesic_morph.geometry.cloud import PointCloud
from geodesic_morph.geometry.coupling import couple

SIZES = (77, 154, 512, 1024)


def rows() -> list[Row]:
    return [_row(n) for n in SIZES]


def _row(n: int) -> Row:
    generator = torch.Generator().manual_seed(n)
    x, y = torch.randn(2, 1, n, 768, generator=generator)
    source, target = PointCloud(x, {}), PointCloud(y, {})

    def theirs() -> None:
        cost = ot.dist(x[0].double().numpy(), y[0].double().numpy())
        ot.emd([], [], cost, numItermax=10_000_000)

    return paired(f"coupling, {n} rows, against ot.emd", lambda: couple(source, target), theirs)
