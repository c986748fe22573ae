"""The Wasserstein barycentre of K prompts (Which Way from B to A, equation 4, for any K).

The fixed point X ← Σ_k λ_k Y_k[σ_k], with σ_k the optimal coupling of X to Y_k, lowers the
objective Σ_k λ_k W₂²(X, Y_k) at every step (Cuturi & Doucet 2014; Álvarez-Esteban et al. 2016). It
is not convex, so it is started from every cloud, and the result with the lowest objective is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .cloud import PointCloud, repeat_rows
from .conditioning_keys import average, check_extras, mix_extras
from .coupling import Coupling, common_rows, couple
from .mixing_weights import normalised

# Two objectives whose relative difference is below this count as equal; the earlier start is kept.
SAME_OBJECTIVE = 1e-9
MAX_STEPS = 100


@dataclass(frozen=True, eq=False)
class Barycenter:
    """The barycentre X, and its objective Σ_k λ_k W₂²(X, Y_k)."""

    cloud: PointCloud
    objective: float


def barycenter(
    clouds: Sequence[PointCloud],
    weights: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Barycenter:
    """The weighted barycentre of K clouds [1, N, D]; equal weights when none are given.

    A weight of 1 returns that cloud exactly; two clouds give a point of their geodesic, in the row
    order of the first. `progress(done, most)` is called before each step and may raise to cancel.
    Raises ValueError for weights that `normalised` refuses, and whatever `couple` raises.
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
        result = _descend(chosen, shares, names, start, progress)
        if best is None or result[0] < best[0] * (1 - SAME_OBJECTIVE):
            best = result
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
    """Iterate from one cloud to its fixed point. Returns its objective and its rows [1, R, D]."""
    rows = common_rows([cloud.rows for cloud in clouds], "path")
    points = repeat_rows(clouds[start].points, rows)
    objective = math.inf
    for step in range(MAX_STEPS):
        if progress:
            # Most descents end within a few steps; the bar only shows that the work goes on.
            progress(start * MAX_STEPS + step, len(clouds) * MAX_STEPS)
        moving = PointCloud(points, clouds[start].extras)
        couplings = [_couple_rows(moving, c, name) for c, name in zip(clouds, names, strict=True)]
        new_objective = sum(w * c.squared_cost for w, c in zip(weights, couplings, strict=True))
        if new_objective >= objective * (1 - SAME_OBJECTIVE):
            break
        objective = new_objective
        moved = [c.target.points[:, c.target_rows[0].to(c.target.points.device)] for c in couplings]
        points = average(moved, weights)
    return objective, points


def _couple_rows(moving: PointCloud, cloud: PointCloud, name: str) -> Coupling:
    # The dictionaries were checked once, by `barycenter`; of them only the mask is needed here.
    source, target = (PointCloud(c.points, _mask_of(c)) for c in (moving, cloud))
    return couple(source, target, names=("the other keyframes", name))


def _mask_of(cloud: PointCloud) -> dict[str, Any]:
    return {key: cloud.extras[key] for key in ("attention_mask",) if key in cloud.extras}
