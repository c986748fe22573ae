"""`make workflows`: writes example_workflows/*.json and subgraphs/*.json anew."""

from __future__ import annotations

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server

from . import blueprint
from .catalogue import WORKFLOWS, as_text


def main() -> None:
    with Server() as server:
        schemas = server.get("object_info")
    blueprint.write(schemas)
    for name in WORKFLOWS:
        path = ROOT / "example_workflows" / f"{name}.json"
        path.write_text(as_text(name, schemas))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
