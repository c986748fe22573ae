"""Paths on which mass fades instead of moving, for a model that reads rows by cross-attention.

Attention sums over rows, so a row that is there twice has twice the mass. A measure with masses
k/n is therefore rows repeated k times, exactly; nothing in the model is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import ot
import torch
from torch import Tensor

from geometry.coupling import squared_distances

from ..even.engine import Group, Rows

PARTS = 120  # of 1, that t is rounded to


@dataclass(frozen=True, eq=False)
class Measures:
    """Rows that move, [M, D] to [M, D]; rows that fade away [K, D], and rows that appear [L, D]."""

    start: Tensor
    end: Tensor
    leaving: Tensor
    coming: Tensor

    def at(self, t: float) -> Tensor:
        """The rows at a time that is a fraction of few parts: 1/n of a row is one of n copies."""
        part = Fraction(round(t * PARTS), PARTS)
        n, k = part.denominator, part.numerator
        moving = torch.lerp(self.start, self.end, float(part))
        return torch.cat(
            [moving.repeat(n, 1), self.leaving.repeat(n - k, 1), self.coming.repeat(k, 1)]
        )

    def rows(self, extras: dict[str, Any]) -> Rows:
        """For a renderer: times with equal numbers of rows are one group."""

        def rows(times: Sequence[float]) -> list[Group]:
            at = [self.at(t) for t in times]
            counts = sorted({len(one) for one in at})
            groups = [[i for i, one in enumerate(at) if len(one) == count] for count in counts]
            return [(own, torch.stack([at[i] for i in own]), extras) for own in groups]

        return rows


def mixture(x: Tensor, y: Tensor) -> Measures:
    """(1 − t)μ + tν of two clouds [N, D]: no row moves."""
    nothing = x[:0]
    return Measures(nothing, nothing, x, y)


def unbalanced(x: Tensor, y: Tensor, moved: float) -> Measures:
    """The share `moved` of the mass that moves at least cost moves, by partial optimal transport
    (Figalli 2010; POT); the other rows of two clouds [N, D] fade in place.
    """
    count = len(x)
    # A row has mass 1 and whole rows move, so the plan is a partial permutation.
    mass = np.ones(count)
    share = float(round(moved * count))
    plan: Any = ot.partial.partial_wasserstein(mass, mass, squared_distances(x, y), m=share)
    i, j = np.nonzero(np.asarray(plan) > 0.5)
    leaving, coming = (np.setdiff1d(np.arange(count), own) for own in (i, j))
    return Measures(x[i], y[j], x[leaving], y[coming])
