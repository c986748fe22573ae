"""What ComfyUI's registry would take of this repository, as `comfy node publish` packs it.

That is every file that git tracks and `.comfyignore` does not name. Git itself reads the file: it
has the syntax of a .gitignore.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

from dev.comfyui.environment import ROOT


def shipped(root: Path = ROOT) -> list[str]:
    """The files, as paths inside the repository, in order."""
    tracked = set(_listed(root, "--cached"))
    return sorted(tracked - set(_listed(root, "--cached", "--ignored")))


def build(archive: Path, root: Path = ROOT) -> list[str]:
    """Write these files into a zip; returns what is in it. Files that git lists must be there."""
    names = shipped(root)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in names:
            zipped.write(root / name, name)
    return names


def _listed(root: Path, *which: str) -> list[str]:
    # Names in other letters than ASCII would be quoted without -z.
    command = ["git", "-C", str(root), "ls-files", "-z", *which, "--exclude-from=.comfyignore"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in found.split("\0") if name]
