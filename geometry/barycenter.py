"""The Wasserstein barycentre of K prompts (Which Way from B to A, equation 4, for any K).

The fixed point X ← Σ_k λ_k Y_k[σ_k], with σ_k the optimal coupling of X to Y_k, lowers the
objective Σ_k λ_k W₂²(X, Y_k) at every step (Cuturi & Doucet 2014; Álvarez-Esteban et al. 2016). It
is not convex, so it is started from every cloud and the best end is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .cloud import PointCloud, repeat_rows
from .coupling import Coupling, common_rows, couple
from .extras import average, check_extras, mix_extras
from .weights import normalised

# Objectives nearer than this, relatively, are equal; the earlier start is then kept.
SAME_OBJECTIVE = 1e-9
MAX_STEPS = 100


@dataclass(frozen=True, eq=False)
class Barycenter:
    """The barycentre, and Σ_k λ_k W₂²(X, Y_k) there."""

    cloud: PointCloud
    objective: float


def barycenter(
    clouds: Sequence[PointCloud],
    weights: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Barycenter:
    """The weighted barycentre of K clouds [1, N, D]; equal weights when none are given.

    A weight of 1 returns that cloud exactly; two clouds give a point of their geodesic, in the
    row order of the first. `progress(done, at most)` is called before each step and may raise.
    Raises ValueError for weights that do not fit, and whatever `couple` raises.
    """
    shares = normalised(weights, len(clouds))
    if any(cloud.batch != 1 for cloud in clouds):
        raise ValueError(
            "path: expected one prompt per keyframe, got a batch. Split the batch before the path."
        )
    used = [k for k, share in enumerate(shares) if share > 0]
    names = [f"keyframe {k + 1}" for k in used]
    chosen, shares = [clouds[k] for k in used], [shares[k] for k in used]
    if len(chosen) == 1:
        return Barycenter(chosen[0], 0.0)
    check_extras([cloud.extras for cloud in chosen], names)
    best: tuple[float, Tensor] | None = None
    for start in range(len(chosen)):
        found = _descend(chosen, shares, names, start, progress)
        if best is None or found[0] < best[0] * (1 - SAME_OBJECTIVE):
            best = found
    assert best is not None
    if progress:
        progress(len(chosen) * MAX_STEPS, len(chosen) * MAX_STEPS)
    extras = mix_extras([cloud.extras for cloud in chosen], shares, names)
    return Barycenter(PointCloud(best[1], extras), best[0])


def _descend(
    clouds: Sequence[PointCloud],
    weights: Sequence[float],
    names: Sequence[str],
    start: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[float, Tensor]:
    """The fixed point from one cloud: its objective and rows [1, R, D]."""
    rows = common_rows([cloud.rows for cloud in clouds], "path")
    points = repeat_rows(clouds[start].points, rows)
    objective = math.inf
    for step in range(MAX_STEPS):
        if progress:
            # Most descents end within a few steps; the bar only tells that work goes on.
            progress(start * MAX_STEPS + step, len(clouds) * MAX_STEPS)
        moving = PointCloud(points, clouds[start].extras)
        couplings = [_couple_rows(moving, c, name) for c, name in zip(clouds, names, strict=True)]
        reached = sum(w * c.squared_cost for w, c in zip(weights, couplings, strict=True))
        if reached >= objective * (1 - SAME_OBJECTIVE):
            break
        objective = reached
        moved = [c.target.points[:, c.target_rows[0].to(c.target.points.device)] for c in couplings]
        points = average(moved, weights)
    return objective, points


def _couple_rows(moving: PointCloud, cloud: PointCloud, name: str) -> Coupling:
    # All dictionaries were checked against each other once; here only the mask still matters.
    source, target = (PointCloud(c.points, _mask_of(c)) for c in (moving, cloud))
    return couple(source, target, names=("the other keyframes", name))


def _mask_of(cloud: PointCloud) -> dict[str, Any]:
    return {key: cloud.extras[key] for key in ("attention_mask",) if key in cloud.extras}
