"""Norm-Aware Optimization (NAO), a baseline: paths and centroids of likely norms.

"Norm-guided latent space exploration for text-to-image generation" (Samuel et al., NeurIPS 2023,
arXiv 2306.08687), written from its formulas. The norm r of D unit Gaussians has the log density
f(r) = (D−1) ln r − r²/2 − (D/2−1) ln 2 − ln Γ(D/2). A path x_0 … x_{n−1} with fixed ends maximises
Σ ‖x_i − x_{i+1}‖ f(‖(x_i + x_{i+1})/2‖) − Σ relu(‖x_i − x_{i+1}‖ − ε), ε = 2‖x_0 − x_{n−1}‖/n; f is
negative, so this shortens the path where norms are unlikely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .arc import angle
from .gaussian import combine, slerp

POINTS = 11  # of a path, as in arXiv 2408.08558, appendix D
MAX_STEPS, LEARNING_RATE = 10_000, 0.01
JITTER = 0.01  # the start is the straight line plus U(0, JITTER)
MIN_CHANGE, PATIENCE = 1e-3, 10  # stop after PATIENCE smaller changes of the objective in a row

Progress = Callable[[int, int], None]


def log_density(norm: Tensor, dimensions: int) -> Tensor:
    """f(r): the log density of the norm of D unit Gaussians."""
    d = dimensions
    constant = (d / 2 - 1) * math.log(2) + math.lgamma(d / 2)
    return (d - 1) * norm.log() - norm.square() / 2 - constant


@torch.inference_mode(False)
def path(
    x: Tensor,
    y: Tensor,
    seed: int = 0,
    progress: Progress | None = None,
    points: int = POINTS,
    max_steps: int = MAX_STEPS,
) -> Tensor:
    """The optimised path from x to y, both of one shape [...]: [points, ...], ends exact.

    seed: of the jitter of the starting line. `progress(done, most)` is called before each step and
    may raise to cancel.
    """
    ends = _trainable(torch.stack([x, y]))
    inner = _line(ends[0], ends[1], points, seed)[1:-1].clone().requires_grad_(True)
    longest = 2 * float((ends[0] - ends[1]).norm()) / points

    def objective() -> Tensor:
        return _objective(torch.cat([ends[:1], inner, ends[1:]]), longest)

    _maximise(objective, [inner], progress, max_steps)
    middle = inner.detach().to(x.dtype).reshape(-1, *x.shape)
    return torch.cat([x[None], middle, y[None]])


@torch.inference_mode(False)
def centroid(
    noises: Tensor,
    weights: Sequence[float],
    seed: int = 0,
    progress: Progress | None = None,
    points: int = POINTS,
    max_steps: int = MAX_STEPS,
) -> Tensor:
    """The point [...] with the best paths to K noises [K, ...] and a likely norm of its own.

    Maximises K Σ_k w_k objective(path from x_k) + f(‖c‖) over the centre c and all paths. For equal
    weights that is Samuel et al.'s centroid; weights, which sum to 1, are this pack's extension.
    """
    ends = _trainable(noises)
    count = len(ends)
    shares = torch.tensor(weights, dtype=torch.float64)[None]
    centre = combine(ends, shares)[0]
    lines = [_line(end, centre, points, seed)[1:-1].clone() for end in ends]
    free = [tensor.requires_grad_(True) for tensor in (centre, *lines)]

    def objective() -> Tensor:
        total = log_density(centre.norm(), centre.numel())
        for end, line, share in zip(ends, lines, weights, strict=True):
            longest = 2 * float((end - centre.detach()).norm()) / points
            whole = torch.cat([end[None], line, centre[None]])
            total = total + count * share * _objective(whole, longest)
        return total

    _maximise(objective, free, progress, max_steps)
    return centre.detach().to(noises.dtype).reshape(noises.shape[1:])


def at(path: Tensor, t: float) -> Tensor:
    """The point of a path [points, ...] at t in [0, 1]; between path points on their great arc."""
    place = t * (len(path) - 1)
    k = min(int(place), len(path) - 2)
    pair = path[k : k + 2]
    weights = torch.tensor([slerp(angle(pair[0], pair[1]), place - k)], dtype=torch.float64)
    return combine(pair, weights)[0]


def _trainable(noises: Tensor) -> Tensor:
    """A copy [K, D] in float64 that allows gradients; ComfyUI's own tensors may not."""
    return noises.clone().flatten(1).double()


def _line(x: Tensor, y: Tensor, points: int, seed: int) -> Tensor:
    """The straight line with a little jitter, [points, D]."""
    t = torch.linspace(0, 1, points, dtype=x.dtype)[:, None]
    generator = torch.Generator("cpu").manual_seed(seed)
    jitter = torch.rand(points, x.numel(), generator=generator, dtype=x.dtype)
    return (1 - t) * x + t * y + JITTER * jitter


def _objective(points: Tensor, longest: float) -> Tensor:
    steps = (points[1:] - points[:-1]).norm(dim=1)
    middles = ((points[1:] + points[:-1]) / 2).norm(dim=1)
    likely = (steps * log_density(middles, points.shape[1])).sum()
    return likely - torch.relu(steps - longest).sum()


def _maximise(
    objective: Callable[[], Tensor],
    free: Sequence[Tensor],
    progress: Progress | None,
    max_steps: int,
) -> None:
    """Adam, until the objective hardly changes. Changes the tensors `free` in place."""
    optimizer = torch.optim.Adam(free, lr=LEARNING_RATE)
    before, small_changes = math.inf, 0
    with torch.enable_grad():
        for step in range(max_steps):
            if progress:
                progress(step, max_steps)
            optimizer.zero_grad()
            loss = -objective()
            loss.backward()
            optimizer.step()
            now = loss.item()
            small_changes = small_changes + 1 if abs(now - before) < MIN_CHANGE else 0
            before = now
            if small_changes >= PATIENCE:
                break
    if progress:
        progress(max_steps, max_steps)
