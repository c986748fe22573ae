"""`make models`: runs all nodes on all families, on both ComfyUIs, and writes docs/models.md.

ComfyUI can be imported only once in a process, so each version has one of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys

from dev.comfyui.environment import ROOT, locate
from dev.comfyui.in_process import import_comfyui, pack_nodes

from .matrix import WAYS, outcome
from .page import PAGE, page
from .tiny import KINDS, tiny

MARK = "outcomes: "


def here() -> None:
    """Print the outcomes on this process's ComfyUI, with its version."""
    import_comfyui(cpu=True)
    from comfyui_version import __version__

    pack = pack_nodes()
    found = {}
    for name in KINDS:
        family = tiny(name)
        found[name] = {way: outcome(pack, family, way) for way in WAYS}
    print(MARK + json.dumps([__version__, found]))


def main() -> None:
    found = {}
    for newer in ("", "1"):
        variables = locate(bool(newer)).variables | {"COMFYUI_NEXT": newer, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "dev.families", "here"]
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"the run on the {'newer' if newer else 'older'} ComfyUI failed; see above")
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(MARK))
        version, outcomes = json.loads(line.removeprefix(MARK))
        found[version] = outcomes
    PAGE.write_text(page(found))
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    here() if sys.argv[1:] == ["here"] else main()
