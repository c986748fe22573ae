"""Geodesics of the metric JᵀJ of the score: along the data, not across it.

Saito & Matsubara (arXiv 2504.20288, 2510.05509): with s = ∇ log p and J its Jacobian, a step v is
as long as the change of the score along it, ‖J v‖. Off the data the score changes fast, along them
hardly, so shortest paths keep to the data without going where they are densest. The length

    L = ∫ ‖J γ'‖ dt  ≈  Σ ‖d_j‖,   d_j = s(x_{j+1}) − s(x_j),

has the gradient Jᵀ(d̂_{j−1} − d̂_j) at knot j, with unit vectors d̂. J is symmetric, because s is a
gradient, so Jᵀw is the derivative of s along w: a central difference of two scores, without a
backward pass through the model. That holds for the true score, not for differences of scores, and
for a model only nearly: steps are tried, not trusted.

The papers minimise the energy ½ ∫ ‖J γ'‖² dt, whose solutions are the same curves. Its knots move
apart where the metric is small, until one leg spans the gap between two places of equal scores: a
sum of 0 for a path that is longer than the straight line. Here knots are put at equal Euclidean
distances again after each step (the string method, as in `boundary`), and the length decides
whether a step is taken, measured at twice as many points as there are knots. There is no coarse
level to begin with for the same reason.

Steps go across the path alone, are preconditioned by the second difference along it (the gradient
in H¹ instead of L²), each leg with a weight of its own, and are halved until the length falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .boundary import Progress, Score, Solution, Watch, check_score
from .curve import Curve, has_equal_ends, line, without

DIFFERENCE = 1e-2  # how far a central difference reaches, as a share of a point's norm
HALVINGS = 8  # of a step that does not lower the length; then the search ends
GROWTH = 4.0  # a step begins this much longer than the one before, and never above 1
BALANCED = 1e-4  # the search also ends when a step lowers the length by less than this share
SMALLEST = 0.1  # change of the score that a leg is taken to have at least, as a share of the mean
PIECES = 2  # of each leg, by which lengths are measured


@dataclass(frozen=True, eq=False)
class Measured:
    """A curve, and the change of the score over every piece of its legs [PIECES·n, D]."""

    curve: Curve
    pieces: Tensor

    @property
    def length(self) -> float:
        return float(self.pieces.double().norm(dim=1).sum())

    @property
    def legs(self) -> Tensor:
        """The change of the score over every leg, [n, D]."""
        return self.pieces.reshape(self.curve.legs, PIECES, -1).sum(dim=1)


def solve(
    start: Tensor,
    end: Tensor,
    score: Score,
    *,
    levels: int = 4,
    iterations: int = 48,
    learning_rate: float = 1.0,
    spherical: bool = True,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Solution:
    """The geodesic between two points [D], with 2^levels legs of equal Euclidean length.

    iterations: at most, of all. learning_rate: the largest share of a preconditioned step that is
    taken. score, progress, spherical: as for `boundary.solve`; `watch` is called after each
    quarter of the iterations, with the path so far. The two scores of a piece are taken at the time
    of its middle, so that a prompt that changes along the path adds no length of its own. The
    history holds the lengths, from the great arc's to the path's; they never rise.

    Raises ValueError for ends without a unique arc, and for scores that are not finite.
    """
    legs = 2**levels
    arc = line(start, end, spherical)
    curve = Curve(arc.at([j / legs for j in range(legs + 1)]), spherical)
    if has_equal_ends(arc):
        return Solution(curve, ())
    measured = measure(curve, score)
    lengths = [measured.length]
    share = learning_rate
    for i in range(iterations):
        if progress:
            progress(i, iterations)
        found = _shorter(measured, score, share)
        if found is None:
            break
        measured, share = found[0], min(learning_rate, GROWTH * found[1])
        lengths.append(measured.length)
        if lengths[-2] - lengths[-1] <= BALANCED * lengths[-2]:
            break
        if watch and (i + 1) % max(iterations // 4, 1) == 0 and i + 1 < iterations:
            watch(Solution(measured.curve, (tuple(lengths),)))
    if progress:
        progress(iterations, iterations)
    return Solution(measured.curve, (tuple(lengths),))


def measure(curve: Curve, score: Score) -> Measured:
    """The score's change along a curve, by the score at the time of each piece's middle."""
    count = PIECES * curve.legs
    points = curve.at([k / count for k in range(count + 1)])
    middles = [(k + 0.5) / count for k in range(count)]
    both = check_score(score(torch.cat([points[:-1], points[1:]]), middles * 2))
    first, last = both.chunk(2)
    return Measured(curve, last - first)


def length_gradient(curve: Curve, legs: Tensor, score: Score) -> Tensor:
    """Jᵀd̂_{j−1} − Jᵀd̂_j at the inner knots [n−1, D]: the gradient of Σ ‖d_j‖.

    legs: d_j [n, D]. Each J is that of its leg's middle time: where a prompt changes along the
    path, the two differ by more than d̂_{j−1} and d̂_j do. The unit vectors of changes that are
    nearly 0 are cut short.
    """
    tiny = torch.finfo(legs.dtype).tiny
    units = legs / _norms(legs)[:, None].clamp_min(tiny)
    inner = curve.inner
    reach = DIFFERENCE * inner.norm(dim=1, keepdim=True).clamp_min(1e-6)
    before, after = reach * units[:-1], reach * units[1:]
    middles = [(j + 0.5) / curve.legs for j in range(curve.legs)]
    points = torch.cat([inner + before, inner - before, inner + after, inner - after])
    times = middles[:-1] * 2 + middles[1:] * 2
    scores = check_score(score(points, times)).chunk(4)
    return (scores[0] - scores[1] - scores[2] + scores[3]) / (2 * reach)


def _norms(legs: Tensor) -> Tensor:
    """‖d_j‖ [n], none below a share of their mean."""
    norms = legs.norm(dim=1)
    return norms.clamp_min(SMALLEST * float(norms.mean()))


def _shorter(before: Measured, score: Score, share: float) -> tuple[Measured, float] | None:
    """The curve after a step that makes it shorter, and the step's share; None if none does."""
    curve = before.curve
    if not before.length > 0:
        return None
    gradient = curve.tangent(curve.inner, length_gradient(curve, before.legs, score))
    move = -_smoothed(without(gradient, curve.velocities()), _weights(before))
    for _ in range(HALVINGS):
        found = measure(curve.with_inner(curve.inner + share * move).evenly(), score)
        if found.length < before.length:
            return found, share
        share = share / 2
    return None


def _weights(measured: Measured) -> Tensor:
    """‖J‖²/‖d_j‖ of every leg [n], J along it: by how much a bend of the path costs there."""
    steps = measured.curve.knots[1:] - measured.curve.knots[:-1]
    squares = steps.square().sum(dim=1).clamp_min(torch.finfo(steps.dtype).tiny)
    return _norms(measured.legs) / squares


def _smoothed(gradient: Tensor, weights: Tensor) -> Tensor:
    """The m, 0 at both ends, of w_{j−1}(m_j − m_{j−1}) − w_j(m_{j+1} − m_j) = gradient_j."""
    w = weights.double().cpu()
    system = torch.diag(w[:-1] + w[1:]) - torch.diag(w[1:-1], 1) - torch.diag(w[1:-1], -1)
    return torch.linalg.solve(system, gradient.double().cpu()).to(gradient)
