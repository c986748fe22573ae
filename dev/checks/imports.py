"""`make release-check`: is everything there that the pack uses of ComfyUI?

comfy-import-guard reads the pack and the sources of ComfyUI at tags of a git repository: names must
exist, and functions must take the arguments that they are called with. With the environment
variable COMFYUI_GIT, a clone of ComfyUI, it checks the oldest supported version and the newest that
the clone has. Without one, a repository is made of the versions that the tests run on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tomllib

from dev.comfyui import environment
from dev.comfyui.environment import ROOT

SHIPPED = ("__init__.py", "nodes", "geometry")
PACK = "geodesic_morph"
# Git writes commits only for somebody; who does not matter for a repository of two versions.
AUTHOR = ("-c", "user.name=release-check", "-c", "user.email=release-check@localhost")


def supported() -> str:
    """The oldest version of ComfyUI that the pack declares to support, such as 0.3.75."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return project["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")


def tested_versions() -> dict[str, Path]:
    """Tag → folder of each ComfyUI that the tests run on."""
    folders = [environment.locate(next_generation=newer).comfyui for newer in (False, True)]
    return {f"v{_version(folder)}": folder for folder in folders}


def _version(comfyui: Path) -> str:
    project = tomllib.loads((comfyui / "pyproject.toml").read_text())
    return project["project"]["version"]


def history(cache: Path, versions: dict[str, Path]) -> None:
    """Make cache/ComfyUI: a git repository with one tagged commit for each version, in order."""
    repository = cache / "ComfyUI"
    repository.mkdir(parents=True)
    _git(repository, "init", "--quiet", "--initial-branch=master")
    for tag, folder in versions.items():
        for file in repository.iterdir():
            if file.name != ".git":
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        for source in folder.rglob("*.py"):
            inside = source.relative_to(folder)
            if not {"custom_nodes", "models"} & set(inside.parts):
                copy = repository / inside
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
        _git(repository, "add", "--all", "--force")
        _git(repository, *AUTHOR, "commit", "--quiet", "--message", tag)
        _git(repository, "tag", tag)


def install(base: Path, pack: Path = ROOT) -> None:
    """Put a copy of what artists get into base/custom_nodes."""
    folder = base / "custom_nodes" / PACK
    folder.mkdir(parents=True)
    for name in SHIPPED:
        source = pack / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, folder / name)


def check(base: Path, cache: Path, tags: Sequence[str]) -> bool:
    """Whether nothing of the pack in `base` breaks with ComfyUI at these tags; prints reports."""
    command = (sys.executable, "-m", "comfy_import_guard.cli", "check", "--strict", "--no-update")
    places = ("--offline", "--comfy-dir", str(base), "--cache-dir", str(cache))
    codes = [subprocess.run((*command, *places, "--target", tag)).returncode for tag in tags]
    return not any(codes)


def main() -> int:
    """0 if the pack fits all versions."""
    with tempfile.TemporaryDirectory() as temporary:
        cache, base = Path(temporary) / "cache", Path(temporary) / "base"
        clone = os.environ.get("COMFYUI_GIT")
        if clone:
            cache.mkdir()
            (cache / "ComfyUI").symlink_to(Path(clone).resolve(), target_is_directory=True)
            newest = _git(Path(clone), "tag", "--sort=-version:refname").split()[0]
            tags = [f"v{supported()}", newest]
        else:
            versions = tested_versions()
            history(cache, versions)
            tags = list(versions)
        install(base)
        return 0 if check(base, cache, tags) else 1


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
