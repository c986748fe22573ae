"""Combinations of Gaussian noises that stay Gaussian (COG), and the usual methods to compare with.

"Linear combinations of latents in diffusion models: interpolation and beyond" (arXiv 2408.08558).
With x_k ~ N(μ, Σ) independent and weights w, y = Σ w_k x_k ~ N(αμ, βΣ), α = Σ w_k, β = Σ w_k²; so z
= (1 − α/√β) μ + y/√β (equation 3) is N(μ, Σ) again: for the unit noise of diffusion models z =
y/√β. For correlated noises (inverted images, one seed twice) β = wᵀCw, with C their correlations,
gives the right variance.

Every method here is a set of weights [F, K] for the K noises [K, ...] of F frames, mixed by
`combine`; the standardised and mode-norm centroids rescale such a mix. Weights are float64; the
noises keep their own type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from . import arc

# A combination with less than this share of the variance of its parts counts as cancelled out.
CANCELLED = 1e-6


@torch.no_grad()
def combine(noises: Tensor, weights: Tensor) -> Tensor:
    """Σ_k w_fk x_k for every frame f: [K, ...] and [F, K] → [F, ...].

    Noises are added one after the other, and weights of 0 are skipped. So a frame is the same in
    any batch, and a single weight of 1 returns that noise bit for bit.
    """
    out = noises.new_zeros(len(weights), *noises.shape[1:])
    for frame, row in zip(out, weights.tolist(), strict=True):
        for noise, weight in zip(noises, row, strict=True):
            if weight != 0:
                frame.add_(noise, alpha=weight)
    return out


def correlation(noises: Tensor, seeds: Sequence[int | None] | None = None) -> Tensor:
    """C of β = wᵀCw: [K, K] float64, 1 on its diagonal.

    noises: [K, ...]. seeds: the seed of each noise, None for an inverted image. Two seeds have
    correlation 1 if they are equal, otherwise 0. With an inverted image it is measured: ⟨x_i, x_j⟩
    / (‖x_i‖ ‖x_j‖).
    """
    origins = [None] * len(noises) if seeds is None else list(seeds)
    matrix = torch.eye(len(noises), dtype=torch.float64)
    for i, j in combinations(range(len(noises)), 2):
        if origins[i] is None or origins[j] is None:
            x, y = noises[i].flatten().double(), noises[j].flatten().double()
            matrix[i, j] = matrix[j, i] = x @ y / (x.norm() * y.norm())
        else:
            matrix[i, j] = matrix[j, i] = float(origins[i] == origins[j])
    return matrix


def cog(weights: Tensor, correlations: Tensor | None = None) -> Tensor:
    """COG: w/√β for unit noises, [F, K] → [F, K].

    correlations: C of `correlation`; None for independent noises. A row of zeros counts as equal
    weights (the authors' own rule). Raises ValueError where correlated noises cancel out.
    """
    weights = weights.double()
    squares = weights.square().sum(1, keepdim=True)
    weights = torch.where(squares < 1e-10, torch.ones_like(weights), weights)
    squares = weights.square().sum(1, keepdim=True)
    if correlations is None:
        return weights / squares.sqrt()
    beta = (weights @ correlations.double() * weights).sum(1, keepdim=True)
    if bool((beta < CANCELLED * squares).any()):
        raise ValueError(
            "noise_path: expected noises that differ in more than their sign, got some whose mix "
            "cancels out to nothing (a noise and its negative). Put another keyframe between them."
        )
    return weights / beta.sqrt()


def cog_of(noises: Tensor, weights: Tensor, mean: Tensor | float = 0.0) -> Tensor:
    """Equation 3 in full, for independent noises of any mean: [K, ...], [F, K] → [F, ...].

    The noise of diffusion models has mean 0; there `combine` and `cog` give the same.
    """
    scaled = cog(weights)
    shift = (1 - scaled.sum(1)).reshape(-1, *[1] * (noises.ndim - 1))
    return combine(noises, scaled) + (shift * mean).to(noises.dtype)


def lerp(t: float) -> tuple[float, float]:
    """Weights of two noises at t: their straight line. At ½ the standard deviation is 0.707."""
    return 1 - t, t


def slerp(theta: float, t: float) -> tuple[float, float]:
    """Weights of two noises at t on their great arc, θ being their angle (`arc.angle`)."""
    start, end = arc.slerp(*torch.tensor([theta, t], dtype=torch.float64))
    return float(start), float(end)


def standardised(noise: Tensor) -> Tensor:
    """Mean 0 and variance 1 over all coordinates of one noise."""
    values = noise.double()
    return ((values - values.mean()) / values.std(correction=0)).to(noise.dtype)


def mode_norm(noise: Tensor) -> Tensor:
    """Rescaled to √(D−2), the norm at which D unit Gaussians are densest (mode of χ²_D)."""
    return noise * (math.sqrt(noise.numel() - 2) / float(noise.double().norm()))


def grid(noises: Tensor, rows: int, columns: int, axes: tuple[int, int], extent: float) -> Tensor:
    """Weights of a plane through the span of K noises, row by row: [rows·columns, K] float64.

    With A = [x_1 … x_K] = QR (thin, R's diagonal positive), a point of the span has coordinates h =
    Qᵀx and weights w = R⁻¹h (the paper's appendix C). The plane is centred on the first noise (our
    choice) and reaches `extent` noises (‖x‖ ≈ √D) to either side along two of the axes 0 … K−1;
    axis k is the part of noise k orthogonal to noises 0 … k−1. The weights still need `cog`. Raises
    ValueError for axes that do not exist or are equal, an extent that is not positive, and noises
    that span fewer than K dimensions.
    """
    check_plane(len(noises), axes, extent)
    factor = _triangle(noises)
    centre = factor[:, 0]
    reach = extent * math.sqrt(noises[0].numel())
    across, down = (
        torch.linspace(-1, 1, n, dtype=torch.float64) if n > 1 else torch.zeros(1).double()
        for n in (columns, rows)
    )
    points = centre.repeat(rows * columns, 1)
    points[:, axes[0]] += reach * across.repeat(rows)
    points[:, axes[1]] += reach * down.repeat_interleave(columns)
    return torch.linalg.solve_triangular(factor, points.T, upper=True).T


def check_plane(count: int, axes: tuple[int, int], extent: float) -> None:
    """Raise ValueError unless the axes differ, exist among `count` noises, and extent > 0."""
    for name, axis in zip(("axis_x", "axis_y"), axes, strict=True):
        if not 0 <= axis < count:
            raise ValueError(
                f"{name}: expected an axis from 0 to {count - 1}, one for each of the {count} "
                f"keyframes, got {axis}. Add keyframes, or choose another axis."
            )
    if axes[0] == axes[1]:
        raise ValueError(
            f"axis_x and axis_y: expected two different axes, got {axes[0]} twice. Change one."
        )
    if not (math.isfinite(extent) and extent > 0):
        raise ValueError(f"extent: expected a positive number such as 1, got {extent}.")


def _triangle(noises: Tensor) -> Tensor:
    """R of the thin QR decomposition, with a positive diagonal: [K, K] float64."""
    factor = torch.linalg.qr(noises.flatten(1).double().T, mode="r")[1]
    diagonal = factor.diagonal()
    if bool((diagonal.abs() < arc.PARALLEL * factor.norm(dim=0)).any()):
        raise ValueError(
            "noise_path: expected keyframes that all differ, got some that are combinations of "
            "others (one seed twice?). Give every keyframe a seed of its own."
        )
    return factor * diagonal.sign()[:, None]
