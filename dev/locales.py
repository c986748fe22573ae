"""`make locales`: write the English names and tooltips, from which translators work.

ComfyUI reads locales/LANGUAGE/nodeDefs.json (nodes) and main.json (categories, and the texts of our
own JavaScript) of every pack. The English nodeDefs.json is written here from the nodes' schemas;
the other files are written by hand, and a test checks that every language has the same keys.
"""

from __future__ import annotations

import json
from typing import Any

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server

LOCALES = ROOT / "locales"
ENGLISH = LOCALES / "en" / "nodeDefs.json"


def node_definitions(schemas: dict[str, Any]) -> dict[str, Any]:
    """ComfyUI's object_info → nodeDefs.json in English, for our nodes only."""
    return {
        name: definition(schemas[name]) for name in sorted(schemas) if name.startswith("Geodesic")
    }


def definition(schema: dict[str, Any]) -> dict[str, Any]:
    entries = {
        name: entry
        for kind in ("required", "optional")
        for name, entry in schema["input"].get(kind, {}).items()
    }
    inputs = {
        name: {"name": name, "tooltip": entry[1]["tooltip"]} for name, entry in entries.items()
    }
    outputs = {
        str(k): {"name": name, "tooltip": tooltip}
        for k, (name, tooltip) in enumerate(
            zip(schema["output_name"], schema["output_tooltips"], strict=True)
        )
    }
    return {
        "display_name": schema["display_name"],
        "description": schema["description"],
        "inputs": inputs,
        "outputs": outputs,
    }


def as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    with Server(cpu=True) as server:
        ENGLISH.write_text(as_text(node_definitions(server.get("object_info"))))
    print(ENGLISH.relative_to(ROOT))


if __name__ == "__main__":
    main()
