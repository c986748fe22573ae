"""LPIPS's backbone where the published weights are not to be had.

The trunk of the scene classifier, as a file that the node loads like any other. Its metadata
names it, and so do all tables and charts.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from scenes import classifier, weights

NAME = "scene classifier"
# What earlier versions wrote counts as ours too.
OURS = (NAME, "random backbone, seed 0")


def ensure(folder: Path) -> Path:
    """Write `alex.safetensors` with the trunk in torchvision's names, unless there is a newer one.

    A file of other weights that a person put there stays. Raises WeightsError like `weights.load`.
    """
    path = folder / "alex.safetensors"
    tensors = {
        name: tensor.contiguous()
        for name, tensor in weights.load(classifier.FILE).items()
        if name.startswith("features.")
    }
    metadata = {"name": NAME, "digest": weights.digest(tensors)}
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
        if found == metadata or found.get("name") not in OURS:
            return path  # up to date, or a person's own
    except (OSError, SafetensorError):
        pass  # absent or damaged: written anew
    weights.write(tensors, path, **metadata)
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
