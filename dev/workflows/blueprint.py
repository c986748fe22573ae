"""The subgraph blueprint "Prompt morph": the two-prompt workflow as one node, for beginners.

ComfyUI serves subgraphs/*.json of every pack, and its node library lists them by file name. Inside
is `two_prompt_morph`. The settings that a beginner changes are inputs of the subgraph, linked to
widgets in it, so the outer node shows these widgets and holds their values. Web interface 1.58
writes subgraphs in this way itself, and 1.32 reads them. The list `proxyWidgets`, which 1.32 writes
beside it, is left out: 1.58 keeps the values that come with such a list, and puts them back each
time the workflow is opened.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from dev.comfyui.environment import ROOT

from .catalogue import pack_version
from .graph import Graph, Link, Node
from .prompt import two_prompt_morph
from .settings import Settings

NAME = "Prompt morph"
PATH = ROOT / "subgraphs" / f"{NAME}.json"
FILE_PREFIX = "prompt_morph"
DESCRIPTION = (
    "Two prompts in, a morph video out: every frame is drawn with a prompt on the shortest path "
    "(optimal transport) from prompt A to prompt B. Choose a checkpoint, write two prompts, press "
    "Run; the video is saved in output/geodesic. Open the node to see or change the workflow in it."
)
ALIASES = ["morph video", "prompt travel", "prompt interpolation", "prompt blending", "transition"]
# Wide enough for a line of a prompt, and high enough for three lines of each prompt.
WIDTH, HEIGHT = 420, 640
# The two ends of a subgraph: their ids in LiteGraph, and their names in the schemas here.
INPUTS_ID, OUTPUTS_ID = -10, -20
INPUTS, OUTPUTS = "subgraph inputs", "subgraph outputs"
END_WIDTH, END_ROW, END_MARGIN, END_GAP = 120, 20, 20, 160


@dataclass(frozen=True)
class Promoted:
    """An input of an inner node, which the outer node shows under another name."""

    name: str
    title: str
    input: str


PROMOTED = (
    Promoted("checkpoint", "SD1.5 checkpoint", "ckpt_name"),
    Promoted("prompt A", "Prompt A", "text"),
    Promoted("prompt B", "Prompt B", "text"),
    Promoted("negative", "Negative", "text"),
    Promoted("frames", "Times of the frames", "frames"),
    Promoted("ending", "Times of the frames", "ending"),
    Promoted("width", "Size (one image)", "width"),
    Promoted("height", "Size (one image)", "height"),
    Promoted("seed", "Render", "seed"),
    Promoted("steps", "Render", "steps"),
    Promoted("cfg", "Render", "cfg"),
    Promoted("pairing", "Pair the rows: optimal transport", "method"),
    Promoted("fps", "Video", "fps"),
)
# Output → the title of the node it comes from, and the number of that node's output.
RESULTS = {"video": ("Video", 0), "frames": ("Join the frames", 0)}


@dataclass
class Inside:
    """The inner graph, the (type, value) of its inputs, and the types of its outputs."""

    graph: Graph
    end: Node
    inputs: list[tuple[str, Any]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def inside(schemas: dict[str, Any]) -> Inside:
    """`two_prompt_morph`, with links to both ends of the subgraph."""
    graph = two_prompt_morph(Settings(), FILE_PREFIX)
    start = Node(INPUTS_ID, INPUTS, {}, "", "")
    results = {name: graph.titled(title)[slot] for name, (title, slot) in RESULTS.items()}
    inner = Inside(graph, Node(OUTPUTS_ID, OUTPUTS, results, "", ""))
    for slot, promoted in enumerate(PROMOTED):
        node = graph.titled(promoted.title)
        kind = schemas[node.type]["input"]["required"][promoted.input][0]
        value = node.inputs[promoted.input]
        inner.inputs.append(("COMBO" if isinstance(kind, list) else kind, value))
        node.inputs[promoted.input] = Link(start, slot, value)
    inner.outputs = [schemas[link.node.type]["output"][link.slot] for link in results.values()]
    return inner


def as_blueprint(schemas: dict[str, Any], version: str) -> dict[str, Any]:
    """The content of the file: a workflow of one node, and the definition of that node."""
    inner = inside(schemas)
    # An id that no node inside has, so that the first copy on a canvas keeps its ids.
    outer_id = len(inner.graph.nodes) + 1
    return {
        "id": _uuid("workflow"),
        "revision": 0,
        "last_node_id": outer_id,
        "last_link_id": 0,
        "nodes": [_outer(inner, outer_id, version)],
        "links": [],
        "groups": [],
        "definitions": {"subgraphs": [_definition(inner, schemas, version)]},
        "config": {},
        "extra": {"BlueprintDescription": DESCRIPTION, "BlueprintSearchAliases": ALIASES},
        "version": 0.4,
    }


def _outer(inner: Inside, id: int, version: str) -> dict[str, Any]:
    """The outer node, as it is when it was just put on the canvas."""
    return {
        "id": id,
        "type": _uuid("subgraph"),
        "pos": [0, 0],
        "size": [WIDTH, HEIGHT],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            {"name": p.name, "type": kind, "widget": {"name": p.name}, "link": None}
            for p, (kind, _) in zip(PROMOTED, inner.inputs, strict=True)
        ],
        "outputs": [
            {"name": name, "type": kind, "links": None}
            for name, kind in zip(RESULTS, inner.outputs, strict=True)
        ],
        "title": NAME,
        "properties": {"cnr_id": "geodesic-morph", "ver": version},
        "widgets_values": [value for _, value in inner.inputs],
    }


def _definition(inner: Inside, schemas: dict[str, Any], version: str) -> dict[str, Any]:
    """The subgraph: its two ends and everything between them."""
    ends = {
        INPUTS: {"output": [kind for kind, _ in inner.inputs]},
        OUTPUTS: {
            "input": {
                "required": {k: [v] for k, v in zip(RESULTS, inner.outputs, strict=True)},
            },
            "input_order": {"required": list(RESULTS)},
        },
    }
    nodes, links, groups = inner.graph.inside(schemas | ends, version, inner.end)
    right = max(x + width for x, _, width, _ in (group["bounding"] for group in groups))
    slots_in = [(p.name, kind) for p, (kind, _) in zip(PROMOTED, inner.inputs, strict=True)]
    slots_out = list(zip(RESULTS, inner.outputs, strict=True))
    return {
        "id": _uuid("subgraph"),
        "version": 1,
        "state": {
            "lastGroupId": len(groups),
            "lastNodeId": len(nodes),
            "lastLinkId": len(links),
            "lastRerouteId": 0,
        },
        "revision": 0,
        "config": {},
        "name": NAME,
        "description": DESCRIPTION,
        "category": "geodesic",
        "inputNode": _end(INPUTS_ID, -END_GAP - END_WIDTH, len(slots_in)),
        "outputNode": _end(OUTPUTS_ID, right + END_GAP, len(slots_out)),
        "inputs": [
            _slot("input", *slot, [link[0] for link in links if link[1:3] == [INPUTS_ID, number]])
            for number, slot in enumerate(slots_in)
        ],
        "outputs": [
            _slot("output", *slot, [link[0] for link in links if link[3:5] == [OUTPUTS_ID, number]])
            for number, slot in enumerate(slots_out)
        ],
        "widgets": [],
        "nodes": nodes,
        "groups": groups,
        "links": [_named(link) for link in links],
        "extra": {},
    }


def _slot(side: str, name: str, kind: str, links: list[int]) -> dict[str, Any]:
    return {"id": _uuid(f"{side} {name}"), "name": name, "type": kind, "linkIds": links}


def _end(id: int, x: int, rows: int) -> dict[str, Any]:
    return {"id": id, "bounding": [x, 0, END_WIDTH, 2 * END_MARGIN + END_ROW * rows]}


def _named(link: list[Any]) -> dict[str, Any]:
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return dict(zip(names, link, strict=True))


def _uuid(part: str) -> str:
    """An id that is the same each time, so that the file changes only where its content does."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"geodesic-morph/{NAME}/{part}"))


def as_text(schemas: dict[str, Any]) -> str:
    """The text of the file; in ASCII, as ComfyUI reads it in the operating system's encoding."""
    return json.dumps(as_blueprint(schemas, pack_version()), indent=1) + "\n"


def write(schemas: dict[str, Any]) -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(as_text(schemas))
    print(PATH.relative_to(ROOT))
