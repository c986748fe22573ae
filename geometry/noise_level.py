"""Noise levels: how much of a noised image is picture, how much is noise, and in which scale.

A noised image is written here as z = signal·x_0 + noise·ε. Models and samplers take a multiple of
z:

    eps and v models   signal = 1/√(1+σ²), noise = σ/√(1+σ²); the model takes x_σ = z/signal
    flow models        signal = 1 − σ,     noise = σ;         the model takes z itself

For data of unit variance, z of an eps or v model has unit variance too (the VP scale of Song et
al. 2021, arXiv 2011.13456).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Noise levels σ, in the sampler's own unit: a tensor [F], or [] for one level.

    flow: whether the model is a flow model. Every factor has the shape of σ.
    """

    sigma: Tensor
    flow: bool = False

    @property
    def signal(self) -> Tensor:
        """The factor of the image in z."""
        return 1 - self.sigma if self.flow else (1 + self.sigma.square()).rsqrt()

    @property
    def noise(self) -> Tensor:
        """The factor of the noise in z."""
        return self.sigma if self.flow else self.sigma * self.signal

    @property
    def model_scale(self) -> Tensor:
        """x_σ = model_scale · z: from z to what the model takes."""
        return torch.ones_like(self.sigma) if self.flow else 1 / self.signal

    @property
    def sampler_scale(self) -> Tensor:
        """From z to the latent that a sampler starts from when it adds no noise.

        ComfyUI's samplers multiply that latent by 1 − σ for flow models, and by 1 for others.
        """
        return self.model_scale / self.signal if self.flow else self.model_scale
