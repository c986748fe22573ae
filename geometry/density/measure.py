"""Measures of a curve: the density along it, its length, and other paths to compare it with.

arXiv 2504.06675, section 4: log p̃(b) = ∫ γ'·∇ log p dt is the log density relative to the start,
and ∫ ‖γ'‖ p̃^(−a) dt the length. Both use the trapezoidal rule over the knots; the length is
computed in logarithms, because densities in thousands of dimensions overflow. Section 6 tests
whether the ‖G‖ of a video clip is as small as that of an optimised path, and smaller than that of a
perturbed and of a smoothed one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .curve import Curve


def relative_log_density(knots: Tensor, scores: Tensor) -> np.ndarray:
    """log p along a curve minus that at its start, [n+1], from ∇ log p [n+1, D] at its knots."""
    steps = (knots[1:] - knots[:-1]).double()
    middle = (scores[1:] + scores[:-1]).double() / 2
    rises = (steps * middle).sum(dim=1)
    return np.concatenate([[0.0], rises.cumsum(0).cpu().numpy()])


def log_length(knots: Tensor, log_density: np.ndarray, strength: float) -> float:
    """log ∫ ‖γ'‖ p̃^(−a) dt for log p̃ [n+1] at the knots; −inf for a constant curve."""
    from scipy.special import logsumexp

    steps = (knots[1:] - knots[:-1]).double().norm(dim=1).cpu().numpy()
    weight = -strength * np.asarray(log_density)
    mean = np.logaddexp(weight[1:], weight[:-1]) - math.log(2)
    moving = steps > 0
    if not moving.any():
        return -math.inf
    return float(np.asarray(logsumexp(mean[moving], b=steps[moving])))


def perturbed(curve: Curve, amount: float, seed: int) -> Curve:
    """The curve with every inner knot moved sideways at random, by `amount` times the mean step."""
    generator = torch.Generator("cpu").manual_seed(seed)
    noise = torch.randn(curve.inner.shape, generator=generator).to(curve.knots)
    noise = curve.tangent(curve.inner, noise)
    size = amount * curve.speed() / curve.legs
    return curve.with_inner(curve.inner + noise * (size / noise.norm(dim=1, keepdim=True)))


def smoothed(curve: Curve, width: float) -> Curve:
    """The curve with its knots averaged by a Gaussian `width` steps wide, the ends kept."""
    if width == 0:
        return curve
    places = torch.arange(curve.legs + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / width).square())
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(curve.knots)
    return curve.with_inner((weights @ curve.knots)[1:-1])
