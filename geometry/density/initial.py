"""The initial value problem: the geodesic from a point with a velocity.

arXiv 2504.06675, section 4: γ'' = −a ‖v‖² P_v ∇ log p, solved by fourth-order Runge-Kutta steps,
with the score evaluated at every stage. On a sphere the term −‖v‖²/r² γ is added, which keeps the
path on the sphere; the small errors that remain in norm, tangent and speed are corrected after each
step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .boundary import Progress, Score, check_score
from .curve import Curve, without


def shoot(
    start: Tensor,
    velocity: Tensor,
    score: Score,
    *,
    strength: float,
    duration: float,
    steps: int,
    spherical: bool = True,
    progress: Progress | None = None,
) -> Curve:
    """The geodesic from a point [D] with a velocity [D], as a curve with `steps` legs.

    duration: the time it takes, so its Euclidean length is duration·‖velocity‖. The score is called
    with the time since the start. `progress(done, most)` is called before each step and may raise
    to cancel. Raises ValueError for a velocity of 0, which has no direction.
    """
    if not float(velocity.norm()) > 0:
        raise ValueError("velocity: expected a direction to go in, got none (0).")
    x, v = start[None], velocity[None]
    h = duration / steps
    knots = [x]
    for k in range(steps):
        if progress:
            progress(k, steps)
        x, v = _rk4(x, v, k * h, h, score, strength, spherical)
        if spherical:
            x = x * (start.norm() / x.norm())
            v = without(v, x)
        v = v * (velocity.norm() / v.norm())
        knots.append(x)
    if progress:
        progress(steps, steps)
    return Curve(torch.cat(knots), spherical)


def random_velocity(point: Tensor, speed: float, seed: int) -> Tensor:
    """A random velocity [D] of this speed, tangent to the sphere at a point [D], from a seed."""
    generator = torch.Generator("cpu").manual_seed(seed)
    noise = torch.randn(point.shape, generator=generator).to(point)
    tangent = without(noise[None], point[None])[0]
    return tangent * (speed / tangent.norm())


def _rk4(
    x: Tensor, v: Tensor, t: float, h: float, score: Score, strength: float, spherical: bool
) -> tuple[Tensor, Tensor]:
    def acceleration(x: Tensor, v: Tensor, t: float) -> Tensor:
        s = check_score(score(x, [t]))
        speed = v.square().sum(dim=1, keepdim=True)
        if not spherical:
            return -strength * speed * without(s, v)
        bend = -strength * speed * without(without(s, x), v)
        return bend - speed / x.square().sum(dim=1, keepdim=True) * x

    v1, a1 = v, acceleration(x, v, t)
    v2 = v + h / 2 * a1
    a2 = acceleration(x + h / 2 * v1, v2, t + h / 2)
    v3 = v + h / 2 * a2
    a3 = acceleration(x + h / 2 * v2, v3, t + h / 2)
    v4 = v + h * a3
    a4 = acceleration(x + h * v3, v4, t + h)
    return x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4), v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
