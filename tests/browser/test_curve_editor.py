"""The curve editor of Morph Times, used by mouse and keys as a person does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from dev.comfyui.environment import BASE, ROOT
from dev.comfyui.server import Server
from tests.video import decode

from .conftest import Interface
from .test_workflows import CHOICES, FRAMES

HANDLES = ".geodesic-curve circle[role=slider]"
PLACES = "() => Object.fromEntries(app.graph.nodes.map(n => [n.id, [...n.pos]]))"
WORKFLOW = ROOT / "example_workflows" / "prompt_and_seed_travel.json"


def centre(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def points(interface: Interface) -> list[list[float]]:
    """The points in the widget that is saved and sent."""
    return json.loads(interface.values("GeodesicTimes")[0]["curve"])


def drag(interface: Interface, handle: Locator, dx: float, dy: float) -> None:
    x, y = centre(handle)
    mouse = interface.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx, y + dy, steps=4)
    mouse.up()


def travel(interface: Interface, keys: str, expected: list[list[float]] | str) -> None:
    """Undo or redo: ComfyUI loads another state, with these points or without a curve."""

    def drawn() -> list[list[float]] | str:
        curve = interface.values("GeodesicTimes")[0]["easing"] == "curve"
        return points(interface) if curve else "a preset"

    interface.page.keyboard.press(keys)
    interface.eventually(drawn, expected)
    interface.page.wait_for_function(
        "() => !window.app.extensionManager.workflow.activeWorkflow.changeTracker._restoringState"
    )
    interface.at_rest()


def test_a_curve_is_drawn_undone_and_copied(studio: Interface) -> None:
    """Drag, add, remove, keys, undo, redo, copy: the `curve` widget always holds what is seen."""
    studio.open_file(WORKFLOW)
    studio.look_at("GeodesicTimes", 1.5)
    handles = studio.page.locator(HANDLES)
    place = studio.page.evaluate(PLACES)
    expect(handles).to_have_count(5)  # offered on the preset that the file has
    assert studio.values("GeodesicTimes")[0]["easing"] != "curve"

    drag(studio, handles.nth(2), 0, -60)
    dragged = points(studio)
    assert studio.values("GeodesicTimes")[0]["easing"] == "curve"
    assert len(dragged) == 5
    assert dragged[2][1] > 0.6
    assert studio.page.evaluate(PLACES) == place

    box = studio.page.locator(".geodesic-plot").first.bounding_box()
    assert box
    studio.page.mouse.dblclick(box["x"] + box["width"] * 0.85, box["y"] + box["height"] * 0.7)
    added = points(studio)
    assert len(added) == 6
    travel(studio, "Control+z", dragged)
    travel(studio, "Control+z", "a preset")
    travel(studio, "Control+y", dragged)
    travel(studio, "Control+y", added)

    studio.page.mouse.dblclick(*centre(handles.nth(4)))
    assert points(studio) == dragged
    handles.nth(1).focus()
    for key in ("ArrowUp", "Shift+ArrowRight", "Enter", "Delete"):
        studio.page.keyboard.press(key)
    moved = points(studio)
    assert len(moved) == 5
    assert moved[1] == [dragged[1][0] + 0.1, round(dragged[1][1] + 0.01, 4)]
    nodes = studio.page.evaluate("() => app.graph.nodes.length")

    studio.page.evaluate(
        "() => app.canvas.selectNodes([app.graph.nodes.find(n => n.type === 'GeodesicTimes')])"
    )
    studio.page.locator("#graph-canvas").focus()
    studio.page.keyboard.press("Control+c")
    studio.page.keyboard.press("Control+v")
    studio.eventually(lambda: studio.page.evaluate("() => app.graph.nodes.length"), nodes + 1)
    first, second = studio.values("GeodesicTimes")
    assert first == second
    print("screenshot:", studio.screenshot(f"curve-editor-{studio.name}"))


def test_what_cannot_be_drawn_is_said(interface: Interface) -> None:
    """Files written by hand and by newer versions: the panel says what is wrong and what to do."""
    page = interface.page
    page.evaluate(
        "() => { app.graph.clear(); app.graph.add(LiteGraph.createNode('GeodesicTimes')) }"
    )
    interface.look_at("GeodesicTimes")
    status, handles = page.locator(".geodesic-status"), page.locator(HANDLES)

    def given(**values: Any) -> None:
        start = {"frames": 16, "easing": "curve", "ending": "stop", "curve": "[[0, 0], [1, 1]]"}
        interface.set_widgets({"GeodesicTimes": start | values})

    given(curve="[[0, 0]]")
    expect(status).to_contain_text("can't be read")
    page.get_by_role("button", name="own curve").click()
    expect(handles).to_have_count(2)
    given(easing="bounce")
    expect(status).to_contain_text("can't be read")
    given(ending="loop", curve="[[0, 0], [1, 0.5]]")
    expect(status).to_contain_text("begin and end at 0 or 1")
    given(ending="ping-pong", frames=2)
    expect(status).to_contain_text("at least 3 frames")
    crowded = "[[0, 0], [0.5, 0.5], [0.5005, 0.6], [0.501, 0.7], [1, 1]]"
    given(curve=crowded)
    expect(handles).to_have_count(5)
    handles.nth(2).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert points(interface)[2] == [0.5005, 0.59]


def test_frames_may_come_from_another_node(interface: Interface) -> None:
    """A linked number is drawn; a link whose value is only known in a run is reported as such."""
    page = interface.page
    page.evaluate(
        """() => {
            app.graph.clear();
            const [times, number, counted] = ["GeodesicTimes", "PrimitiveInt", "GeodesicSchedule"]
                .map(type => { const n = LiteGraph.createNode(type); app.graph.add(n); return n; });
            number.pos = [-400, 0];
            counted.pos = [-400, 300];
            number.widgets[0].value = 9;
            number.connect(0, times, times.inputs.findIndex(i => i.name === "frames"));
        }"""
    )
    interface.look_at("GeodesicTimes")
    numbers = page.locator(".geodesic-plot text")
    expect(numbers.last).to_have_text("9")
    page.evaluate(
        """() => {
            const [times, , counted] = app.graph.nodes;
            counted.connect(2, times, times.inputs.findIndex(i => i.name === "frames"));
        }"""
    )
    expect(page.locator(".geodesic-status")).to_contain_text("another node sets a value")


@pytest.fixture
def new_name() -> Iterator[str]:
    """A name that no saved workflow has, free again afterwards."""
    name = f"drawn-{uuid.uuid4().hex[:8]}"
    yield name
    (BASE / "user" / "default" / "workflows" / f"{name}.json").unlink(missing_ok=True)


def test_a_drawn_curve_is_saved_and_runs(studio: Interface, server: Server, new_name: str) -> None:
    """Saved, reloaded, run: the page's video is the one the API makes from the saved values."""
    studio.open_file(WORKFLOW)
    studio.set_widgets(CHOICES | {"Prompt A": {"text": f"a cyan star, {studio.name}"}})
    studio.look_at("GeodesicTimes")
    # The new number of frames is drawn: handles that are drawn anew in a drag are lost.
    expect(studio.page.locator(".geodesic-plot text").last).to_have_text(str(FRAMES))
    studio.at_rest()
    drag(studio, studio.page.locator(HANDLES).nth(2), 0, -30)
    drawn = studio.values("GeodesicTimes")
    saved = save(studio, new_name)
    node = next(node for node in saved["nodes"] if node["type"] == "GeodesicTimes")
    assert node["widgets_values"] == [FRAMES, "curve", "stop", drawn[0]["curve"]]

    studio.page.reload()
    studio.page.wait_for_function("() => window.app?.graph?.nodes?.some(n => n.widgets?.length)")
    studio.page.get_by_role("button", name="Run", exact=True).wait_for()
    assert studio.values("GeodesicTimes") == drawn

    prompt = studio.prompt()
    with studio.page.expect_response("**/api/prompt") as answered:
        studio.page.get_by_role("button", name="Run", exact=True).click()
    entry = studio.server.wait(answered.value.json()["prompt_id"])
    assert entry["status"]["status_str"] == "success", entry["status"]
    save_node = next(k for k, v in prompt.items() if v["class_type"] == "SaveVideo")
    seen, _ = decode(studio.server.fetch(entry["outputs"][save_node]["images"][0]))
    assert len(seen) == FRAMES

    by_hand = {key: {**value, "_meta": {}} for key, value in prompt.items()}
    times = next(k for k, v in prompt.items() if v["class_type"] == "GeodesicTimes")
    by_hand[times]["inputs"] = dict(
        zip(("frames", "easing", "ending", "curve"), node["widgets_values"], strict=True)
    )
    outputs = server.run(by_hand)
    again, _ = decode(server.fetch(outputs[save_node]["images"][0]))
    assert np.abs(np.stack(seen).astype(int) - np.stack(again)).max() <= 2


def save(studio: Interface, name: str) -> dict[str, Any]:
    """Ctrl+S and a name; what then stands in ComfyUI's workflow folder."""
    studio.page.locator("#graph-canvas").focus()
    studio.page.keyboard.press("Control+s")
    box = studio.page.get_by_role("dialog").get_by_role("textbox")
    box.fill(name)
    with studio.page.expect_response("**/api/userdata/workflows*") as answered:
        box.press("Enter")
    assert answered.value.ok
    return studio.server.get(f"userdata/workflows%2F{name}.json")
