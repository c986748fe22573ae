"""A stand-in for LPIPS's backbone where the published weights are not to be had.

The `lpips` package's own random-backbone variant (`pnet_rand`), from a seed, as a file that the
node loads like any other. Its metadata names it, and so do all tables and charts.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

NAME = "random backbone, seed 0"


def ensure(folder: Path, backbone: str = "alex") -> Path:
    """Write `<backbone>.safetensors` with random weights in torchvision's names, if absent."""
    path = folder / f"{backbone}.safetensors"
    if not path.exists():
        unfinished = path.with_suffix(".partial")
        save_file(random_weights(backbone), unfinished, metadata={"format": "pt", "name": NAME})
        os.replace(unfinished, path)
    return path


def random_weights(backbone: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """What `lpips.LPIPS(pnet_rand=True)` starts from, as `features.0.weight` and so on."""
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # lpips still passes torchvision's old `pretrained=False`.
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    own = network.net.state_dict()
    return {"features." + key.split(".", 1)[1]: value.contiguous() for key, value in own.items()}
