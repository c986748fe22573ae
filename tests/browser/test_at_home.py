"""The pack in ComfyUI's interface: template browser, help panel, another language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dev.comfyui.environment import ROOT
from dev.locales import LOCALES
from dev.workflows.catalogue import ALL_WORKFLOWS
from dev.workflows.settings import Settings

from .conftest import VARIANTS, WIDE, Interface, open_interface, ours

SHOWN = Settings()
LOADED = "(image) => image.complete && image.naturalWidth > 0"


def test_templates_have_pictures_and_open(studio: Interface) -> None:
    """All example workflows, each with its thumbnail; one click opens one, no node missing."""
    page = studio.page
    studio.used_up = True
    page.set_viewport_size(WIDE)
    page.get_by_role("button", name="Templates").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(re.compile("geodesic.?morph", re.I)).first.click()
    for name in ALL_WORKFLOWS:
        card = dialog.get_by_test_id(f"template-workflow-{name}")
        card.scroll_into_view_if_needed()  # pictures far below are only put in then
        picture = card.locator("img").first
        picture.scroll_into_view_if_needed()
        picture.wait_for()
        page.wait_for_function(LOADED, arg=picture.element_handle())
    page.screenshot(path=studio.screenshots() / f"templates-{studio.name}.png")
    dialog.get_by_test_id("template-workflow-two_prompt_morph").click()
    page.wait_for_function("() => app.graph.nodes.some(n => n.type === 'GeodesicSchedule')")
    missing = page.evaluate(
        "() => app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type]).length"
    )
    assert missing == 0


@pytest.mark.parametrize("studio", VARIANTS[-1:], ids=str, indirect=True)
def test_app_mode_shows_what_a_person_sets(studio: Interface) -> None:
    """Prompts, frames, seed and model of a workflow as a form, with their values."""
    studio.open_file(ROOT / "example_workflows" / "even_morph.json")
    page = studio.page
    studio.used_up = True
    page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
    form = page.get_by_test_id("linear-widgets")
    prompts = [SHOWN.prompt_a, SHOWN.prompt_b, SHOWN.negative]
    expect(form.locator("textarea")).to_have_count(len(prompts))
    for area, text in zip(form.locator("textarea").all(), prompts, strict=True):
        expect(area).to_have_value(text)
    # ComfyUI greets those who are in app mode for the first time.
    if (skip := page.get_by_role("button", name="Skip")).is_visible():
        skip.click()
    page.screenshot(path=studio.screenshots() / f"app-mode-{studio.name}.png")
    for name in ("Prompt A", "Prompt B", "Negative", "frames", "seed", "ckpt_name"):
        expect(form.get_by_text(name, exact=True).first).to_be_visible()


NODES = """() => {
    const {scale, offset} = window.app.canvas.ds;
    const box = window.app.canvas.canvas.getBoundingClientRect();
    const bar = document.querySelector(".side-tool-bar-container").getBoundingClientRect();
    const inner = [bar.right, box.top, box.right, box.bottom];
    const places = window.app.graph.nodes.map(({pos, size}) => [
        (pos[0] + offset[0]) * scale + box.left,
        (pos[1] - 30 + offset[1]) * scale + box.top,
        (pos[0] + size[0] + offset[0]) * scale + box.left,
        (pos[1] + size[1] + offset[1]) * scale + box.top,
    ]);
    return [inner, places];
}"""


def test_a_file_opens_as_a_whole(studio: Interface) -> None:
    """No node stands under the toolbar or outside the window."""
    studio.open_file(ROOT / "example_workflows" / "keyframes_constant_speed.json")
    studio.at_rest()
    (left, top, right, bottom), places = studio.page.evaluate(NODES)
    assert len(places) > 10
    assert min(place[0] for place in places) >= left
    assert min(place[1] for place in places) >= top
    assert max(place[2] for place in places) <= right
    assert max(place[3] for place in places) <= bottom


def test_the_help_panel_shows_the_page_and_its_picture(studio: Interface) -> None:
    """Select a node, press its info button: title, inputs and a picture that is really there."""
    studio.open_file(ROOT / "example_workflows" / "keyframes_constant_speed.json")
    studio.look_at("GeodesicTimes")
    page = studio.page
    studio.used_up = True
    page.evaluate(
        "() => app.canvas.selectNodes([app.graph.nodes.find(n => n.type === 'GeodesicTimes')])"
    )
    page.get_by_test_id("info-button").click()
    page.get_by_text("How time runs from 0 to 1").first.wait_for()
    picture = page.locator("img[src*='GeodesicTimes']").first
    picture.wait_for()
    page.wait_for_function(LOADED, arg=picture.element_handle())
    page.screenshot(path=studio.screenshots() / f"help-{studio.name}.png")


@pytest.fixture
def chinese(studio: Interface) -> Iterator[Interface]:
    """The same interface in Chinese."""
    browser = studio.page.context.browser
    assert browser
    studio.server.post("settings", {"Comfy.Locale": "zh"})
    try:
        opened = open_interface(browser, studio.server, run="运行")
        opened.name = studio.name
        yield opened
        opened.page.close()
    finally:
        studio.server.post("settings", {"Comfy.Locale": "en"})
    assert ours(opened.errors, studio.native) == []


def test_names_and_panels_speak_chinese(chinese: Interface) -> None:
    """A node's title, its inputs' names, and what our editor says.

    Interface 1.32 drops every pack's names when it loads its own language files a moment later;
    there only what our panels say, which they ask for themselves, is Chinese.
    """
    words = json.loads((LOCALES / "zh" / "main.json").read_text())["geodesicMorph"]
    names = json.loads((LOCALES / "zh" / "nodeDefs.json").read_text())["GeodesicTimes"]
    page = chinese.page
    page.evaluate(
        """() => {
            app.graph.clear();
            app.graph.add(LiteGraph.createNode('GeodesicTimes'));
        }"""
    )
    chinese.look_at("GeodesicTimes")
    node = "app.graph.nodes[0]"
    if "newest" in chinese.name:
        assert page.evaluate(f"() => {node}.title") == names["display_name"]
        labels = page.evaluate(f"() => {node}.widgets.map(w => w.label)")
        assert names["inputs"]["easing"]["name"] in labels
    expect(page.locator(".geodesic-status")).to_have_text(words["curveHint"])
    page.screenshot(path=chinese.screenshots() / f"chinese-{chinese.name}.png")
