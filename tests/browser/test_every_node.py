"""Every node in both renderers of both interfaces: a picture of each, to look at."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from .conftest import Interface

COLUMNS, WIDTH, SCALE = 7, 400, 0.98
# Adds one node of each of our types, in columns, and tells their frames in pixels of the page.
ADD_ALL = """([columns, width, scale]) => {
    const {graph, canvas} = window.app;
    graph.clear();
    const known = Object.keys(LiteGraph.registered_node_types);
    const types = known.filter(type => type.startsWith("Geodesic"));
    const heights = Array(columns).fill(120);
    for (const type of types.sort()) {
        const node = LiteGraph.createNode(type);
        const column = heights.indexOf(Math.min(...heights));
        node.pos = [80 + column * width, heights[column] + 40];
        graph.add(node);
        heights[column] += node.size[1] + 110;
    }
    canvas.ds.scale = scale;
    canvas.ds.offset = [0, 0];
    canvas.setDirty(true, true);
    return types;
}"""
FRAMES = """() => Object.fromEntries(window.app.graph.nodes.map(node => {
    const {scale, offset} = window.app.canvas.ds;
    const box = window.app.canvas.canvas.getBoundingClientRect();
    const [x, y] = [0, 1].map(k => (node.pos[k] + offset[k]) * scale + [box.left, box.top][k]);
    return [node.type, [x, y - 30 * scale, x + node.size[0] * scale, y + node.size[1] * scale]];
}))"""
PANELS = """() => {
    const shown = [...document.querySelectorAll(".geodesic-panel")].filter(p => p.clientWidth);
    const boxes = shown.map(panel => panel.getBoundingClientRect());
    return boxes.map(({left, top, right, bottom}) => [left, top, right, bottom]);
}"""
SLACK = 3


def inside(panel: list[float], frame: list[float]) -> bool:
    return (
        panel[0] >= frame[0] - SLACK
        and panel[1] >= frame[1] - SLACK
        and panel[2] <= frame[2] + SLACK
        and panel[3] <= frame[3] + SLACK
    )


def test_every_node_is_drawn(studio: Interface) -> None:
    """22 nodes, none blank; every panel stands inside its node."""
    page = studio.page
    types: list[str] = page.evaluate(ADD_ALL, [COLUMNS, WIDTH, SCALE])
    assert len(types) == 22
    page.wait_for_timeout(1500)  # panels are laid out and drawn a few frames later
    frames: dict[str, Any] = page.evaluate(FRAMES)
    panels = page.evaluate(PANELS)
    homes = [name for name, frame in frames.items() for box in panels if inside(box, frame)]
    assert sorted(homes) == ["GeodesicKeyframe", "GeodesicNoiseKeyframe", "GeodesicTimes"]
    assert len(panels) == len(homes)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    folder = studio.screenshots() / studio.name
    folder.mkdir(exist_ok=True)
    picture.save(folder / "all.png")
    for node, (left, top, right, bottom) in frames.items():
        crop = picture.crop((int(left) - 8, int(top) - 8, int(right) + 8, int(bottom) + 8))
        assert np.array(crop).std() > 5, node
        crop.save(folder / f"{node}.png")
    print("screenshots:", folder)
