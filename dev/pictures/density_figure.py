"""A geodesic of a density in the plane, as a picture: path over density, density along the path.

After figure 1 of arXiv 2504.06675. The density is a mixture of Gaussians with an exact score.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from geometry.density.boundary import solve
from geometry.density.curve import Curve, line
from geometry.density.initial import shoot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A ridge in the shape of an arc, with a valley below it.
CENTRES = torch.tensor(
    [[-2.2, -0.6], [-1.5, 0.7], [0.0, 1.35], [1.5, 0.7], [2.2, -0.6]], dtype=torch.float64
)
WIDTH = 0.6
START = torch.tensor([-2.1, -0.5], dtype=torch.float64)
END = torch.tensor([2.0, -0.1], dtype=torch.float64)
STRENGTH = 1.0


def log_density(x: Tensor) -> Tensor:
    """log p [n] of five equal Gaussians at points [n, 2]."""
    squares = (x[:, None] - CENTRES).square().sum(-1) / WIDTH**2
    constant = np.log(len(CENTRES) * 2 * np.pi * WIDTH**2)
    return torch.logsumexp(-squares / 2, dim=1) - float(constant)


def score(x: Tensor, _: object = None) -> Tensor:
    """∇ log p, [n, 2]."""
    offsets = CENTRES - x[:, None]
    shares = torch.softmax(-offsets.square().sum(-1) / (2 * WIDTH**2), dim=1)
    return (shares[..., None] * offsets).sum(1) / WIDTH**2


def paths() -> tuple[Curve, Curve, Curve]:
    """The geodesic from START to END, the straight line, and the extrapolated geodesic."""
    geodesic = solve(
        START, END, score, strength=STRENGTH, levels=6, learning_rate=10.0, spherical=False
    ).curve
    extrapolated = shoot(
        END,
        geodesic.end_velocity(),
        score,
        strength=STRENGTH,
        duration=0.2,
        steps=64,
        spherical=False,
    )
    return geodesic, line(START, END, spherical=False), extrapolated


def draw() -> Image.Image:
    """The picture, 1000 pixels wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10, 4.2), dpi=100, layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=(1.45, 1))
    geodesic, straight, extrapolated = paths()
    _map(left)
    for curve, style, label in (
        (straight, {"color": "#D55E00", "linestyle": "--"}, "straight line"),
        (geodesic, {"color": "#0072B2", "linewidth": 2.2}, "geodesic"),
        (extrapolated, {"color": "#0072B2", "linestyle": ":", "linewidth": 2.2}, "extrapolated"),
    ):
        points = curve.knots.numpy()
        left.plot(points[:, 0], points[:, 1], label=label, **style)
    for point, name in ((START, "A"), (END, "B")):
        left.plot(*point.tolist(), "o", color="black")
        left.annotate(name, point.tolist(), xytext=(-14, -14), textcoords="offset points")
    left.legend(loc="lower center", ncols=3)
    t = np.linspace(0, 1, 201)
    for curve, colour, label in (
        (straight, "#D55E00", "straight line"),
        (geodesic, "#0072B2", "geodesic"),
    ):
        right.plot(t, log_density(curve.at(t.tolist())).exp(), color=colour, label=label)
    right.set_xlabel("position on the path")
    right.set_ylabel("probability density")
    right.set_ylim(bottom=0)
    right.legend()
    buffer = io.BytesIO()
    FigureCanvasAgg(fig).print_png(buffer)
    return Image.open(buffer).convert("RGB")


def _map(ax: Axes) -> None:
    """The density as contours, and its score as arrows."""
    x, y = np.meshgrid(np.linspace(-3.3, 3.3, 140), np.linspace(-2.0, 2.6, 100))
    flat = torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1))
    ax.contourf(x, y, log_density(flat).exp().reshape(x.shape), levels=12, cmap="Greys", alpha=0.7)
    sparse = (slice(None, None, 9), slice(None, None, 9))
    arrows = score(torch.from_numpy(np.stack([x[sparse].ravel(), y[sparse].ravel()], axis=1)))
    ax.quiver(x[sparse], y[sparse], arrows[:, 0], arrows[:, 1], color="#707070", width=0.002)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
