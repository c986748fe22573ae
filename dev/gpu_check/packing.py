"""All that `python -m dev.gpu_check` needs on a machine that has torch and no network, in a folder.

The folder is a repository with a set-up of its own: our Python files, ComfyUI's in .comfyui, and
the packages that a machine with torch often lacks. Left out are ComfyUI's files for texts (no text
is encoded), compiled files for one version of Python, and all pictures and weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from dev.comfyui.environment import FOLDER, ROOT, locate

from .start import CARRIED

OURS = ("geometry", "nodes", "scenes", "dev")
# Packages without compiled files, or whose files serve all versions of Python; dynamic VRAM; and
# the kernels of newer ComfyUIs, of which the compiled ones stay behind.
PACKAGES = ("torchsde", "trampoline", "lpips", "einops", "safetensors", "psutil", "tqdm")
NEWER = ("comfy_aimdo", "comfy_kitchen")
# For one version of Python, or for other cards.
NOT_COPIED = ("__pycache__", "*.cpython-*", "*_rocm.so", "*.dll")
# Of ComfyUI: code, and the small files beside it. The large ones belong to text encoders.
KINDS, LARGEST = (".py", ".json", ".yaml"), 100_000
NOT_COMFYUI = ("models", "input", "output", "user", "custom_nodes", "tests", "tests-unit")


def pack(folder: Path) -> str:
    """Fill a new folder; returns what to tell. Raises ValueError for one that holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"--pack: expected a new folder, got {folder}, which holds files.")
    for name in OURS:
        _copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "__init__.py", folder)
    own = folder / FOLDER.relative_to(ROOT)
    comfyui = locate().comfyui
    for path in sorted(comfyui.iterdir()):
        if path.is_dir() and path.name not in NOT_COMFYUI and not path.name.startswith("."):
            _copy(path, own / "ComfyUI" / path.name)
        elif path.suffix in KINDS:
            (own / "ComfyUI").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, own / "ComfyUI")
    libraries = [str(path) for path in locate().libraries]
    for name in (*PACKAGES, *(NEWER if libraries else ())):
        shutil.copytree(
            _package(name, libraries),
            own / CARRIED.name / name,
            ignore=shutil.ignore_patterns(*NOT_COPIED),
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{folder}: {size / 2**20:.1f} MB. On the other machine, in it: python -m dev.gpu_check"


def _copy(source: Path, target: Path) -> None:
    """A folder's code, and small data files."""
    for path in sorted(source.rglob("*")):
        if path.suffix not in KINDS or not path.is_file():
            continue
        if path.suffix == ".py" or path.stat().st_size < LARGEST:
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copied)


def _package(name: str, libraries: Sequence[str]) -> Path:
    """The folder of an installed package, without importing it."""
    found = PathFinder.find_spec(name, list(libraries)) or PathFinder.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"--pack: expected the package {name} here, got none. Run make test once.")
    return Path(found.submodule_search_locations[0])
