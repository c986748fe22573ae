"""What a curve is like under a density: its density along the way, its length, its residual.

arXiv 2504.06675, section 4: log p̃(b) = ∫ γ'·∇ log p dt is the log density relative to the start,
and ∫ ‖γ'‖ p̃^(−a) dt the length. Both by the trapezoidal rule over the knots, the length in logs,
as densities in thousands of dimensions overflow. Section 6 asks of a clip whether ‖G‖ is as small
as on an optimised path, and smaller than on a perturbed and on a smoothed one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .curve import Curve


def relative_log_density(knots: Tensor, scores: Tensor) -> np.ndarray:
    """log p along a curve less that at its start, [n+1], from ∇ log p [n+1, D] at its knots."""
    steps = (knots[1:] - knots[:-1]).double()
    middle = (scores[1:] + scores[:-1]).double() / 2
    rises = (steps * middle).sum(dim=1)
    return np.concatenate([[0.0], rises.cumsum(0).cpu().numpy()])


def log_length(knots: Tensor, log_density: np.ndarray, strength: float) -> float:
    """log ∫ ‖γ'‖ p̃^(−a) dt for log p̃ [n+1] at the knots; −inf for a curve that stands still."""
    from scipy.special import logsumexp

    steps = (knots[1:] - knots[:-1]).double().norm(dim=1).cpu().numpy()
    weight = -strength * np.asarray(log_density)
    mean = np.logaddexp(weight[1:], weight[:-1]) - math.log(2)
    moving = steps > 0
    if not moving.any():
        return -math.inf
    return float(np.asarray(logsumexp(mean[moving], b=steps[moving])))


def perturbed(curve: Curve, amount: float, seed: int) -> Curve:
    """The curve with every inner knot moved sideways at random, by `amount` mean steps."""
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randn(curve.inner.shape, generator=generator).to(curve.knots)
    drawn = curve.tangent(curve.inner, drawn)
    size = amount * curve.speed() / curve.legs
    return curve.with_inner(curve.inner + drawn * (size / drawn.norm(dim=1, keepdim=True)))


def smoothed(curve: Curve, width: float) -> Curve:
    """The curve with its knots averaged by a Gaussian `width` steps wide, the ends kept."""
    if width == 0:
        return curve
    places = torch.arange(curve.legs + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / width).square())
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(curve.knots)
    return curve.with_inner((weights @ curve.knots)[1:-1])
