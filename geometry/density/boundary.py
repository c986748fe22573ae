"""The boundary value problem: the geodesic between two points.

arXiv 2504.06675, section 4 and algorithm 1. With s = ∇ log p, v = γ' and P_v = I − v̂v̂ᵀ the length
∫ ‖γ'‖ p^(−a) dt has the functional gradient a ‖v‖ p^(−a) G,

    G = −(P_v s + (1/a) P_v γ'' / ‖v‖²),

which is 0 on a geodesic. The search goes from coarse to fine in levels, with 1, 3, 7, 15 … knots
between the ends; each level starts from the path of the level before.

Two things differ from the paper. First, under plain steps γ ← γ − lr·G the second term of G acts
like heat diffusing in a rod. Such steps are unstable where lr/a is large, which rules out strengths
near 0. Here that term is taken at the end of the step (linearly implicit Euler). That has the same
fixed points, is nearly the same for small steps, and is stable for large ones. Second, G moves
knots only sideways, so on a bulging path they crowd together and the path folds. Here knots are put
at equal distances again after each step (the string method; E, Ren and Vanden-Eijnden 2002, Phys.
Rev. B 66, 052301), as they are on a solution of the geodesic equation.

The paper also ends a level as soon as the mean ‖P_v s‖ falls below the mean norm of the other term.
New midpoints of a coarse path lie on arcs, where that term is uneven, so a level could end before
its first step. Here a level ends when G is small compared with its two terms, or after its last
iteration.
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
# Called with what has been found so far.
Watch = Callable[["Solution"], None]

BALANCED = 1e-4  # a level ends when ‖G‖ is below this share of the norms of its two terms
LONGEST_STEP = 0.5  # of a knot, as a share of the distance between knots, which keeps their order
SLOWEST = 1e-3  # speed that a knot is taken to have at least, as a share of the mean speed


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
        """−a·G, along which the length falls, [n−1, D]; defined for a = 0 too."""
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
    """A curve, and the history of its search: the mean ‖a·G‖ by level and iteration."""

    curve: Curve
    history: tuple[tuple[float, ...], ...]


def residual(curve: Curve, score: Tensor, strength: float) -> Residual:
    """G's two parts at the inner knots; score [n−1, D] is ∇ log p there."""
    v = curve.velocities()
    # Where a path turns back on itself its speed is 0. The limit keeps `push` large, but finite.
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
    watch: Watch | None = None,
) -> Solution:
    """The geodesic between two points [D], with 2^levels legs.

    strength: a of the metric p^(−2a); 0 gives the great arc. The learning rate falls linearly to 0
    over all iterations and is divided by the number of inner knots, as in the paper.
    `progress(done, most)` is called before each iteration and may raise to cancel; `watch` after
    each level but the last, with the path so far. Equal ends give a constant curve. Raises
    ValueError for ends without a unique arc, settings out of range, and scores that are not finite.
    """
    _check(strength, levels, iterations, learning_rate)
    curve = line(start, end, spherical)
    is_constant = has_equal_ends(curve)
    total = levels * iterations
    history = []
    for level in range(levels):
        curve = curve.refined()
        if is_constant:
            continue
        before = level * iterations
        rates = [
            learning_rate * (1 - (before + i) / total) / (curve.legs - 1) for i in range(iterations)
        ]
        step = _counted(progress, before, total)
        curve, norms = relax(curve, score, strength, rates, step)
        history.append(norms)
        if watch and level < levels - 1:
            watch(Solution(curve, tuple(history)))
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
    """Take one step at each rate, until G is small.

    Returns the curve, and the mean ‖a·G‖ before each step. `progress(done, most)` is called before
    each step and may raise to cancel.
    """
    norms = []
    times = curve.times[1:-1]
    for i, rate in enumerate(rates):
        if progress:
            progress(i, len(rates))
        current = residual(curve, check_score(score(curve.inner, times)), strength)
        norms.append(current.mean_norm)
        if current.is_balanced:
            break
        moved = curve.with_inner(curve.inner + _step(curve, current, strength, rate))
        curve = moved.evenly()
    return curve, tuple(norms)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress function of a part of the work that begins after `before` of `total` steps."""
    return progress and (lambda done, _: progress(before + done, total))


def _step(curve: Curve, current: Residual, strength: float, rate: float) -> Tensor:
    """The move of the inner knots, [n−1, D]: (a + rate·B/‖v‖²)⁻¹ · rate · (−a·G).

    B is minus the second derivative of the spline: moving the knots by m changes γ'' by −B·m.
    """
    if rate == 0:
        return torch.zeros_like(current.total)
    second = torch.from_numpy(spline_derivatives(curve.legs, 2)[1:-1, 1:-1])
    bend = -second.to(current.speeds.device)
    stiff = rate * bend / current.speeds.double().square()[:, None]
    system = strength * torch.eye(len(bend), dtype=stiff.dtype, device=stiff.device) + stiff
    inverse = torch.linalg.solve(system, torch.eye(len(bend)).to(system) * rate)
    move = inverse.to(current.total) @ current.total
    longest = LONGEST_STEP * float(current.speeds.mean()) / curve.legs
    return move * min(1.0, longest / max(float(move.norm(dim=1).max()), torch.finfo().tiny))


def check_score(score: Tensor) -> Tensor:
    """Return the score. Raises ValueError where it holds NaN or infinity."""
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
