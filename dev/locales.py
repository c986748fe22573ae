"""`make locales`: the English names and tooltips, as translators take them up.

ComfyUI reads locales/LANGUAGE/nodeDefs.json (nodes) and main.json (categories, and what our own
JavaScript says) of every pack. The English nodeDefs.json is written here from the nodes' schemas;
all else is written by hand, and a test holds every language to the same keys.
"""

from __future__ import annotations

import json
from typing import Any

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server

LOCALES = ROOT / "locales"
ENGLISH = LOCALES / "en" / "nodeDefs.json"


def node_definitions(found: dict[str, Any]) -> dict[str, Any]:
    """ComfyUI's object_info → nodeDefs.json in English, our nodes alone."""
    return {name: definition(found[name]) for name in sorted(found) if name.startswith("Geodesic")}


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
