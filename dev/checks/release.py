"""`make release-check`: does what the registry would take work in a ComfyUI with nothing else?

The package is built and unpacked into the empty custom_nodes of both ComfyUIs of the tests. There
it renders one small morph; ComfyUI's log must have no warning from start to end. Then `imports`
compares what the pack uses of ComfyUI with all supported versions.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from dev.comfyui.environment import FOLDER
from dev.comfyui.server import Server, ServerError
from dev.workflows.prompt import even_morph
from dev.workflows.settings import SMALL, SMALL_SETTINGS
from scenes import checkpoint

from . import imports, package

WORDS = ("warning", "error", "failed", "traceback", "cannot import", "skip ")
FRAMES, SIZE = 3, 64
FOLDERS = ("custom_nodes", "models/checkpoints", "input", "output", "user")


def bare(base: Path, archive: Path) -> None:
    """ComfyUI's folders with one checkpoint, and the package as the only pack."""
    for name in FOLDERS:
        (base / name).mkdir(parents=True)
    (base / "extra_model_paths.yaml").write_text("{}")
    whole = FOLDER / "base" / "models" / "checkpoints" / SMALL
    checkpoint.ensure(whole)
    (base / "models" / "checkpoints" / SMALL).symlink_to(whole.resolve())
    # The registry's name of the pack is the folder's name at an artist's.
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(base / "custom_nodes" / "geodesic-morph")


def complaints(log: str) -> list[str]:
    """The lines of ComfyUI's log that somebody would ask about."""
    return [line for line in log.splitlines() if any(word in line.lower() for word in WORDS)]


def morph(base: Path, newer: bool) -> str:
    """Render a morph; returns the log. Raises ServerError with what went wrong."""
    log = base / f"server-{newer}.log"
    settings = replace(SMALL_SETTINGS, frames=FRAMES, steps=4, size=SIZE)
    # As at an artist's, in a file: the older ComfyUI complains of one in memory.
    database = f"sqlite:///{base / 'comfyui.db'}"
    with Server(log=log, next_generation=newer, base=base, database=database) as server:
        graph = even_morph(settings)
        outputs = server.run(graph.to_api())
        video = server.fetch(outputs[graph.find("Save")]["images"][0])
    if len(video) < 1000:
        raise ServerError(f"the video has {len(video)} bytes; expected a film of {FRAMES} frames")
    return log.read_text(errors="replace")


def main() -> int:
    """0 if the package works and fits all versions."""
    wrong = False
    with tempfile.TemporaryDirectory() as temporary:
        archive = Path(temporary) / "geodesic-morph.zip"
        names = package.build(archive)
        print(f"{len(names)} files, {archive.stat().st_size / 1e6:.1f} MB as a zip", flush=True)
        for newer in (False, True):
            base = Path(temporary) / f"base-{newer}"
            bare(base, archive)
            found = complaints(morph(base, newer))
            print(
                f"a morph on the {'newer' if newer else 'older'} ComfyUI:",
                found or "no warning",
                flush=True,
            )
            wrong |= bool(found)
    return 1 if wrong else imports.main()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as error:
        sys.exit(f"release-check: {error}")
