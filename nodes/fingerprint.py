"""Which model a latent was inverted with: told by its weights, whatever its file is called."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch

from .internals import own_weights

# How many layers are looked at, and how many weights of each.
LAYERS, PER_LAYER = 64, 4
# Half precision changes weights by less than this share of their size, another training by more.
SAME_WEIGHTS = 0.01


@dataclass(frozen=True)
class Fingerprint:
    """What tells a model from others.

    format: the name of its latents' format. digest: of the names and shapes of its weights.
    weights: some of their values, because one architecture has many models. LoRAs do not count.
    """

    format: str
    digest: str
    weights: tuple[float, ...]

    def is_same(self, other: Fingerprint) -> bool:
        """Whether both are of one model, in any precision of 16 bits or more."""
        if self.digest != other.digest or len(self.weights) != len(other.weights):
            return False
        a, b = torch.tensor([self.weights, other.weights], dtype=torch.float64)
        return float((a - b).norm()) <= SAME_WEIGHTS * float(torch.maximum(a.norm(), b.norm()))


def fingerprint(model: Any) -> Fingerprint:
    """The fingerprint of a MODEL; the same whether it is loaded, and with LoRAs or without."""
    digest = hashlib.blake2b(digest_size=16)
    layers = []
    for name, weight in own_weights(model):
        digest.update(f"{name} {list(weight.shape)};".encode())
        if weight.ndim > 1 and weight.is_floating_point() and not weight.is_meta:
            layers.append(weight)
    count = min(LAYERS, len(layers))
    chosen = [layers[k * len(layers) // count] for k in range(count)]
    values = [value for weight in chosen for value in _values(weight)]
    latent_format = type(model.get_model_object("latent_format")).__name__
    return Fingerprint(latent_format, digest.hexdigest(), tuple(values))


def _values(weight: torch.Tensor) -> list[float]:
    """Some weights of a layer, evenly spaced."""
    flat = weight.reshape(-1)
    places = [k * len(flat) // PER_LAYER for k in range(PER_LAYER)]
    return flat[places].float().tolist()


def check_model(name: str, made_by: Fingerprint, model: Any) -> None:
    """Raise ValueError, naming the input, unless this model has the fingerprint."""
    found = fingerprint(model)
    if not found.is_same(made_by):
        kinds = (made_by.format, found.format)
        told = f" ({kinds[0]} latents, not {kinds[1]})" if kinds[0] != kinds[1] else ""
        raise ValueError(
            f"{name}: expected an image inverted with the connected model, got one inverted with "
            f"another{told}. Connect the checkpoint that inverted it, or invert the image again."
        )
