"""Takes the help pages' pictures: opens each example in ComfyUI's web interface and runs it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Route, ViewportSize

from dev.comfyui import lpips_weights
from dev.comfyui.browser import NODES_2, SETTINGS, chromium, show
from dev.comfyui.environment import BASE, FOLDER, ROOT, newest_front_end
from dev.comfyui.server import Server, ServerError
from dev.pictures import music, photos
from dev.workflows.catalogue import pack_version
from dev.workflows.settings import SMALL
from scenes import checkpoint

from .catalogue import EXAMPLES
from .tiles import Example, Tile

PAGES = ROOT / "js" / "docs"
# WIDEST is in pixels, about twice the width of the help panel: text is sharp on dense screens.
WIDEST, QUALITY, SCALE = 900, 83, 1.8
# In units of the canvas: gaps between tiles, a margin around all, and the height of a title.
BESIDE, BELOW, MARGIN, TITLE = 36, 20, 18, 30
VIEW: ViewportSize = {"width": 1500, "height": 1500}
CORNER = 60  # where the tiles begin in the view, clear of the toolbars at its edges
LOOK = {
    NODES_2: True,
    # Otherwise every node of ours shows the pack's name.
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    # Straight links stay clear where nodes stand below each other; no dots on them.
    "Comfy.LinkRenderMode": 0,
    "Comfy.Graph.LinkMarkers": 0,
}

# Resolves when the page has received all results of a run.
LISTEN = """() => {
    const { api } = window.comfyAPI.api;
    window.ended = new Promise((resolve) =>
        api.addEventListener("execution_success", () => resolve(null), { once: true }));
}"""
# Sizes and titles as in the example, and only nodes and links. Links that leave the picture are
# drawn at its left and right edge, and never across it.
DRESS = """([tiles, first, last]) => {
    for (const group of [...app.graph.groups]) app.graph.remove(group);
    for (const { node: id, title, width, height, folded } of tiles) {
        const node = app.graph.getNodeById(id);
        node.title = title || LiteGraph.registered_node_types[node.type].title;
        node.setSize([width, height]); // nodes grow by themselves to fit their content
        if (folded && !node.flags.collapsed) node.collapse();
    }
    app.extensionManager.focusMode = true;
    app.canvas.background_image = "";
    app.canvas._pattern = null;
    app.canvas.ds.scale = 1;
    const inside = tiles.map((tile) => tile.node);
    const among = (ids, id) => ids.includes(Number(id));
    const seen = ({ origin_id: from, target_id: to }) =>
        (among(inside, from) || among(first, to)) && (among(inside, to) || among(last, from));
    const draw = app.canvas.renderLink;
    app.canvas.renderLink = function (ctx, a, b, link, ...more) {
        if (link && seen(link)) draw.call(this, ctx, a, b, link, ...more);
    };
}"""
LOADED = """(ids) => ids.every((id) => {
    const images = [...document.querySelectorAll(`[data-node-id="${id}"] img`)];
    return images.length && images.every((image) => image.complete && image.naturalWidth > 0);
})"""
SIZES = """() => Object.fromEntries([...document.querySelectorAll("[data-node-id]")].map((e) => {
    const { width, height } = e.getBoundingClientRect();
    return [e.dataset.nodeId, [width, height]];
}))"""
PLACE = """([places, corner]) => {
    const shown = (id) => places[id] !== undefined;
    const ends = [...app.graph.links.values()];
    for (const node of app.graph.nodes) {
        const into = ends.find((l) => l.origin_id === node.id && shown(l.target_id));
        const from = ends.find((l) => l.target_id === node.id && shown(l.origin_id));
        // Nodes outside the picture are so far away that their links enter horizontally.
        if (shown(node.id)) node.pos = places[node.id];
        else if (into) node.pos = [-3000, places[into.target_id][1]];
        else if (from) node.pos = [4000, places[from.origin_id][1]];
        else node.pos = [-3000, -4000];
    }
    app.canvas.ds.offset = [corner, corner];
    app.canvas.setDirty(true, true);
}"""


def arrange(
    columns: Sequence[Sequence[Tile]], sizes: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """The upper left corner of each node with its title, by node id; `sizes` are by node id too.

    Nodes narrower than their column are at its right edge, so that links bend between columns.
    """
    places: dict[int, tuple[float, float]] = {}
    left = 0.0
    for column in columns:
        wide, top = max(sizes[tile.node.id][0] for tile in column), 0.0
        for tile in column:
            width, height = sizes[tile.node.id]
            places[tile.node.id] = (left + wide - width, top)
            top += height + BELOW
        left += wide + BESIDE
    return places


class Studio:
    """A page with ComfyUI's newest interface."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.server = server
        self.page = browser.new_page(viewport=VIEW, device_scale_factor=SCALE)
        self.page.route("**/api/settings", _settings)
        show(self.page, server)

    def run(self, example: Example) -> None:
        """Open the graph and press Run; returns when all its nodes show their results."""
        workflow = example.graph.to_workflow(self.server.get("object_info"), pack_version())
        self.page.evaluate("async (workflow) => { await app.loadGraphData(workflow); }", workflow)
        self.page.evaluate(LISTEN)
        with self.page.expect_response("**/api/prompt") as answered:
            self.page.get_by_role("button", name="Run", exact=True).click()
        answer: dict[str, Any] = answered.value.json()
        if "prompt_id" not in answer:
            raise ServerError(str(answer))
        status = self.server.wait(answer["prompt_id"], 1800)["status"]
        if status["status_str"] != "success":
            raise ServerError(str(status))
        self.page.evaluate("() => window.ended")

    def picture(self, example: Example) -> Image.Image:
        """The example's tiles, laid out, as they look after the run."""
        page, tiles, width, height = self.page, example.tiles, 0.0, 0.0
        first, last = (
            [tile.node.id for tile in example.columns[k] if not tile.folded] for k in (0, -1)
        )
        page.evaluate(DRESS, [[vars(t) | {"node": t.node.id} for t in tiles], first, last])
        page.wait_for_function(LOADED, arg=[tile.node.id for tile in tiles if tile.picture])
        # Nodes grow for a few frames, some only when they are in view, and no event tells when.
        for _ in range(3):
            width, height = self.lay_out(example)
            page.wait_for_timeout(700)
        if example.then:
            example.then(page)
            page.wait_for_timeout(300)
        edge = CORNER - MARGIN
        width, height = width + 2 * MARGIN, height + 2 * MARGIN
        clip: FloatRect = {"x": edge, "y": edge, "width": width, "height": height}
        return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")

    def lay_out(self, example: Example) -> tuple[float, float]:
        """Put the tiles in their places; returns the width and height of them all."""
        sizes = {int(id): size for id, size in self.page.evaluate(SIZES).items()}
        places = arrange(example.columns, sizes)
        bodies = {str(id): [x, y + TITLE] for id, (x, y) in places.items()}
        self.page.evaluate(PLACE, [bodies, CORNER])
        ends = [(x + sizes[id][0], y + sizes[id][1]) for id, (x, y) in places.items()]
        return max(x for x, _ in ends), max(y for _, y in ends)


def _settings(route: Route) -> None:
    """Settings for this page only: those of the server are not changed."""
    if route.request.method == "GET":
        route.fulfill(json=SETTINGS | LOOK)
    else:
        route.abort()


def save(picture: Image.Image, node_id: str) -> None:
    """Save a picture beside the help page, at most WIDEST pixels wide."""
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    picture.save(PAGES / f"{node_id}.jpg", quality=QUALITY, optimize=True)


def draw(names: Sequence[str] = ()) -> None:
    """Draw the pictures of these nodes, or of all."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    photos.ensure(BASE / "input")
    music.ensure(BASE / "input")
    log, front_end = FOLDER / "help.log", newest_front_end()
    with Server(cpu=True, log=log, front_end=front_end) as server, chromium() as browser:
        for name in names or EXAMPLES:
            example = EXAMPLES[name]()
            studio = Studio(browser, server)
            studio.run(example)
            save(studio.picture(example), name)
            studio.page.close()
            print(f"js/docs/{name}.jpg", flush=True)
