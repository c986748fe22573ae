"""Whole films in the browser: the strip below prompts as text, and runs that go on."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import expect

from .conftest import Interface

FILM = "0: a red fox\n24: an old lighthouse\n+12 hold\nend: a field | random"
ADD = """([type, values]) => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    for (const [name, value] of Object.entries(values)) {
        const widget = node.widgets.find((candidate) => candidate.name === name);
        widget.value = value;
        widget.callback?.(value);
    }
    app.canvas.setDirty(true, true);
    return String(node.id);
}"""
STRIP = ".geodesic-strip"


def add(studio: Interface, kind: str, **values: Any) -> str:
    return studio.page.evaluate(ADD, [kind, values])


def test_the_strip_shows_the_film_while_it_is_written(studio: Interface) -> None:
    """Prompts at their frames; a line that can't be read is named, and forgotten once mended."""
    add(studio, "GeodesicPromptText", text=FILM, frames=49)
    studio.look_at("GeodesicPromptText")
    strip = studio.page.locator(STRIP)
    titles = strip.locator(".geodesic-station title")
    expect(titles).to_have_text(["0: a red fox", "24–36: an old lighthouse", "48: a field"])
    legs = strip.locator("g > title").filter(has_text="Frames")
    expect(legs).to_have_count(3)
    expect(legs.filter(has_text="random, linear")).to_have_count(1)
    studio.screenshot("film_strip")

    box = studio.page.locator("textarea").first
    box.fill(FILM.replace("24:", "24"))
    expect(strip.locator(".geodesic-status")).to_contain_text("Line 2")
    expect(strip.locator("svg")).to_be_hidden()
    box.fill("0: a whale\n9: a lamp")
    expect(titles).to_have_text(["0: a whale", "9: a lamp"])
    expect(strip.locator(".geodesic-status")).to_be_hidden()


def test_connected_prompts_stand_on_their_strip(studio: Interface) -> None:
    """Words of the linked prompts at the written frames; too few prompts are asked for."""
    keyframes = add(studio, "GeodesicKeyframes", length=25)
    strip = studio.page.locator(STRIP)
    expect(strip.locator(".geodesic-status")).to_contain_text("Connect at least two prompts")
    studio.page.evaluate(
        """(id) => {
            const target = app.graph.getNodeById(id);
            ["a fox", "a lamp", "fog"].forEach((text, k) => {
                const node = LiteGraph.createNode("CLIPTextEncode");
                node.pos = [-500, 250 * k];
                app.graph.add(node);
                node.widgets[0].value = text;
                const slot = target.inputs.findIndex((i) => i.name === `prompt_${k + 2}`);
                node.connect(0, target, slot);
            });
        }""",
        keyframes,
    )
    titles = strip.locator(".geodesic-station title")
    expect(titles).to_have_text(["0: a fox", "12: a lamp", "24: fog"])


def test_a_long_film_goes_on_after_each_queued_run(studio: Interface) -> None:
    """first_frame moves by frame_limit with each run that is queued; with "stay" it does not."""
    values = {"frame_limit": 20, "after_run": "go on"}
    schedule = add(studio, "GeodesicSchedule", **values)
    # A node that can run, so that there is something to queue.
    add(studio, "GeodesicTimes", frames=3)
    studio.page.evaluate(
        """() => {
            const times = app.graph.nodes.find((n) => n.type === "GeodesicTimes");
            const seen = LiteGraph.createNode("PreviewAny");
            app.graph.add(seen);
            times.connect(0, seen, 0);
        }"""
    )

    def first() -> int:
        return studio.values("GeodesicSchedule")[0]["first_frame"]

    queue = "async (count) => { await app.queuePrompt(0, count); }"
    studio.page.evaluate(queue, 3)
    studio.eventually(first, 60)
    after = json.dumps("stay")
    studio.page.evaluate(
        f"(id) => {{ app.graph.getNodeById(id).widgets"
        f".find((w) => w.name === 'after_run').value = {after}; }}",
        schedule,
    )
    studio.page.evaluate(queue, 1)
    studio.eventually(first, 60)
