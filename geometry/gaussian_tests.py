"""Whether given numbers pass as a draw of unit Gaussian noise.

Mixes of noises keep the right distribution only where every part has it, so "Linear combinations of
latents" (arXiv 2408.08558) advises to test latents that do not come from a random generator, such
as those of inverted images. Each test here has a p-value: how often a true draw looks at least as
odd. Under true noise

    norm        ‖z‖² is χ² with D degrees of freedom
    values      Kolmogorov-Smirnov distance to N(0, 1)
    neighbours  r √n of values next to each other along an axis is N(0, 1) for n pairs
    channels    r √(n-1) / √(1-r²) of two channels of n values is Student's t with n-1 degrees

Several axes or pairs of channels count as one test: the smallest p, times their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# How rarely a true draw may fail each test; the authors' own bound for Kolmogorov-Smirnov.
FALSE_ALARMS = 1e-5


@dataclass(frozen=True)
class GaussianTest:
    """The result of one test.

    value: the norm ratio ‖z‖/√D, the Kolmogorov-Smirnov distance, or the correlation furthest from
    0. p: how often a true draw gives a value as odd as this.
    """

    name: str
    value: float
    p: float

    @property
    def passes(self) -> bool:
        return self.p >= FALSE_ALARMS


def gaussian_tests(noise: Tensor) -> tuple[GaussianTest, ...]:
    """The four tests of one noise [C, ...], whose dimensions after the first are places."""
    z = noise.detach().double().cpu()
    return norm_test(z), values_test(z), neighbours_test(z), channels_test(z)


def norm_test(z: Tensor) -> GaussianTest:
    """Whether the norm is that of D unit Gaussians."""
    from scipy.stats import chi2

    square, count = float(z.square().sum()), z.numel()
    p = 2 * min(chi2.cdf(square, count), chi2.sf(square, count))
    return GaussianTest("norm", math.sqrt(square / count), float(p))


def values_test(z: Tensor) -> GaussianTest:
    """Whether the values are spread as N(0, 1)."""
    from scipy.stats import kstest

    found = kstest(z.flatten().numpy(), "norm")
    return GaussianTest("values", float(found.statistic), float(found.pvalue))


def neighbours_test(z: Tensor) -> GaussianTest:
    """Whether values next to each other, along any dimension after the first, are independent."""
    from scipy.stats import norm

    mean_square = float(z.square().mean())
    found = []
    for axis in range(1, z.ndim):
        if z.shape[axis] > 1:
            here, there = z.narrow(axis, 0, z.shape[axis] - 1), z.narrow(axis, 1, z.shape[axis] - 1)
            r = float((here * there).mean()) / mean_square if mean_square else 1.0
            found.append((r, 2 * float(norm.sf(abs(r) * math.sqrt(here.numel())))))
    return _worst("neighbours", found)


def channels_test(z: Tensor) -> GaussianTest:
    """Whether every two channels are independent."""
    from scipy.stats import t as student

    rows = z.flatten(1)
    degrees = rows.shape[1] - 1
    lengths = rows.norm(dim=1)
    found = []
    for i in range(len(rows)):
        for j in range(i) if degrees > 0 else ():
            length = float(lengths[i] * lengths[j])
            r = max(-1.0, min(1.0, float(rows[i] @ rows[j]) / length)) if length else 1.0
            odd = abs(r) * math.sqrt(degrees / max(1 - r * r, 1e-300))
            found.append((r, 2 * float(student.sf(odd, degrees))))
    return _worst("channels", found)


def _worst(name: str, found: Sequence[tuple[float, float]]) -> GaussianTest:
    """The oddest of several correlations as one test; with none there is nothing to fail."""
    if not found:
        return GaussianTest(name, 0.0, 1.0)
    r, p = min(found, key=lambda pair: (pair[1], -abs(pair[0])))
    return GaussianTest(name, r, min(1.0, len(found) * p))


def usual_norms(count: int) -> tuple[float, float]:
    """The norm ratios between which a true draw of `count` values passes."""
    from scipy.stats import chi2

    edges = chi2.ppf([FALSE_ALARMS / 2, 1 - FALSE_ALARMS / 2], count)
    low, high = torch.from_numpy(edges / count).sqrt().tolist()
    return low, high
