"""LPIPS backbones from ComfyUI's `models/lpips` folder.

Torchvision's own files are the standard. A `NAME.safetensors` beside them with the same tensor
names is used when torchvision's file is absent; what its metadata calls `name` then appears in
every table and chart, so that nobody mistakes it for the published metric.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

import folder_paths
import torch
from comfy.utils import ProgressBar, load_torch_file

from ..geometry.perceptual import check_backbone

FOLDER = "lpips"
EXTENSIONS = {".pth", ".safetensors"}
SILENCE_SECONDS = 30
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
        digest = _sha256(path, stat.st_mtime_ns, stat.st_size)
        return (
            "" if digest.startswith(_published(name)) else f" ({name}, not the published weights)"
        )
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
    """Fetch torchvision's file, checked against the hash in its name, whole or not at all.

    Shows progress and can be cancelled. Raises RuntimeError naming source and folder.
    """
    os.makedirs(_home(), exist_ok=True)
    path = os.path.join(_home(), name)
    try:
        with tempfile.TemporaryDirectory(dir=_home()) as folder:
            unfinished = os.path.join(folder, name)
            with open(unfinished, "wb") as file:
                digest = _fetch(SOURCE + name, file)
            if not digest.startswith(_published(name)):
                raise OSError("the file is damaged: its hash is not the one in its name")
            os.replace(unfinished, path)
    except OSError as error:
        raise RuntimeError(
            f"download: could not fetch {SOURCE}{name} ({error}). Put the file into {_home()} by "
            "hand, or try again."
        ) from error
    return path


def _fetch(url: str, file: IO[bytes]) -> str:
    """Write what is at `url` into a file; returns its SHA-256. A silent server is given up."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        bar = ProgressBar(max(total, 1))
        done = 0
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            done += len(block)
            bar.update_absolute(done)
    if done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")
    return digest.hexdigest()


def _published(name: str) -> str:
    """The start of the SHA-256 that torchvision wrote into a file's name."""
    return name.rsplit("-", 1)[1].removesuffix(".pth")
