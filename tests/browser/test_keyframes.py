"""The strip below a keyframe, which shows the path up to it."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from dev.comfyui.environment import ROOT

from .conftest import Interface

WORKFLOW = ROOT / "example_workflows" / "keyframes_constant_speed.json"
STRIPS = ".geodesic-strip svg[role=img]"


def words(strip: Locator) -> str:
    """The description of the path for screen readers."""
    return strip.get_attribute("aria-label") or ""


def test_a_strip_follows_what_is_typed(studio: Interface) -> None:
    """Three keyframes, three growing paths; another prompt's text is in them at once."""
    studio.open_file(WORKFLOW)
    studio.look_at("GeodesicKeyframe")
    strips = studio.page.locator(STRIPS)
    expect(strips).to_have_count(3)
    (last,) = [one for one in strips.all() if "sunflowers" in words(one)]
    assert sorted(words(one).count("“") for one in strips.all()) == [1, 2, 3]
    assert words(last).count("50 %") == 2
    captions = last.locator(".geodesic-caption")
    assert captions.locator("title").all_text_contents()[-1].endswith("noon light, watercolour")

    boxes = studio.page.locator("textarea")
    (box,) = [one for one in boxes.all() if "lighthouse" in one.input_value()]
    before = words(last)
    box.fill("a blue whale")
    expect(captions.filter(has_text="a blue whale")).to_have_count(1)
    assert words(last) == before.replace(
        "an old lighthouse above a stormy sea, soft evening light, watercolour", "a blue whale"
    )
