"""Makes model files that a person names known to our ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path

from .environment import BASE, locate
from .server import ServerError


def find_checkpoint(given: str) -> str:
    """From a path, or a name in the models folder, to the name by which ComfyUI knows the file."""
    path = Path(given).expanduser()
    if path.is_file():
        return link_model("checkpoints", path)
    # A person's own ComfyUI may know more folders than we do, and reports an unknown name itself.
    if not locate().owned or (BASE / "models" / "checkpoints" / given).is_file():
        return given
    raise ServerError(f"CHECKPOINT={given}: there is no such file, and no such name in models/.")


def link_model(kind: str, path: Path) -> str:
    """Make a model file known to our ComfyUI without copying it; returns its name there."""
    folder = BASE / "models" / kind
    for stale in folder.iterdir():
        if stale.is_symlink() and not stale.exists():
            stale.unlink()
    target = folder / path.name
    if path.resolve() == target.resolve():
        return path.name
    if target.is_symlink():
        target.unlink()
    elif target.exists():
        raise ServerError(f"{target} is another file of this name; rename one of the two.")
    os.symlink(path.resolve(), target)
    return path.name
