"""The files of LPIPS backbones in ComfyUI's folder `models/lpips`.

The usual files are torchvision's own. Where one is missing, `NAME.safetensors` with the same tensor
names is used instead. Tables and charts then show the `name` from its metadata, so that nobody
mistakes it for the published metric.
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

from ...geometry.perceptual import BACKBONES, check_backbone

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
    """weights: a state dict in torchvision's names. metric: what tables call LPIPS on them."""

    weights: dict[str, torch.Tensor]
    metric: str


@dataclass(frozen=True)
class WeightsFile:
    """A file as it is now. A swapped file differs in size or in time of change (nanoseconds)."""

    backbone: str
    path: str
    size: int
    changed: int

    @staticmethod
    def of(backbone: str, path: str) -> WeightsFile:
        """Raises OSError where the file cannot be looked at."""
        stat = os.stat(path)
        return WeightsFile(backbone, path, stat.st_size, stat.st_mtime_ns)


def register_folder() -> None:
    """Make `models/lpips` known to ComfyUI, beside what extra_model_paths.yaml may add."""
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
    paths, _ = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, EXTENSIONS)


def load_backbone(backbone: str, download: bool = False) -> Backbone:
    """Find a backbone's file and read it. Raises what `find_file` raises."""
    return read_file(find_file(backbone, download))


def find_file(backbone: str, download: bool = False) -> WeightsFile:
    """The file of a backbone in `models/lpips`; torchvision's is fetched only when asked to.

    Raises ValueError for an unknown name, FileNotFoundError naming file, source and folder, and
    RuntimeError where the download fails.
    """
    check_backbone(backbone)
    path = _present(backbone)
    if path is None and download:
        path = _download(FILES[backbone])
    if path is None:
        raise FileNotFoundError(
            f"backbone: {missing(backbone)}, or switch on 'download' in this node to let it do so."
        )
    return WeightsFile.of(backbone, path)


def has_file(backbone: str) -> bool:
    """Whether the weights of a backbone are in `models/lpips`."""
    return _present(backbone) is not None


def missing(backbone: str) -> str:
    """For errors: the file that a backbone lacks, where to get it and where to put it."""
    return (
        f"'{backbone}' needs the file {FILES[backbone]}, which is not in ComfyUI's folder "
        f"{_home()}. Get it from {SOURCE}{FILES[backbone]} and put it there"
    )


def read_file(file: WeightsFile) -> Backbone:
    """Read the weights; a file with anything but tensors in it is refused, never executed."""
    weights, metadata = load_torch_file(file.path, safe_load=True, return_metadata=True)
    return Backbone(weights, f"LPIPS {file.backbone}" + _qualifier(file, metadata))


def fingerprint(backbone: str | None) -> list[str]:
    """The files that would be read now, with size and time of change; never raises.

    It changes when a file is swapped, so ComfyUI then measures again. backbone: None stands for
    a name that is not known yet, so every backbone counts.
    """
    names = BACKBONES if backbone is None else [backbone]
    return [_state(name) for name in names]


def _state(backbone: str) -> str:
    try:
        path = _present(backbone) if backbone in BACKBONES else None
        return f"{backbone}: {WeightsFile.of(backbone, path) if path else 'no file'}"
    except OSError as error:  # removed in between, or not to be looked at
        return f"{backbone}: {error}"


def _present(backbone: str) -> str | None:
    return _find(FILES[backbone]) or _find(f"{backbone}.safetensors")


def _find(name: str) -> str | None:
    return folder_paths.get_full_path(FOLDER, name)


def _home() -> str:
    return folder_paths.get_folder_paths(FOLDER)[0]


def _qualifier(file: WeightsFile, metadata: dict[str, str] | None) -> str:
    """Nothing for torchvision's published weights, otherwise what these are."""
    name = os.path.basename(file.path)
    if name not in FILES.values():
        return f" ({(metadata or {}).get('name', name)})"
    if _sha256(file).startswith(_published(name)):
        return ""
    return f" ({name}, not the published weights)"


@lru_cache(maxsize=8)
def _sha256(file: WeightsFile) -> str:
    """The digest of a file; a changed file is another key and is read again."""
    digest = hashlib.sha256()
    with open(file.path, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _download(name: str) -> str:
    """Fetch torchvision's file and check it against the hash in its name.

    A file that is cut or damaged never appears in the folder. Shows progress and can be
    cancelled. Raises RuntimeError naming source and folder.
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
    """Write what is at `url` into a file; returns its SHA-256.

    Raises OSError when the server sends nothing for `SILENCE_SECONDS`, or less than it announced.
    """
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
