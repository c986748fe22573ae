"""The blueprint "Prompt morph", used like a beginner: find it, put it down, press Run."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from dev.workflows.blueprint import FILE_PREFIX, NAME, PROMOTED, RESULTS
from dev.workflows.prompt import even_morph
from dev.workflows.settings import SMALL, SMALL_SETTINGS, Settings

from .conftest import IN_ALL, Interface
from .test_workflows import SIZE, check_player, check_video

FRAMES = 4
CHOICES: dict[str, Any] = {
    "checkpoint": SMALL,
    "prompt A": "a large blue triangle on a yellow background",
    "prompt B": SMALL_SETTINGS.prompt_b,
    "negative": "",
    "frames": FRAMES,
    "ending": "loop",
    "width": SIZE,
    "height": SIZE,
    "seed": 7,
    "steps": 4,
    "cfg": 4.0,
    "pairing": "row order",
}
GRAPH = even_morph(Settings(), FILE_PREFIX)


def command(interface: Interface, name: str) -> None:
    interface.page.evaluate("name => window.app.extensionManager.command.execute(name)", name)


def put_down(interface: Interface) -> None:
    """Search the library for the blueprint, and put it on an empty canvas."""
    page = interface.page
    command(interface, "Comfy.NewBlankWorkflow")
    page.wait_for_function("() => window.app.graph.nodes.length === 0")
    command(interface, "Workspace.SearchBox.Toggle")
    page.locator("input:focus[aria-expanded=true]").wait_for()
    page.keyboard.type(NAME)
    found = page.locator(".p-autocomplete-option.p-focus, [role=option][aria-selected=true]")
    expect(found).to_have_text(re.compile(f"^{NAME}.*Subgraph Blueprints"))
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.app.graph.nodes.length === 1")
    # In newer interfaces the node hangs on the pointer until a click puts it down.
    if page.evaluate("() => Boolean(window.app.graph.nodes[0].flags.ghost)"):
        page.mouse.click(1400, 500)


def sent(interface: Interface) -> dict[str, Any]:
    """The id of every node inside → its type and inputs, as they would be sent to the server."""

    def inner(value: Any) -> Any:
        return [value[0].partition(":")[2], value[1]] if isinstance(value, list) else value

    return {
        id.partition(":")[2]: (
            node["class_type"],
            {name: inner(value) for name, value in node["inputs"].items()},
        )
        for id, node in interface.prompt().items()
    }


def contains(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether these are the expected nodes; in newer ComfyUIs its own nodes have further inputs."""
    return found.keys() == expected.keys() and all(
        kind == expected[id][0] and inputs | expected[id][1] == inputs
        for id, (kind, inputs) in found.items()
    )


@IN_ALL
def test_the_node_is_the_even_morph(studio: Interface) -> None:
    """One node with its widgets, which would send that workflow and survives being saved."""
    put_down(studio)
    outer = studio.page.evaluate(
        "() => { const [node] = window.app.graph.nodes; return {"
        "title: node.title, widgets: node.widgets.map(w => w.name),"
        "outputs: node.outputs.map(o => o.name)}; }"
    )
    names = [promoted.name for promoted in PROMOTED]
    assert outer == {"title": NAME, "widgets": names, "outputs": list(RESULTS)}
    expected = {id: (n["class_type"], n["inputs"]) for id, n in GRAPH.to_api().items()}
    assert contains(sent(studio), expected), sent(studio)
    print("screenshot:", studio.screenshot(f"blueprint-{studio.name}"))

    studio.set_widgets({NAME: CHOICES})
    chosen = sent(studio)
    assert not contains(chosen, expected)
    studio.page.evaluate(
        "async () => { const saved = JSON.stringify(window.app.graph.serialize());"
        "await window.app.loadGraphData(JSON.parse(saved)); }"
    )
    assert sent(studio) == chosen


def test_the_node_alone_makes_a_video(studio: Interface) -> None:
    """Nothing is connected to it; Run saves a video, and the node plays it."""
    put_down(studio)
    studio.set_widgets({NAME: CHOICES | {"prompt A": f"a green star, {studio.name}"}})
    with studio.page.expect_response("**/api/prompt") as answered:
        studio.page.get_by_role("button", name="Run", exact=True).click()
    assert answered.value.status == 200, answered.value.text()
    entry = studio.server.wait(answered.value.json()["prompt_id"])
    assert entry["status"]["status_str"] == "success", entry["status"]
    saved = f":{GRAPH.find('Save')}"
    (video,) = [output for id, output in entry["outputs"].items() if id.endswith(saved)]
    check_video(studio.server, video, FRAMES)
    check_player(studio)
    print("screenshot:", studio.screenshot(f"blueprint-{studio.name}-run"))
