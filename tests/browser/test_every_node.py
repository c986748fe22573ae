"""Every node in both renderers of both interfaces: a picture of each, to look at."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from .conftest import AT_REST, IN_ALL, PATIENCE, WIDE, Interface

COLUMNS, WIDTH, SCALE = 8, 400, 0.86
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
    const element = document.querySelector(`[data-node-id="${node.id}"]`);
    if (LiteGraph.vueNodesMode && element) {
        const {left, top, right, bottom} = element.getBoundingClientRect();
        return [node.type, [left, top, right, bottom]];
    }
    const {scale, offset} = window.app.canvas.ds;
    const box = window.app.canvas.canvas.getBoundingClientRect();
    const [x, y] = [0, 1].map(k => (node.pos[k] + offset[k]) * scale + [box.left, box.top][k]);
    return [node.type, [x, y - 30 * scale, x + node.size[0] * scale, y + node.size[1] * scale]];
}))"""
PANELS = """() => {
    const shown = [...document.querySelectorAll(".geodesic-panel")].filter(p => p.clientWidth);
    const boxes = shown.map(panel => panel.getBoundingClientRect());
    const home = panel => {
        const id = panel.closest("[data-node-id]")?.dataset.nodeId;
        return window.app.graph.nodes.find(node => String(node.id) === id)?.type ?? null;
    };
    return boxes.map(({left, top, right, bottom}, k) => [home(shown[k]), left, top, right, bottom]);
}"""
SLACK = 3


WITH_PANELS = [
    "GeodesicCompare",
    "GeodesicCouple",
    "GeodesicDensityAnalysis",
    "GeodesicDensityPath",
    "GeodesicKeyframe",
    "GeodesicKeyframes",
    "GeodesicMorphSampler",
    "GeodesicNoiseKeyframe",
    "GeodesicPathLength",
    "GeodesicPromptText",
    "GeodesicTimes",
]


def inside(panel: list[float], frame: list[float]) -> bool:
    return (
        panel[0] >= frame[0] - SLACK
        and panel[1] >= frame[1] - SLACK
        and panel[2] <= frame[2] + SLACK
        and panel[3] <= frame[3] + SLACK
    )


def homes(page: Page) -> list[str]:
    """The nodes that panels stand inside of, a name for each panel.

    Nodes 2.0 says whose a panel is, and may lay its nodes one over another.
    """
    frames = page.evaluate(FRAMES)
    return sorted(
        name
        for home, *box in page.evaluate(PANELS)
        for name, frame in frames.items()
        if home in (None, name) and inside(box, frame)
    )


def at_rest(page: Page) -> tuple[dict[str, Any], Image.Image]:
    """Where the nodes are and how they look, once layout and view have come to rest."""
    before, deadline = None, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page.evaluate(AT_REST)
        frames = page.evaluate(FRAMES)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        drawn = homes(page) == WITH_PANELS
        if drawn and frames == page.evaluate(FRAMES) and before == picture.tobytes():
            return frames, picture
        before = picture.tobytes()
    raise AssertionError(f"panels stand in {homes(page)}, not in {WITH_PANELS}, or all still moves")


@IN_ALL
def test_every_node_is_drawn(studio: Interface) -> None:
    """30 nodes, none blank; every panel stands inside its node."""
    studio.page.set_viewport_size(WIDE)
    types: list[str] = studio.page.evaluate(ADD_ALL, [COLUMNS, WIDTH, SCALE])
    assert len(types) == 33
    frames, picture = at_rest(studio.page)
    folder = studio.screenshots() / studio.name
    folder.mkdir(exist_ok=True)
    picture.save(folder / "all.png")
    for node, (left, top, right, bottom) in frames.items():
        crop = picture.crop((int(left) - 8, int(top) - 8, int(right) + 8, int(bottom) + 8))
        assert np.array(crop).std() > 5, node
        crop.save(folder / f"{node}.png")
    print("screenshots:", folder)
