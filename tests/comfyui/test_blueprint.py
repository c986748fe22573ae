"""The subgraph blueprint's file: as written, as served, and in agreement with the nodes in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.comfyui.server import Server
from dev.workflows.blueprint import (
    DESCRIPTION,
    INPUTS_ID,
    NAME,
    OUTPUTS_ID,
    PATH,
    PROMOTED,
    RESULTS,
    as_text,
)
from dev.workflows.graph import DYNAMIC_COMBO
from dev.workflows.settings import SD15

from ..generations import BOTH, OLDER_ONLY

pytestmark = BOTH

FILE = json.loads(PATH.read_text())
(OUTER,) = FILE["nodes"]
(SUBGRAPH,) = FILE["definitions"]["subgraphs"]
NODES = {node["id"]: node for node in SUBGRAPH["nodes"]}


@pytest.fixture(scope="module")
def schemas(server: Server) -> dict[str, Any]:
    return server.get("object_info")


@OLDER_ONLY
def test_the_file_is_what_its_definition_writes(schemas: dict[str, Any]) -> None:
    """subgraphs/*.json is what blueprint.py writes, in ASCII; `make workflows` writes it anew."""
    assert PATH.read_bytes().decode("ascii") == as_text(schemas)


def test_the_server_offers_it(server: Server) -> None:
    """The list that the node library asks for names the blueprint and its pack."""
    offered = server.get("global_subgraphs")
    (found,) = [key for key, entry in offered.items() if entry["name"] == NAME]
    assert offered[found]["info"] == {"node_pack": "custom_nodes.geodesic_morph"}
    assert server.get(f"global_subgraphs/{found}")["data"] == PATH.read_text()
    assert FILE["extra"]["BlueprintDescription"] == DESCRIPTION


def test_the_outer_node_is_an_instance_of_the_subgraph() -> None:
    """Its widgets and outputs are the subgraph's, in the wanted order, and no id is given twice."""
    assert OUTER["type"] == SUBGRAPH["id"]
    assert OUTER["id"] not in NODES
    for side, names in (("inputs", [p.name for p in PROMOTED]), ("outputs", list(RESULTS))):
        outer, inner = ([(s["name"], s["type"]) for s in of[side]] for of in (OUTER, SUBGRAPH))
        assert outer == inner
        assert [name for name, _ in outer] == names
    assert len(OUTER["widgets_values"]) == len(PROMOTED)
    ids = [slot["id"] for side in ("inputs", "outputs") for slot in SUBGRAPH[side]]
    assert len({*ids, SUBGRAPH["id"], FILE["id"]}) == len(ids) + 2


def test_every_link_joins_what_it_says() -> None:
    """Both ends of a link know it, by the slot it names, and are of its type."""
    ends = {
        (INPUTS_ID, "outputs"): SUBGRAPH["inputs"],
        (OUTPUTS_ID, "inputs"): SUBGRAPH["outputs"],
    }
    for link in SUBGRAPH["links"]:
        for side, end in (("outputs", "origin"), ("inputs", "target")):
            node = link[f"{end}_id"]
            slots = ends[node, side] if node < 0 else NODES[node][side]
            slot = slots[link[f"{end}_slot"]]
            assert link["type"] in slot["type"].split(","), link
            known = slot.get("linkIds") or slot.get("links") or [slot.get("link")]
            assert link["id"] in known, link


def widgets(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, tuple[Any, list[Any]]]:
    """Name → (value, schema's entry) of every widget, read by position as the interface does."""
    values = list(node["widgets_values"])
    entries = schema["input"]["required"] | schema["input"].get("optional", {})
    names = [slot["widget"]["name"] for slot in node["inputs"] if "widget" in slot]
    found = {}
    for name in sorted(names, key=list(entries).index):
        found[name] = (values.pop(0), entries[name])
        if [*entries[name], {}][1].get("control_after_generate"):
            assert values.pop(0) == "fixed"
    assert values == []
    return found


def allowed(value: Any, entry: list[Any]) -> bool:
    """Is this a value that the server would take for this widget?"""
    kind, options = [*entry, {}][:2]
    if isinstance(kind, list) or kind == "COMBO":
        return value in (kind if isinstance(kind, list) else options["options"])
    if kind == DYNAMIC_COMBO:
        return value in [option["key"] for option in options["options"]]
    python = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}[kind]
    if not isinstance(value, python):
        return False
    return kind in ("STRING", "BOOLEAN") or options["min"] <= value <= options["max"]


def test_every_value_inside_is_one_that_its_node_takes(schemas: dict[str, Any]) -> None:
    """Every node type exists, and its widgets' values are allowed; outer and inner values agree."""
    inside = {node["id"]: widgets(node, schemas[node["type"]]) for node in SUBGRAPH["nodes"]}
    for node, found in inside.items():
        for name, (value, entry) in found.items():
            # Which checkpoints there are depends on the machine.
            assert value == SD15 or allowed(value, entry), (NODES[node]["type"], name, value)
    for link in SUBGRAPH["links"]:
        if link["origin_id"] == INPUTS_ID:
            slot = NODES[link["target_id"]]["inputs"][link["target_slot"]]
            value, _ = inside[link["target_id"]][slot["widget"]["name"]]
            assert value == OUTER["widgets_values"][link["origin_slot"]]
