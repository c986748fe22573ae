"""`make workflows`: writes example_workflows/*.json and subgraphs/*.json anew.

With ComfyUI 0.3.75 alone. The nodes of newer ones have more inputs and outputs, and a file that has
them does not open in the old one.
"""

from __future__ import annotations

import sys

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server

from . import blueprint
from .catalogue import ALL_WORKFLOWS, as_text

WRITTEN_WITH = "0.3.75"


def main() -> None:
    with Server() as server:
        version = server.get("system_stats")["system"]["comfyui_version"]
        if version != WRITTEN_WITH:
            sys.exit(
                f"The files are written with ComfyUI {WRITTEN_WITH}, got {version}. Unset "
                "COMFYUI_PATH and COMFYUI_NEXT."
            )
        schemas = server.get("object_info")
    blueprint.write(schemas)
    for name in ALL_WORKFLOWS:
        path = ROOT / "example_workflows" / f"{name}.json"
        path.write_text(as_text(name, schemas))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
