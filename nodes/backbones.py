"""LPIPS backbones from ComfyUI's `models/lpips` folder.

Torchvision's own files are the standard. A `NAME.safetensors` beside them with the same tensor
names is used when torchvision's file is absent; what its metadata calls `name` then appears in
every table and chart, so that nobody mistakes it for the published metric.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

import folder_paths
import torch
from comfy.utils import load_torch_file

from ..geometry.perceptual import check_backbone

FOLDER = "lpips"
EXTENSIONS = {".pth", ".safetensors"}
SOURCE = "https://download.pytorch.org/models/"

# Torchvision names its files after the first characters of their SHA-256.
FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}


@dataclass(frozen=True)
class Backbone:
    """Weights in torchvision's names, and what a table should call the metric they make."""

    weights: dict[str, torch.Tensor]
    metric: str


def register_folder() -> None:
    """Make `models/lpips` known to ComfyUI, beside what extra_model_paths.yaml may add."""
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
    paths, _ = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, EXTENSIONS)


def load_backbone(backbone: str, download: bool = False) -> Backbone:
    """Read a backbone from `models/lpips`; fetch torchvision's file only when asked to.

    Raises ValueError for an unknown name, FileNotFoundError naming file, source and folder.
    """
    check_backbone(backbone)
    path = _find(FILES[backbone]) or _find(f"{backbone}.safetensors")
    if path is None and download:
        path = _download(FILES[backbone])
    if path is None:
        raise FileNotFoundError(
            f"backbone: '{backbone}' needs the file {FILES[backbone]}, which is not in ComfyUI's "
            f"folder {_home()}. Get it from {SOURCE}{FILES[backbone]} and put it there, or switch "
            "on 'download' in this node to let it do so."
        )
    weights, metadata = load_torch_file(path, safe_load=True, return_metadata=True)
    return Backbone(weights, f"LPIPS {backbone}" + _qualifier(path, metadata))


def _find(name: str) -> str | None:
    return folder_paths.get_full_path(FOLDER, name)


def _home() -> str:
    return folder_paths.get_folder_paths(FOLDER)[0]


def _qualifier(path: str, metadata: dict[str, str] | None) -> str:
    """Nothing for torchvision's published weights, else what these are."""
    name = os.path.basename(path)
    if name in FILES.values():
        stat = os.stat(path)
        published = name.rsplit("-", 1)[1].removesuffix(".pth")
        digest = _sha256(path, stat.st_mtime_ns, stat.st_size)
        return "" if digest.startswith(published) else f" ({name}, not the published weights)"
    return f" ({(metadata or {}).get('name', name)})"


@lru_cache(maxsize=8)
def _sha256(path: str, _modified: int, _size: int) -> str:
    """The digest of a file; a changed file has another time or size and is read again."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _download(name: str) -> str:
    """Fetch torchvision's file, checked against the hash in its name, whole or not at all."""
    os.makedirs(_home(), exist_ok=True)
    path = os.path.join(_home(), name)
    published = name.rsplit("-", 1)[1].removesuffix(".pth")
    try:
        torch.hub.download_url_to_file(SOURCE + name, path, hash_prefix=published, progress=False)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"download: could not fetch {SOURCE}{name} ({error}). Put the file into {_home()} by "
            "hand, or try again."
        ) from error
    return path
