"""Curves through latent space: knots at equal times, great arcs (or straight lines) between them.

arXiv 2504.06675, section 4: the noise of images has a known norm, so a path of it stays on a
sphere. Positions are spherical interpolations of neighbouring knots, velocities the mean of both
one-sided derivatives, accelerations those of a cubic spline through the knots.

The paper puts both ends on one sphere of their mean radius. Here the radius changes linearly from
that of the start to that of the end, so that both ends stay exactly as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .. import arc

# Points are equal if their distance is below this share of their norms, and opposite if the sum of
# their unit vectors is shorter than this.
SAME_POINT = 1e-6


@dataclass(frozen=True, eq=False)
class Curve:
    """Knots [n+1, D] at the times 0, 1/n … 1.

    spherical: between two knots the direction follows a great arc and the norm changes linearly.
    Otherwise legs are straight lines, for densities in flat space.
    """

    knots: Tensor
    spherical: bool = True

    @property
    def legs(self) -> int:
        return len(self.knots) - 1

    @property
    def times(self) -> list[float]:
        """The times of the knots."""
        return [j / self.legs for j in range(self.legs + 1)]

    @property
    def inner(self) -> Tensor:
        """The knots between the ends, [n−1, D]."""
        return self.knots[1:-1]

    def at(self, times: Sequence[float]) -> Tensor:
        """The points at F times in [0, 1], [F, D]; at the time of a knot exactly that knot."""
        places = np.asarray(times, dtype=np.float64) * self.legs
        legs = np.clip((places + SAME_POINT).astype(int), 0, self.legs - 1)
        shares = places - legs
        for end in (0, 1):
            shares[np.abs(shares - end) <= SAME_POINT] = end
        u = torch.from_numpy(shares).to(self.knots)
        return between(self.knots[legs], self.knots[legs + 1], u, self.spherical)

    def refined(self) -> Curve:
        """The same curve with a knot in the middle of every leg."""
        halves = [(j + 0.5) / self.legs for j in range(self.legs)]
        knots = self.knots.new_empty(2 * self.legs + 1, self.knots.shape[1])
        knots[0::2], knots[1::2] = self.knots, self.at(halves)
        return replace(self, knots=knots)

    def with_inner(self, points: Tensor) -> Curve:
        """The curve with new inner points [n−1, D]; if spherical, at the norms of the old ones."""
        if self.spherical:
            points = points * (self.inner.norm(dim=1) / points.norm(dim=1))[:, None]
        return replace(self, knots=torch.cat([self.knots[:1], points, self.knots[-1:]]))

    def evenly(self) -> Curve:
        """The same curve with its knots at equal distances, or on a sphere at equal angles.

        On a sphere only the directions move: each knot takes the norm of the knot that it replaces.
        """
        x, y = self.knots[:-1], self.knots[1:]
        lengths = arc.angles(x, y) if self.spherical else (y - x).double().norm(dim=1)
        ends = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        if not float(ends[-1]) > 0:
            return self
        wanted = torch.linspace(0, 1, self.legs + 1, dtype=ends.dtype)[1:-1] * ends[-1].cpu()
        times = np.interp(wanted.numpy(), ends.cpu().numpy(), self.times)
        return self.with_inner(self.at(times.tolist()))

    def velocities(self) -> Tensor:
        """γ' at the inner knots, tangent, [n−1, D]: the mean of both one-sided derivatives."""
        ahead = _log_map(self.inner, self.knots[2:], self.spherical)
        back = _log_map(self.inner, self.knots[:-2], self.spherical)
        return (ahead - back) * (self.legs / 2)

    def accelerations(self) -> Tensor:
        """γ'' at the inner knots, tangent, [n−1, D]: that of the cubic spline through all knots."""
        second = torch.from_numpy(spline_derivatives(self.legs, 2)[1:-1]).to(self.knots)
        return self.tangent(self.inner, second @ self.knots)

    def end_velocity(self) -> Tensor:
        """γ' at the last knot [D]: the spline's direction, at the speed of the whole curve."""
        first = torch.from_numpy(spline_derivatives(self.legs, 1)[-1]).to(self.knots)
        velocity = self.tangent(self.knots[-1:], (first @ self.knots)[None])[0]
        return velocity * (self.speed() / velocity.norm().clamp_min(torch.finfo().tiny))

    def speed(self) -> float:
        """The mean speed: the Euclidean length of the curve, as its time goes from 0 to 1."""
        return float(self.leg_lengths().sum())

    def leg_lengths(self) -> Tensor:
        """The Euclidean lengths of the legs [n]; for arcs, the angle times the ends' mean norm."""
        x, y = self.knots[:-1], self.knots[1:]
        if not self.spherical:
            return (y - x).norm(dim=1)
        return arc.angles(x, y).to(x) * (x.norm(dim=1) + y.norm(dim=1)) / 2

    def tangent(self, points: Tensor, vectors: Tensor) -> Tensor:
        """Vectors [n, D]; if spherical, their parts tangent to the sphere at points [n, D]."""
        return without(vectors, points) if self.spherical else vectors

    def reversed(self) -> Curve:
        return replace(self, knots=self.knots.flip(0))


def line(start: Tensor, end: Tensor, spherical: bool = True) -> Curve:
    """The great arc (or the straight line) between two points [D].

    Raises ValueError for ends without a unique shortest arc.
    """
    _check_ends(start, end, spherical)
    return Curve(torch.stack([start, end]), spherical)


def has_equal_ends(curve: Curve) -> bool:
    """Whether both ends are the same point, so that there is no path to search for."""
    start, end = curve.knots[0], curve.knots[-1]
    return float((start - end).norm()) <= SAME_POINT * float(start.norm() + end.norm())


def between(x: Tensor, y: Tensor, u: Tensor, spherical: bool) -> Tensor:
    """The points [n, D] at the shares u [n] of the arcs or lines from x to y; exact at 0 and 1."""
    share = u[:, None]
    if spherical:
        norms = [z.norm(dim=1, keepdim=True) for z in (x, y)]
        start, end = arc.slerp(arc.angles(x, y)[:, None], share.double())
        direction = start.to(x) * x / norms[0] + end.to(x) * y / norms[1]
        norm = (1 - share) * norms[0] + share * norms[1]
        points = direction * (norm / direction.norm(dim=1, keepdim=True))
    else:
        points = (1 - share) * x + share * y
    return torch.where(share == 0, x, torch.where(share == 1, y, points))


def without(vectors: Tensor, directions: Tensor) -> Tensor:
    """Vectors [n, D] minus their components along directions [n, D]; P_v w of the paper."""
    unit = directions / directions.norm(dim=1, keepdim=True).clamp_min(torch.finfo().tiny)
    return vectors - (vectors * unit).sum(dim=1, keepdim=True) * unit


def _log_map(x: Tensor, y: Tensor, spherical: bool) -> Tensor:
    """The logarithmic map: tangents [n, D] at x towards y, as long as the arc or line to y."""
    if not spherical:
        return y - x
    theta = arc.angles(x, y).to(x)[:, None]
    tangents = without(y, x)
    # The floor makes the tangent 0 where x and y are the same point.
    norms = tangents.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return tangents / norms * theta * x.norm(dim=1, keepdim=True)


def _check_ends(start: Tensor, end: Tensor, spherical: bool) -> None:
    if not spherical:
        return
    norms = float(start.norm()), float(end.norm())
    if min(norms) == 0:
        raise ValueError("ends: expected points with a direction, got one at the origin.")
    if float((start / norms[0] + end / norms[1]).norm()) <= SAME_POINT:
        raise ValueError(
            "ends: expected points with one shortest arc between them, got exact opposites. "
            "Change one of them a little."
        )


@lru_cache(maxsize=16)
def spline_derivatives(legs: int, order: int) -> np.ndarray:
    """The matrix [n+1, n+1] from n+1 knots to their spline's derivatives of this order there.

    The ends are "not-a-knot". The paper's natural splines set γ'' = 0 at the ends, which no
    geodesic does.
    """
    from scipy.interpolate import CubicSpline

    times = np.linspace(0, 1, legs + 1)
    return CubicSpline(times, np.eye(legs + 1), bc_type="not-a-knot")(times, order)
