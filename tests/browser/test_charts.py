"""Charts in the nodes, used with mouse and arrow keys."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, expect

from dev.comfyui.environment import ROOT
from dev.workflows.prompt import even_morph
from dev.workflows.settings import SMALL, SMALL_SETTINGS

from .conftest import Interface

WORKFLOW = ROOT / "example_workflows" / "compare_couplings.json"
LABELS = ["⟨start⟩", "red", "circle", "⟨end⟩", *[None] * 73]
PANEL = ".geodesic-chart-panel"


def coupling(target: list[int], labels: list[str | None] | None = LABELS) -> dict[str, Any]:
    """What Couple Prompts returns for a coupling of as many rows; row k goes k units far."""
    side = {"rows": len(target), "labels": labels}
    pairs = [[k, row, float(k), 1] for k, row in enumerate(target)]
    return {
        "method": "optimal transport",
        "cost": 101.5,
        "relative_cost": 1.25,
        "left_out": 0,
        "source": side,
        "target": side,
        "pairs": pairs,
    }


def steps(interface: Interface, distances: list[float]) -> dict[str, Any]:
    """What Perceptual Path Length returns; the frames' sheet is a picture of the server's."""
    sheet = Image.new("RGB", (64 * (len(distances) + 1), 64), "red")
    sheet.paste("blue", (64, 0, 128, 64))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    answer = interface.server.session.post(
        f"{interface.server.url}/upload/image",
        files={"image": ("sheet of frames & more.png", file.getvalue())},
        data={"type": "temp"},
        timeout=60,
    ).json()
    named = {"filename": answer["name"], "subfolder": answer["subfolder"], "type": answer["type"]}
    shape = {"columns": len(distances) + 1, "width": 64, "height": 64}
    return statistics(distances) | {
        "sheet": named | shape | {"frames": len(distances) + 1},
    }


def statistics(distances: list[float]) -> dict[str, Any]:
    total = round(sum(distances), 6)  # as the server sends it
    return {
        "distances": distances,
        "mean": total / len(distances),
        "total": total,
        "variance": 0.0625,
        "largest": max(distances),
        "smoothness": 0.5,
        "metric": "LPIPS alex",
    }


def show(interface: Interface, node_type: str, key: str, data: list[dict[str, Any]]) -> Locator:
    """Hand a node what a run would; its panel, in the middle of the view."""
    interface.page.evaluate(
        """([type, output]) => {
            const {app} = window;
            const node = app.graph.nodes.find(n => n.type === type);
            app.nodeOutputs[node.id] = output; // as ComfyUI does before it tells the node
            node.onExecuted(output);
        }""",
        [node_type, {key: data}],
    )
    interface.look_at(node_type)
    panel = interface.page.locator(f"{PANEL}:not(.geodesic-waiting)")
    expect(panel).to_have_count(1)
    panel.wait_for()
    return panel


def point(
    interface: Interface, target: Locator, x: float, y: float, texts: Locator, expected: list[str]
) -> None:
    """Move the mouse to a share of an element's width and height, until these texts are there.

    Elements follow the canvas some frames later, so a chart may move away from under the mouse.
    """

    def read() -> list[str]:
        box = target.bounding_box()
        assert box
        interface.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        return texts.all_text_contents()

    interface.eventually(read, expected)


def test_a_step_shows_its_frames_and_its_distance(studio: Interface) -> None:
    """At first the largest step; then where the mouse is, then where arrow keys lead."""
    studio.open_file(WORKFLOW)
    expect(studio.page.locator(f"{PANEL}:not(.geodesic-waiting)")).to_have_count(0)
    distances = [0.1, 0.5, 0.2, 0.4]
    panel = show(studio, "GeodesicPathLength", "geodesic_steps", [steps(studio, distances)])
    words, names = panel.locator(".geodesic-words"), panel.locator("figcaption")
    expect(words).to_contain_text("step 2 of 4")
    expect(words.locator("b")).to_have_text("0.5")
    assert names.all_text_contents() == ["frame 2", "frame 3"]
    expect(panel.locator(".geodesic-stats b")).to_have_text(["0.3", "1.2", "0.0625", "0.5"])

    field = panel.locator(".geodesic-field")
    point(studio, field, 0.97, 0.4, names, ["frame 4", "frame 5"])
    expect(words).to_contain_text("step 4 of 4")
    field.focus()
    for key in ("Home", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        studio.page.keyboard.press(key)
    expect(words).to_contain_text("step 1 of 4")
    assert studio.page.evaluate("() => window.app.graph.nodes.length") > 7

    # The pictures are those of the sheet: frame 1 is red, frame 2 is blue.
    shown = panel.locator(".geodesic-frame")
    studio.eventually(lambda: [colour(frame) for frame in shown.all()], ["red", "blue"])
    panel.screenshot(path=studio.screenshots() / f"steps, {studio.name}.png")


def colour(frame: Locator) -> str:
    """The colour in the middle of a frame."""
    picture = np.array(Image.open(io.BytesIO(frame.screenshot())).convert("RGB"), dtype=int)
    red, _, blue = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    return "red" if red > 200 > 50 > blue else "blue" if blue > 200 > 50 > red else "neither"


def test_a_node_made_by_hand_has_room_for_its_chart(studio: Interface) -> None:
    """It does not grow over its neighbours when its first chart comes."""
    charts = {
        ("GeodesicCouple", "geodesic_coupling"): coupling(list(range(77)), None),
        ("GeodesicPathLength", "geodesic_steps"): steps(studio, [0.1, 0.2]),
    }
    for (node, key), data in charts.items():
        studio.page.evaluate(
            "type => { app.graph.clear(); app.graph.add(LiteGraph.createNode(type)) }", node
        )
        studio.look_at(node)
        before = studio.page.evaluate(SIZE)
        show(studio, node, key, [data])
        studio.at_rest()
        assert studio.page.evaluate(SIZE) == before


SIZE = "() => [...app.graph.nodes[0].size]"


def test_a_token_shows_its_partners(studio: Interface) -> None:
    """Padding is one entry; pointing at a token or moving to it shows its partners."""
    studio.open_file(WORKFLOW)
    order = [0, 2, 1, 4, 3, *range(5, 77)]
    numbered = coupling(list(range(77)), None)
    panel = show(studio, "GeodesicCouple", "geodesic_coupling", [coupling(order), numbered])
    tokens = panel.locator(".geodesic-token, .geodesic-padding")
    expected = ["⟨start⟩", "red", "circle", "⟨end⟩", "73 × padding"]
    assert tokens.all_text_contents() == expected * 2
    expect(panel.locator(".geodesic-stats b")).to_have_text(["101.5", "1.25", "optimal transport"])

    status = panel.locator(".geodesic-status")
    tokens.nth(1).hover()
    expect(status).to_have_text("red → circle: distance 1")
    expect(panel.locator("text.geodesic-lit:not(.geodesic-value)")).to_have_text(["red", "circle"])
    expect(panel.locator(".geodesic-join.geodesic-lit")).to_have_count(1)
    tokens.nth(9).hover()
    expect(status).to_have_text("distances 3 to 76: ⟨end⟩, 72 × padding → 73 × padding")

    scroller = panel.locator(".geodesic-scroller")
    scroller.focus()
    studio.page.mouse.move(5, 400)
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowRight"):
        studio.page.keyboard.press(key)
    expect(status).to_have_text("circle → red: distance 2")
    panel.screenshot(path=studio.screenshots() / f"coupling, {studio.name}.png")

    panel.get_by_role("button", name="Next part").click()
    expect(panel.locator(".geodesic-page")).to_have_text("part 2 of 2")
    assert tokens.all_text_contents() == [str(row) for row in range(77)] * 2
    scale = studio.page.evaluate("() => window.app.canvas.ds.scale")
    scroller.click()
    studio.page.mouse.wheel(0, 200)
    studio.page.wait_for_function("e => e.scrollTop > 0", arg=scroller.element_handle())
    assert studio.page.evaluate("() => window.app.canvas.ds.scale") == scale
    studio.page.keyboard.press("End")
    expect(status).to_have_text("row 76 → row 76: distance 76")
    expect(tokens.nth(76)).to_be_in_viewport()


def test_paths_are_compared_at_one_place(studio: Interface) -> None:
    """Names, means and largest steps in the legend; pointing reads all paths at that place."""
    studio.open_file(WORKFLOW)
    paths = [
        {"label": "optimal transport"} | statistics([0.1, 0.2]),
        {"label": "row order"} | statistics([0.4, 0.3, 0.2, 0.1]),
    ]
    panel = show(studio, "GeodesicCompare", "geodesic_compare", [{"paths": paths}])
    expect(panel.locator(".geodesic-name")).to_have_text(["optimal transport", "row order"])
    numbers = panel.locator(".geodesic-number")
    expect(numbers).to_have_text(["0.1500", "0.2000", "", "0.2500", "0.4000", ""])
    table = panel.locator(".geodesic-statistic")
    expect(table).to_have_text(
        ["3", "5", "0.300", "1.000", "0.06250", "0.06250", "0.5000", "0.5000"]
    )
    expect(panel.get_by_role("note")).to_have_text("⚠ 3, 5 frames: these numbers can't be compared")
    chart = panel.locator("> svg")
    both = ["0.1500", "0.2000", "0.2000", "0.2500", "0.4000", "0.1000"]
    point(studio, chart, 0.9, 0.4, numbers, both)
    studio.page.mouse.move(5, 400)
    expect(numbers).to_have_text(["0.1500", "0.2000", "", "0.2500", "0.4000", ""])
    chart.focus()
    studio.page.keyboard.press("ArrowRight")
    expect(panel.locator(".geodesic-status")).to_have_text("at 0.13 of the path")
    expect(panel.locator("[aria-live]")).to_contain_text("optimal transport 0.1000, row order 0.40")
    panel.screenshot(path=studio.screenshots() / f"compare, {studio.name}.png")


def run(interface: Interface) -> None:
    """Press Run and wait for the end. ComfyUI's messages may lie over the button."""
    with interface.page.expect_response("**/api/prompt") as answered:
        interface.page.get_by_role("button", name="Run", exact=True).dispatch_event("click")
    entry = interface.server.wait(answered.value.json()["prompt_id"])
    assert entry["status"]["status_str"] == "success", entry["status"]


def coupled(text: str) -> dict[str, Any]:
    """Two prompts and their coupling, as the API takes it; dropped on the page it is a workflow."""
    made: dict[str, Any] = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": SMALL}}
    }
    for encoder, cloud, prompt in (("2", "4", text), ("3", "5", "a star")):
        inputs = {"text": prompt, "clip": ["1", 1]}
        made[encoder] = {"class_type": "CLIPTextEncode", "inputs": inputs}
        inputs = {"conditioning": [encoder, 0]}
        made[cloud] = {"class_type": "GeodesicPointCloud", "inputs": inputs}
    clouds = {"source": ["4", 0], "target": ["5", 0]}
    settings = {"method": "optimal transport", "seed": 0, "pin_first_row": True}
    made["6"] = {"class_type": "GeodesicCouple", "inputs": clouds | settings}
    made["7"] = {"class_type": "PreviewAny", "inputs": {"source": ["6", 1]}}
    return made


def test_charts_come_back(studio: Interface, tmp_path: Path) -> None:
    """After a run, after undo, after another tab, in a subgraph: ComfyUI's outputs, drawn again."""
    page = studio.page
    studio.used_up = True
    (tmp_path / "coupled.json").write_text(json.dumps(coupled(f"{studio.name} (circle:1.2)")))
    studio.open_file(tmp_path / "coupled.json")
    target = page.locator(f"{PANEL}:not(.geodesic-waiting) .geodesic-token[text-anchor=start]")

    def check() -> None:
        expect(target).to_have_text(["⟨start⟩", "a", "star", "⟨end⟩"])

    run(studio)
    studio.look_at("GeodesicCouple")
    check()
    # Moved away and back by undo, which makes all nodes anew.
    page.evaluate(
        """() => {
            const {canvas, graph} = window.app;
            const node = graph.nodes.find(n => n.type === "GeodesicCouple");
            window.before = node;
            canvas.emitBeforeChange();
            node.pos = [node.pos[0], node.pos[1] - 90];
            canvas.emitAfterChange();
        }"""
    )
    page.locator("#graph-canvas").press("Control+z")
    page.wait_for_function(
        "() => window.app.graph.nodes.find(n => n.type === 'GeodesicCouple') !== window.before"
    )
    check()
    switch_tabs(studio, "coupled")
    studio.look_at("GeodesicCouple")
    check()
    into_subgraph(studio, "GeodesicCouple")
    # A run that changes nothing asks no node for anything.
    page.evaluate(
        """() => {
            const encoder = window.app.graph.nodes.find(n => n.type === "CLIPTextEncode");
            encoder.widgets[0].value += ", in a subgraph";
        }"""
    )
    run(studio)
    enter_subgraph(studio)
    check()
    switch_tabs(studio, "coupled")
    enter_subgraph(studio)
    check()
    # ComfyUI 1.32's own, at any subgraph.
    studio.errors[:] = [error for error in studio.errors if "never set up" not in error]


def switch_tabs(interface: Interface, name: str) -> None:
    """Open an empty workflow in a tab of its own, then the one of this name again."""
    page = interface.page
    page.evaluate("() => app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function("() => window.app.graph.nodes.length === 0")
    page.locator("[class*=workflow-tab]").get_by_text(name).first.click()
    page.wait_for_function("() => window.app.graph.nodes.length > 3")


def into_subgraph(interface: Interface, node_type: str) -> None:
    """Put the nodes of a type into a subgraph."""
    interface.page.evaluate(
        """(type) => {
            const {graph} = window.app;
            graph.convertToSubgraph(new Set(graph.nodes.filter(n => n.type === type)));
        }""",
        node_type,
    )


def enter_subgraph(interface: Interface) -> None:
    """Look at the first node inside of the one subgraph."""
    interface.page.evaluate(
        """() => {
            const {canvas, graph} = window.app;
            const host = graph.nodes.find(n => n.subgraph);
            canvas.openSubgraph(host.subgraph, host);
            canvas.ds.scale = 1;
            canvas.centerOnNode(host.subgraph.nodes[0]);
            canvas.setDirty(true, true);
        }"""
    )


# What the panel in the middle of the view has drawn each time that one of these events came.
SEEN = """async () => {
    const { api } = window.comfyAPI.api;
    window.seen = [];
    const look = ({ type }) => {
        const panel = document.querySelector(".geodesic-chart-panel:not(.geodesic-waiting)");
        const bars = panel?.querySelector(".geodesic-bars");
        const frames = document.querySelectorAll(".geodesic-film > *").length;
        window.seen.push([type, bars?.getAttribute("d").split("M").length - 1, frames]);
    };
    for (const type of ["geodesic.steps", "execution_success"]) api.addEventListener(type, look);
}"""
LIVE, DONE = "geodesic.steps", "execution_success"


def test_a_morph_grows_while_it_is_rendered(studio: Interface, tmp_path: Path) -> None:
    """Two frames are there before the end, then all; in a subgraph as well."""
    settings = replace(SMALL_SETTINGS, frames=4, steps=2, prompt_a=f"a star, {studio.name}")
    graph = even_morph(settings).to_workflow(studio.server.get("object_info"), "0")
    (tmp_path / "growing.json").write_text(json.dumps(graph))
    studio.open_file(tmp_path / "growing.json")
    studio.look_at("GeodesicMorphSampler")
    expect(studio.page.locator(PANEL)).to_have_count(1)
    studio.page.evaluate(SEEN)
    run(studio)
    studio.eventually(lambda: seen(studio)[-1:], [[DONE, 3, 4]])
    first, *others = seen(studio)
    assert first == [LIVE, 1, 2]
    assert [event[0] for event in others] == [LIVE] * (len(others) - 1) + [DONE]
    studio.look_at("GeodesicMorphSampler")
    panel = studio.page.locator(f"{PANEL}:not(.geodesic-waiting)")
    expect(panel.locator(".geodesic-stat span").last).to_have_text("work")
    studio.page.screenshot(path=studio.screenshots() / f"morph, {studio.name}.png")

    into_subgraph(studio, "GeodesicMorphSampler")
    studio.set_widgets({"Prompt A": {"text": f"a ring, {studio.name}"}})
    enter_subgraph(studio)
    run(studio)
    studio.eventually(lambda: seen(studio)[-1:], [[DONE, 3, 4]])
    assert [LIVE, 1, 2] in seen(studio)[len(others) + 1 :]
    # ComfyUI 1.32's own: at any subgraph, and at any progress of a node in an open one.
    own = ("never set up", "Subgraph not found")
    studio.errors[:] = [error for error in studio.errors if not any(text in error for text in own)]


def seen(interface: Interface) -> list[list[Any]]:
    return interface.page.evaluate("() => window.seen")
