"""A ComfyUI graph, written once, in both of ComfyUI's formats.

`Graph.to_api` gives the format that the server runs, `Graph.to_workflow` the one that a person
opens (schema 0.4), with groups, titles and positions. Nodes of one group are below each other,
groups side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NODE_WIDTH, GAP, GROUP_GAP, GROUP_TITLE = 380, 50, 60, 50
TITLE_HEIGHT, ROW_HEIGHT = 30, 26
# The height that our own panels (js/) add to a node when it is created.
PANELS = {"GeodesicTimes": 226, "GeodesicKeyframe": 100, "GeodesicNoiseKeyframe": 80}
# A menu of newer ComfyUIs whose choices have inputs of their own. Its first choice has none.
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
# A text on the canvas. It is the interface's own, so the server never hears of it.
NOTE = "MarkdownNote"
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", DYNAMIC_COMBO)
# Widgets that bear their node's title, so that app mode shows which of several is which.
LABELLED = {
    *(("CLIPTextEncode", "text"), ("PrimitiveInt", "value")),
    *(("GeodesicNoiseKeyframe", "seed"), ("LoadImage", "image")),
}
OWN_PREFIX = "Geodesic"
# A node and its schema → (name, description) of its inputs that have a slot.
Slots = Callable[["Node", dict[str, Any]], list[tuple[str, dict[str, Any]]]]
# Nodes, links and groups, as in the file of a workflow.
Parts = tuple[list[dict[str, Any]], list[list[Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Link:
    """An output of a node, used as another node's input.

    value: what a widget shows if it is linked to an input of a subgraph (blueprint.py).
    """

    node: Node
    slot: int
    value: Any = None


@dataclass(frozen=True, eq=False)
class Node:
    """One node; `node[0]` is its first output."""

    id: int
    type: str
    inputs: dict[str, Any]
    title: str
    group: str
    room: int = 0

    def __getitem__(self, slot: int) -> Link:
        return Link(self, slot)


@dataclass
class Graph:
    """Nodes in the order in which they were added; they must be able to run in this order.

    notes: texts for people, which stand in the file alone.
    """

    nodes: list[Node] = field(default_factory=list)
    notes: list[Node] = field(default_factory=list)
    group: str = ""
    colours: dict[str, str] = field(default_factory=dict)

    def begin_group(self, title: str, colour: str) -> None:
        """Start a group: nodes added from now on belong to it."""
        self.group = title
        self.colours[title] = colour

    def add(self, type: str, title: str = "", room: int = 0, /, **inputs: Any) -> Node:
        """Add a node. Inputs are values or links; `room` is extra height for its results."""
        node = Node(len(self.nodes) + 1, type, inputs, title, self.group, room)
        self.nodes.append(node)
        return node

    def add_note(self, title: str, text: str, height: int) -> None:
        """Add a text in Markdown. All nodes must have been added before, for the ids."""
        number = len(self.nodes) + len(self.notes) + 1
        self.notes.append(Node(number, NOTE, {"text": text}, title, self.group, height))

    def titled(self, title: str) -> Node:
        """The only node with this title."""
        (node,) = (node for node in self.nodes if node.title == title)
        return node

    def find(self, title: str) -> str:
        """The id of the only node with this title, as the server writes it."""
        return str(self.titled(title).id)

    def to_api(self) -> dict[str, Any]:
        """The graph in the format of `POST /prompt`."""
        return {
            str(node.id): {
                "class_type": node.type,
                "inputs": {name: _api_value(value) for name, value in node.inputs.items()},
                "_meta": {"title": node.title or node.type},
            }
            for node in self.nodes
        }

    def to_workflow(self, schemas: dict[str, Any], version: str) -> dict[str, Any]:
        """The graph in the web interface's format; `schemas`: the answer of `GET /object_info`."""
        nodes, links, groups = self._parts(schemas, version, _sockets, self.nodes)
        return {
            "last_node_id": len(nodes),
            "last_link_id": len(links),
            "nodes": nodes,
            "links": links,
            "groups": groups,
            "config": {},
            # No saved view: the interface then shows the whole workflow.
            "extra": {},
            "version": 0.4,
        }

    def inside(self, schemas: dict[str, Any], version: str, end: Node) -> Parts:
        """Nodes, links and groups of a subgraph, with the links to its outputs, `end`.

        Here every widget is a slot, after the sockets: unlike in a workflow, the interface does not
        correct the numbers of slots when it opens a subgraph.
        """
        return self._parts(schemas, version, _slots, [*self.nodes, end])

    def _parts(
        self, schemas: dict[str, Any], version: str, slots: Slots, linked: list[Node]
    ) -> Parts:
        for node in self.nodes:
            _check_inputs(node, schemas[node.type])
        links = self._links(schemas, slots, linked)
        places, groups = self._layout(schemas)
        nodes = [
            _workflow_node(
                node,
                order,
                schemas[node.type],
                slots(node, schemas[node.type]),
                links,
                places[node.id],
                version,
            )
            for order, node in enumerate(self.nodes)
        ]
        nodes += [
            _note(note, order, places[note.id])
            for order, note in enumerate(self.notes, start=len(nodes))
        ]
        return nodes, links, groups

    def _links(self, schemas: dict[str, Any], slots: Slots, linked: list[Node]) -> list[list[Any]]:
        """[id, from node, from slot, to node, to slot, type], slots counted over the sockets."""
        links = []
        for node in linked:
            for slot, (name, _) in enumerate(slots(node, schemas[node.type])):
                value = node.inputs.get(name)
                if isinstance(value, Link):
                    kind = schemas[value.node.type]["output"][value.slot]
                    ends = [value.node.id, value.slot, node.id, slot]
                    links.append([len(links) + 1, *ends, kind])
        return links

    def _layout(
        self, schemas: dict[str, Any]
    ) -> tuple[dict[int, tuple[int, int, int]], list[dict[str, Any]]]:
        """The place and height of every node, and the frames of the groups."""
        places, groups, x = {}, [], 0
        for number, (title, colour) in enumerate(self.colours.items(), start=1):
            y = GROUP_TITLE + TITLE_HEIGHT
            for node in (node for node in [*self.nodes, *self.notes] if node.group == title):
                height = node.room if node.type == NOTE else _height(node, schemas[node.type])
                places[node.id] = (x + GAP // 2, y, height)
                y += height + TITLE_HEIGHT + GAP
            width = NODE_WIDTH + GAP
            groups.append(
                {
                    "id": number,
                    "title": title,
                    "bounding": [x, 0, width, y - TITLE_HEIGHT],
                    "color": colour,
                    "font_size": 24,
                    "flags": {},
                }
            )
            x += width + GROUP_GAP
        return places, groups


def _api_value(value: Any) -> Any:
    return [str(value.node.id), value.slot] if isinstance(value, Link) else value


def _inputs(schema: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """(name, type, options) of every input in the order of the interface."""
    return [
        (name, schema["input"][kind][name][0], (schema["input"][kind][name] + [{}])[1])
        for kind in ("required", "optional")
        for name in schema["input_order"].get(kind, [])
    ]


def _check_inputs(node: Node, schema: dict[str, Any]) -> None:
    """Raise ValueError for inputs that the node's schema does not have: nobody would read them."""
    known = [name for name, *_ in _inputs(schema)]
    unknown = [name for name in node.inputs if name.partition(".")[0] not in known]
    if unknown:
        raise ValueError(
            f"{node.type}: expected inputs among {', '.join(known)}, got {', '.join(unknown)}."
        )


def _is_widget(kind: Any, options: dict[str, Any]) -> bool:
    return (isinstance(kind, list) or kind in WIDGET_TYPES) and not options.get("forceInput")


def _labelled(node: Node, schema: dict[str, Any], drawn: set[str]) -> list[dict[str, Any]]:
    """Widgets that bear their node's title: of several texts one must see which is which.

    They stand after all sockets, where slots without a link change no link's number.
    """
    return [
        {**_slot(name, kind, options), "label": node.title, "link": None}
        for name, kind, options in _inputs(schema)
        if (node.type, name) in LABELLED and name not in drawn
    ]


def _default(kind: Any, options: dict[str, Any]) -> Any:
    """What the interface shows in a new widget."""
    return options["options"][0]["key"] if kind == DYNAMIC_COMBO else options.get("default")


def _slot(name: str, kind: Any, options: dict[str, Any]) -> dict[str, Any]:
    slot = {"name": name, "type": "COMBO" if isinstance(kind, list) else kind}
    return {**slot, "widget": {"name": name}} if _is_widget(kind, options) else slot


def _sockets(node: Node, schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The inputs drawn as sockets: all that are not widgets, and widgets that have a link."""
    return [
        (name, _slot(name, kind, options))
        for name, kind, options in _inputs(schema)
        if not _is_widget(kind, options) or isinstance(node.inputs.get(name), Link)
    ]


def _slots(_: Node, schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All inputs, in the order in which the interface numbers them: widgets come last."""
    slots = [(name, _slot(name, kind, options)) for name, kind, options in _inputs(schema)]
    return sorted(slots, key=lambda slot: "widget" in slot[1])


def _widget_values(node: Node, schema: dict[str, Any]) -> list[Any]:
    """Values by position, as schema 0.4 stores them; a seed is followed by its control."""
    values = []
    for name, kind, options in _inputs(schema):
        if not _is_widget(kind, options):
            continue
        default = _default(kind, options)
        value = node.inputs.get(name, default)
        if isinstance(value, Link):
            value = default if value.value is None else value.value
        values.append(value)
        if options.get("control_after_generate"):
            values.append("fixed")
    return values


def _height(node: Node, schema: dict[str, Any]) -> int:
    sockets = max(len(_sockets(node, schema)), len(schema["output"]))
    rows = sockets + len(_widget_values(node, schema))
    return ROW_HEIGHT * rows + 16 + node.room + PANELS.get(node.type, 0)


def _workflow_node(
    node: Node,
    order: int,
    schema: dict[str, Any],
    sockets: list[tuple[str, dict[str, Any]]],
    links: list[list[Any]],
    place: tuple[int, int, int],
    version: str,
) -> dict[str, Any]:
    incoming = {(link[3], link[4]): link[0] for link in links}
    x, y, height = place
    own = node.type.startswith(OWN_PREFIX)
    described = {
        "id": node.id,
        "type": node.type,
        "pos": [x, y],
        "size": [NODE_WIDTH, height],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [
            *(
                {**socket, "link": incoming.get((node.id, slot))}
                for slot, (_, socket) in enumerate(sockets)
            ),
            *_labelled(node, schema, {name for name, _ in sockets}),
        ],
        "outputs": [
            {
                "name": schema["output_name"][slot],
                "type": kind,
                "links": [ln[0] for ln in links if (ln[1], ln[2]) == (node.id, slot)] or None,
            }
            for slot, kind in enumerate(schema["output"])
        ],
        "properties": {
            "cnr_id": "geodesic-morph" if own else "comfy-core",
            "ver": version if own else "0.3.75",
            "Node name for S&R": node.type,
        },
        "widgets_values": _widget_values(node, schema),
    }
    return {**described, "title": node.title} if node.title else described


def _note(note: Node, order: int, place: tuple[int, int, int]) -> dict[str, Any]:
    x, y, height = place
    return {
        "id": note.id,
        "type": note.type,
        "pos": [x, y],
        "size": [NODE_WIDTH, height],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [note.inputs["text"]],
        "title": note.title,
    }
