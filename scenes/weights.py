"""Small files of weights: 8-bit integers with one scale for each output channel, in safetensors.

A matrix or kernel `name` [out, ...] is stored as int8 `name` and float32 `name.scale` [out], and
read back as float16 `name` = integer · scale. Vectors are stored as float16. Reading is one exact
rounding for each number, so every machine reads the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(__file__).resolve().parent / "weights"
SCALE = ".scale"


class WeightsError(Exception):
    """A problem with this repository's weights, in one sentence."""


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Store tensors; matrices and kernels in 8 bits."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().float().cpu().contiguous()
        if tensor.ndim < 2:
            stored[name] = tensor.half()
            continue
        scale = tensor.abs().flatten(1).amax(1).clamp(min=1e-12) / 127
        stored[name] = torch.round(tensor / _per_row(scale, tensor)).to(torch.int8)
        stored[name + SCALE] = scale
    write(stored, path)


def write(tensors: Mapping[str, Tensor], path: Path, **metadata: str) -> None:
    """Write a safetensors file, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    save_file(dict(tensors), unfinished, metadata=metadata)
    os.replace(unfinished, path)


def load(path: Path) -> dict[str, Tensor]:
    """Tensors as float16. Raises WeightsError where the file is missing or damaged."""
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} is missing or damaged ({error}): restore it with git checkout, or make it "
            "with make train."
        ) from error
    tensors = {}
    for name, tensor in stored.items():
        if tensor.dtype == torch.int8:
            scale = stored[name + SCALE]
            tensors[name] = (tensor.float() * _per_row(scale, tensor)).half()
        elif not name.endswith(SCALE):
            tensors[name] = tensor
    return tensors


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of names, shapes, types and numbers, independent of order and file layout."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _per_row(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.ndim - 1))
