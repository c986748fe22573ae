"""Geodesics of the metric JᵀJ of the score: along the data, not across it.

Saito & Matsubara (arXiv 2504.20288, 2510.05509): with s = ∇ log p and J its Jacobian, a step v is
as long as the change of the score along it, ‖J v‖. Off the data the score changes fast, along them
hardly, so shortest paths keep to the data without going where they are densest. The energy

    E = ½ ∫ ‖J γ'‖² dt  ≈  n/2 Σ ‖d_j‖²,   d_j = s(x_{j+1}) − s(x_j),

has the gradient n Jᵀ(d_{j−1} − d_j) at knot j. J is symmetric, because s is a gradient, so Jᵀw is
the derivative of s along w: a central difference of two scores, without a backward pass through the
model. That holds for the true score, not for differences of scores.

Steps are preconditioned by the second difference along the path (the gradient in H¹ instead of L²),
which is Newton's step where J is a multiple of the identity, and are halved until the energy falls.
The search goes from coarse to fine as in `boundary`. Known fault: with few knots a leg may span a
gap between places of equal scores, and the path can end with more energy than the straight line.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .boundary import Progress, Score, Solution, Watch, check_score
from .curve import Curve, has_equal_ends, line

DIFFERENCE = 1e-2  # how far a central difference reaches, as a share of a point's norm
HALVINGS = 6  # of a step that does not lower the energy; then the level ends
BALANCED = 1e-4  # a level also ends when a step lowers the energy by less than this share


def solve(
    start: Tensor,
    end: Tensor,
    score: Score,
    *,
    levels: int = 4,
    iterations: int = 30,
    learning_rate: float = 1.0,
    spherical: bool = True,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Solution:
    """The geodesic between two points [D], with 2^levels legs.

    learning_rate: of the preconditioned step; 1 is Newton's for a Gaussian. score, progress, watch,
    spherical: as for `boundary.solve`. A leg's two scores are taken at the time of its middle, so
    that a prompt that changes along the path adds no length of its own. The history holds √(2E)
    before each iteration: on a geodesic, where all legs are equally long, its length. Raises
    ValueError for ends without a unique arc, and for scores that are not finite.
    """
    curve = line(start, end, spherical)
    is_constant = has_equal_ends(curve)
    total = levels * iterations
    history: list[tuple[float, ...]] = []
    for level in range(levels):
        curve = curve.refined()
        if is_constant:
            continue
        before = level * iterations
        step = progress and (lambda done, _, before=before: progress(before + done, total))
        curve, lengths = relax(curve, score, iterations, learning_rate, step)
        history.append(lengths)
        if watch and level < levels - 1:
            watch(Solution(curve, tuple(history)))
    if progress:
        progress(total, total)
    return Solution(curve, tuple(history))


def relax(
    curve: Curve,
    score: Score,
    iterations: int,
    learning_rate: float = 1.0,
    progress: Progress | None = None,
) -> tuple[Curve, tuple[float, ...]]:
    """Lower the energy of a curve. Returns the curve, and √(2E) before each step.

    `progress(done, most)` is called before each step and may raise to cancel.
    """
    lengths: list[float] = []
    changes = changes_along(curve, score)
    for i in range(iterations):
        if progress:
            progress(i, iterations)
        before = energy(changes)
        lengths.append((2 * before) ** 0.5)
        found = _lower(curve, changes, score, learning_rate)
        if found is None:
            break
        curve, changes = found
        if before - energy(changes) <= BALANCED * before:
            break
    return curve, tuple(lengths)


def energy(changes: Tensor) -> float:
    """n/2 Σ ‖d_j‖² of the changes of the score over n legs, [n, D]."""
    return float(changes.double().square().sum()) * len(changes) / 2


def changes_along(curve: Curve, score: Score) -> Tensor:
    """d_j over every leg [n, D], by the score at the time of the leg's middle."""
    middles = [(j + 0.5) / curve.legs for j in range(curve.legs)]
    both = check_score(score(torch.cat([curve.knots[:-1], curve.knots[1:]]), middles * 2))
    first, last = both.chunk(2)
    return last - first


def _lower(
    curve: Curve, changes: Tensor, score: Score, learning_rate: float
) -> tuple[Curve, Tensor] | None:
    """The curve after one step that lowers the energy, and its changes; None if none does."""
    gradient = curve.tangent(curve.inner, energy_gradient(curve, changes, score))
    # How much the score changes for a step of length 1, squared, in the mean over the path.
    stretch = float(changes.square().sum()) / max(
        float((curve.knots[1:] - curve.knots[:-1]).square().sum()), torch.finfo().tiny
    )
    if not stretch > 0:
        return None
    move = -learning_rate / stretch * _smoothed(gradient)
    before = energy(changes)
    for _ in range(HALVINGS):
        moved = curve.with_inner(curve.inner + move)
        found = changes_along(moved, score)
        if energy(found) < before:
            return moved, found
        move = move / 2
    return None


def energy_gradient(curve: Curve, changes: Tensor, score: Score) -> Tensor:
    """Jᵀ(d_{j−1} − d_j) at the inner knots, [n−1, D]: the energy's gradient, divided by n."""
    directions = changes[:-1] - changes[1:]
    norms = directions.norm(dim=1, keepdim=True).clamp_min(torch.finfo(directions.dtype).tiny)
    reach = DIFFERENCE * curve.inner.norm(dim=1, keepdim=True).clamp_min(1e-6) / norms
    step = reach * directions
    points = torch.cat([curve.inner + step, curve.inner - step])
    ahead, back = check_score(score(points, curve.times[1:-1] * 2)).chunk(2)
    return (ahead - back) / (2 * reach)


def _smoothed(gradient: Tensor) -> Tensor:
    """The solution m of −(m_{j−1} − 2m_j + m_{j+1}) = gradient_j with m = 0 at both ends."""
    count = len(gradient)
    second = 2 * torch.eye(count, dtype=torch.float64)
    off = -torch.ones(count - 1, dtype=torch.float64)
    system = second + torch.diag(off, 1) + torch.diag(off, -1)
    return torch.linalg.solve(system, gradient.double().cpu()).to(gradient)
