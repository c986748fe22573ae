"""Great arcs: the angle between two directions, and spherical interpolation (SLERP).

Shoemake, Animating Rotation with Quaternion Curves, SIGGRAPH 1985.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Two directions whose sine is below this are parallel or opposite; SLERP is then a straight line.
PARALLEL = 1e-6


def angles(x: Tensor, y: Tensor) -> Tensor:
    """The angles between the rows of x and y, both [n, D]: [n] float64 in [0, π].

    2·atan2(‖u − v‖, ‖u + v‖) of the unit vectors u and v, which is exact near 0 and near π too.
    """
    u, v = (rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (x, y))
    return 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))


def angle(x: Tensor, y: Tensor) -> float:
    """The angle between two tensors of one shape, each read as one vector, in [0, π]."""
    return float(angles(x.reshape(1, -1), y.reshape(1, -1))[0])


def slerp(theta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of both ends at t on an arc of angle θ: sin((1−t)θ)/sin θ and sin(tθ)/sin θ.

    theta, t: float64, of shapes that broadcast. Parallel and opposite directions have no unique
    arc; they get the weights of a straight line, 1 − t and t.
    """
    sine = torch.sin(theta)
    is_line = sine < PARALLEL
    divisor = torch.where(is_line, 1.0, sine)
    start = torch.where(is_line, 1 - t, torch.sin((1 - t) * theta) / divisor)
    end = torch.where(is_line, t, torch.sin(t * theta) / divisor)
    return start, end
