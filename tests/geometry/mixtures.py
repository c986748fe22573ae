"""Densities whose score and denoiser are exact: mixtures of Gaussians in any dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal


@dataclass(frozen=True, eq=False)
class Mixture:
    """Σ_k w_k N(m_k, Σ_k): weights [K], means [K, D], covariances [K, D, D], all float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def noised(self, signal: float, noise: float) -> Mixture:
        """The density of signal·x + noise·ε."""
        eye = torch.eye(self.means.shape[1], dtype=torch.float64)
        spread = signal**2 * self.covariances + noise**2 * eye
        return Mixture(self.weights, signal * self.means, spread)

    # Factored once: the laws ask for thousands of scores, a few points at a time.
    @cached_property
    def _parts(self) -> MultivariateNormal:
        return MultivariateNormal(self.means, self.covariances, validate_args=False)

    @cached_property
    def _precisions(self) -> Tensor:
        return torch.linalg.inv(self.covariances)

    def _weighted(self, x: Tensor) -> Tensor:
        """log w_k N(x; m_k, Σ_k), [K, n]."""
        return self._parts.log_prob(x[:, None]).T + self.weights.log()[:, None]

    def log_density(self, x: Tensor) -> Tensor:
        """[n] at points [n, D]."""
        return torch.logsumexp(self._weighted(x), dim=0)

    def score(self, x: Tensor, times: Sequence[float] = ()) -> Tensor:  # noqa: ARG002
        """∇ log p [n, D], by its closed form: the parts' scores, weighted by who is there."""
        shares = torch.softmax(self._weighted(x), dim=0)
        pulls = torch.einsum("kde,kne->knd", self._precisions, self.means[:, None] - x[None])
        return (shares[..., None] * pulls).sum(dim=0)

    def denoiser(self, flow: bool = False) -> Any:
        """The exact D(x_σ, σ) of data with this density; conditions are mixtures themselves."""

        def denoise(x: Tensor, sigma: Tensor, conditions: Sequence[Mixture]) -> list[Tensor]:
            return [
                torch.cat([_mean(c, x[f], float(sigma[f]), flow) for f in range(len(x))])
                for c in conditions
            ]

        return denoise


def _mean(density: Mixture, x: Tensor, sigma: float, flow: bool) -> Tensor:
    """E[x_0 | x_σ = x], [1, D], by Tweedie's formula."""
    signal = 1 - sigma if flow else 1.0
    at = x[None].double()
    return (at + sigma**2 * density.noised(signal, sigma).score(at)) / signal


def gaussian(dimensions: int, seed: int = 0, isotropic: bool = False) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64)
    spread = torch.eye(dimensions, dtype=torch.float64)
    if not isotropic:
        spread = 0.3 * spread + root @ root.T / dimensions
    return Mixture(
        torch.ones(1, dtype=torch.float64),
        torch.zeros(1, dimensions, dtype=torch.float64),
        spread[None],
    )


def banana() -> Mixture:
    """Three Gaussians in 2-D on an arc from (−2, 0) to (2, 0), with a valley below it."""
    means = torch.tensor([[-2.0, 0.0], [0.0, 1.6], [2.0, 0.0]], dtype=torch.float64)
    spread = 0.5 * torch.eye(2, dtype=torch.float64)
    return Mixture(torch.full((3,), 1 / 3, dtype=torch.float64), means, spread.expand(3, 2, 2))


def shell(dimensions: int = 64, seed: int = 0) -> Mixture:
    """Four Gaussians in random directions at the norm of unit noise, each with its own spread."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(4, dimensions, generator=generator, dtype=torch.float64)
    roots = torch.randn(4, dimensions, dimensions, generator=generator, dtype=torch.float64)
    spread = torch.eye(dimensions, dtype=torch.float64) + roots @ roots.mT / dimensions
    return Mixture(torch.full((4,), 0.25, dtype=torch.float64), means, spread)
