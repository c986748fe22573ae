"""A substitute for LPIPS's backbone on machines that cannot download the published weights.

It is the trunk of the scene classifier, in a file that the node loads like any other. Its metadata
holds its name, which all tables and charts show. It is no published metric: LPIPS's linear layers
weigh channels as people judged for another network, and were not calibrated for these.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from scenes import classifier, weights

NAME = "scene classifier"
# Names of files that we wrote, also in earlier versions; such files may be replaced.
OURS = (NAME, "random backbone, seed 0")


def ensure(folder: Path) -> Path:
    """Write `alex.safetensors`, the trunk under torchvision's names, if it is missing or old.

    A person's own file of this name is never replaced. Raises WeightsError like `weights.load`.
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
            present = file.metadata() or {}
        if present == metadata or present.get("name") not in OURS:
            return path  # up to date, or a person's own
    except (OSError, SafetensorError):
        pass  # absent or damaged: written anew
    weights.write(tensors, path, **metadata)
    return path


def random_weights(backbone: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The random weights of `lpips.LPIPS(pnet_rand=True)`, as `features.0.weight` and so on."""
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # lpips still passes torchvision's old `pretrained=False`.
        warnings.simplefilter("ignore", UserWarning)
        torch.manual_seed(seed)
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    own = network.net.state_dict()
    return {"features." + key.split(".", 1)[1]: value.contiguous() for key, value in own.items()}
