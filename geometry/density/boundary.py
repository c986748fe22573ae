"""The boundary value problem: the geodesic between two points.

arXiv 2504.06675, section 4 and algorithm 1. With s = ∇ log p, v = γ' and P_v = I − v̂v̂ᵀ the length
∫ ‖γ'‖ p^(−a) dt has the functional gradient a ‖v‖ p^(−a) G,

    G = −(P_v s + (1/a) P_v γ'' / ‖v‖²),

and a geodesic is where G = 0. Knots come in levels: 1 of them between the ends, then 3, 7, 15 …,
each level starting from the path of the one before.

Two things differ from the paper. Plain steps γ ← γ − lr·G move the second part like heat in a
rod: it explodes where lr/a is large, so that no strength near 0 could be had. Here that part is
taken at the end of the step (linearly implicit Euler): the same paths stand still, small steps are
the same, none explodes. And G moves knots sideways alone, so that on a bulging path they crowd and
fold. After each step they are put at equal distances again (the string method; E, Ren and
Vanden-Eijnden 2002, Phys. Rev. B 66, 052301), as they are on a solution of the geodesic equation.

The paper also ends a level as soon as the mean ‖P_v s‖ falls below that of the other part.
Midpoints of a coarse path lie on arcs, where that part is uneven, which can end a level before it
begins. Here a level ends when G is small beside its two parts, or after its iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .curve import Curve, has_equal_ends, line, spline_derivatives, without

# From points [n, D] and their n times on the path to ∇ log p [n, D]. A model's prompt may change
# along the path, so the score may depend on the time too.
Score = Callable[[Tensor, Sequence[float]], Tensor]
Progress = Callable[[int, int], None]

BALANCED = 1e-4  # ‖G‖ beside its parts, where a level has arrived
LONGEST_STEP = 0.5  # of a knot, in distances of two knots: they keep their order
SLOWEST = 1e-3  # speed of a knot, as a share of the mean


@dataclass(frozen=True)
class Residual:
    """How far the inner knots are from a geodesic.

    pull: a·P_v s, push: P_v γ''/‖v‖², both [n−1, D]; they are opposite on a geodesic.
    speeds: ‖v‖ [n−1].
    """

    pull: Tensor
    push: Tensor
    speeds: Tensor

    @property
    def total(self) -> Tensor:
        """−a·G: where the length falls, [n−1, D]. Without 1/a, so that a = 0 has its great arc."""
        return self.pull + self.push

    @property
    def mean_norm(self) -> float:
        """The mean of ‖a·G‖ over the knots."""
        return float(self.total.norm(dim=1).mean())

    @property
    def is_balanced(self) -> bool:
        parts = self.pull.norm(dim=1) + self.push.norm(dim=1)
        return self.mean_norm <= BALANCED * float(parts.mean())


@dataclass(frozen=True, eq=False)
class Solution:
    """A curve, and the mean ‖a·G‖ of every iteration of every level on the way to it."""

    curve: Curve
    history: tuple[tuple[float, ...], ...]


def residual(curve: Curve, score: Tensor, strength: float) -> Residual:
    """G's two parts at the inner knots; score [n−1, D] is ∇ log p there."""
    v = curve.velocities()
    # Where a path turns back on itself it has no direction; that must be large, not infinite.
    least = max(SLOWEST * curve.speed(), torch.finfo(v.dtype).tiny)
    speeds = v.norm(dim=1).clamp_min(least)
    pull = strength * without(curve.tangent(curve.inner, score), v)
    push = without(curve.accelerations(), v) / speeds.square()[:, None]
    return Residual(pull, push, speeds)


def solve(
    start: Tensor,
    end: Tensor,
    score: Score,
    *,
    strength: float,
    levels: int = 4,
    iterations: int = 100,
    learning_rate: float = 0.1,
    spherical: bool = True,
    progress: Progress | None = None,
) -> Solution:
    """The geodesic between two points [D], with 2^levels legs.

    strength: a of the metric p^(−2a); 0 gives the great arc. The learning rate falls evenly to 0
    over all iterations and is shared by a level's points, as in the paper. `progress(done, most)`
    is called before each iteration and may raise. Equal ends give a path that stays there.
    Raises ValueError for ends, strengths or scores that have no path.
    """
    _check(strength, levels, iterations, learning_rate)
    curve = line(start, end, spherical)
    stays = has_equal_ends(curve)
    total = levels * iterations
    history = []
    for level in range(levels):
        curve = curve.refined()
        if stays:
            continue
        before = level * iterations
        rates = [
            learning_rate * (1 - (before + i) / total) / (curve.legs - 1) for i in range(iterations)
        ]
        step = _counted(progress, before, total)
        curve, norms = relax(curve, score, strength, rates, step)
        history.append(norms)
    if progress:
        progress(total, total)
    return Solution(curve, tuple(history))


def relax(
    curve: Curve,
    score: Score,
    strength: float,
    rates: Sequence[float],
    progress: Progress | None = None,
) -> tuple[Curve, tuple[float, ...]]:
    """A curve after a step of each rate, and the mean ‖a·G‖ before each; it ends where G is small.

    `progress(done, most)` is called before each step and may raise.
    """
    norms = []
    times = curve.times[1:-1]
    for i, rate in enumerate(rates):
        if progress:
            progress(i, len(rates))
        found = residual(curve, check_score(score(curve.inner, times)), strength)
        norms.append(found.mean_norm)
        if found.is_balanced:
            break
        moved = curve.with_inner(curve.inner + _step(curve, found, strength, rate))
        curve = moved.evenly()
    return curve, tuple(norms)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of a part that begins after `before` steps of `total`."""
    return progress and (lambda done, _: progress(before + done, total))


def _step(curve: Curve, found: Residual, strength: float, rate: float) -> Tensor:
    """The move of the inner knots, [n−1, D]: (a + rate·B/‖v‖²)⁻¹ · rate · (−a·G).

    B is minus the second derivative of the spline, by which γ'' answers to a move of the knots.
    """
    if rate == 0:
        return torch.zeros_like(found.total)
    bend = -torch.from_numpy(spline_derivatives(curve.legs, 2)[1:-1, 1:-1]).to(found.speeds.device)
    stiff = rate * bend / found.speeds.double().square()[:, None]
    system = strength * torch.eye(len(bend), dtype=stiff.dtype, device=stiff.device) + stiff
    inverse = torch.linalg.solve(system, torch.eye(len(bend)).to(system) * rate)
    move = inverse.to(found.total) @ found.total
    longest = LONGEST_STEP * float(found.speeds.mean()) / curve.legs
    return move * min(1.0, longest / max(float(move.norm(dim=1).max()), torch.finfo().tiny))


def check_score(score: Tensor) -> Tensor:
    """The score itself. Raises ValueError for one that holds NaN or infinity."""
    if not bool(torch.isfinite(score).all()):
        raise ValueError(
            "model: expected a finite score, got NaN or infinity. Check the model file, or run it "
            "in a higher precision."
        )
    return score


def _check(strength: float, levels: int, iterations: int, learning_rate: float) -> None:
    for name, value, least in (
        ("strength", strength, 0),
        ("levels", levels, 1),
        ("iterations", iterations, 0),
        ("learning_rate", learning_rate, 0),
    ):
        if not least <= value < float("inf"):
            raise ValueError(f"{name}: expected a number from {least} up, got {value}.")
