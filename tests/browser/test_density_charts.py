"""The panels of the density nodes, and what every chart panel says before a run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from dev.comfyui.environment import ROOT
from dev.locales import LOCALES

from .conftest import Interface
from .test_charts import PANEL, point, show

EXAMPLES = ROOT / "example_workflows"
WAITING = f"{PANEL}.geodesic-waiting"
WORDS = json.loads((LOCALES / "en" / "main.json").read_text())["geodesicMorph"]


@pytest.mark.parametrize(
    ("name", "promises"),
    [
        ("compare_couplings", ["couplingPromise"] * 3 + ["stepsPromise"] * 3 + ["comparePromise"]),
        ("extrapolate", ["searchPromise"]),
        ("is_this_clip_a_geodesic", ["analysisPromise"]),
    ],
)
def test_a_panel_without_data_says_what_will_be_there(
    studio: Interface, name: str, promises: list[str]
) -> None:
    """One sentence in each empty panel, and nothing of a chart."""
    studio.open_file(EXAMPLES / f"{name}.json")
    studio.screenshot(f"before a run, {name}, {studio.name}")
    expect(studio.page.locator(WAITING)).to_have_count(len(promises))
    texts = studio.page.locator(f"{WAITING} .geodesic-promise").all_text_contents()
    assert sorted(texts) == sorted(WORDS[key] for key in promises)
    assert studio.page.locator(f"{WAITING} > :not(.geodesic-promise):visible").count() == 0


SEARCH = {
    "score": "noise difference",
    "path": [0.0, -1.5, -2.0, -1.0, -0.5],
    "arc": [0.0, -4.0, -8.25, -3.0, -0.5],
    "levels": [
        {"iterations": 100, "norms": [9.0, 3.0, 1.0]},
        {"iterations": 100, "norms": [2.0, 0.5, 0.2]},
        {"iterations": 100, "norms": [0.9, 0.1, 0.02]},
    ],
}


def test_a_search_shows_both_densities_and_its_levels(studio: Interface) -> None:
    """Lowest places in the legend; pointing and arrow keys read both paths at one place."""
    studio.open_file(EXAMPLES / "extrapolate.json")
    panel = show(studio, "GeodesicDensityPath", "geodesic_search", [SEARCH])
    numbers = panel.locator(".geodesic-number")
    expect(numbers).to_have_text(["-2.000", "", "-8.250", ""])
    expect(panel.locator(".geodesic-level")).to_have_count(3)
    expect(panel.locator(".geodesic-search")).to_contain_text("3 points")
    expect(panel.locator(".geodesic-promise")).to_be_hidden()
    chart = panel.locator("> .geodesic-chart")
    point(studio, chart, 0.98, 0.5, numbers, ["-2.000", "-0.5000", "-8.250", "-0.5000"])
    studio.page.mouse.move(5, 400)
    chart.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        studio.page.keyboard.press(key)
    expect(numbers).to_have_text(["-2.000", "-2.000", "-8.250", "-8.250"])
    expect(panel.locator(".geodesic-status")).to_have_text("at 0.50 of the path")
    panel.screenshot(path=studio.screenshots() / f"search, {studio.name}.png")


def analysis(**changes: Any) -> dict[str, Any]:
    """What Density Analysis returns for a clip of five frames."""
    variants = [("given", 2.5, 4.0), ("optimised", 2.0, 3.5), ("perturbed", 9.0, 5.0)]
    return {
        "log_density": [0.0, -1.5, 0.75, -1.0, -0.5],
        "log_length": 3.25,
        "variants": [{"name": n, "norm": g, "length": x} for n, g, x in variants],
        "near": True,
        "noise_level": 0.6,
        "strength": 0.002,
        "draws": 4,
        "score": "noise difference",
    } | changes


def test_an_analysis_shows_its_verdict_and_its_table(studio: Interface) -> None:
    """Verdict, norms with bars and lengths, settings; pointing reads a frame."""
    studio.open_file(EXAMPLES / "is_this_clip_a_geodesic.json")
    panel = show(studio, "GeodesicDensityAnalysis", "geodesic_analysis", [analysis()])
    expect(panel.locator(".geodesic-verdict")).to_have_text("Nearly a geodesic")
    numbers = panel.locator(".geodesic-number")
    expect(numbers).to_have_text(["2.500", "4.000", "2.000", "3.500", "9.000", "5.000"])
    widths = panel.locator(".geodesic-norms i b").evaluate_all(
        "bars => bars.map(b => b.offsetWidth)"
    )
    assert widths[1] < widths[0] < widths[2]
    expect(panel.locator(".geodesic-note")).to_contain_text("log geodesic distance 3.25; ")
    chart = panel.locator("> .geodesic-chart")
    status = panel.locator(".geodesic-status")
    point(studio, chart, 0.97, 0.5, status, ["frame 5: -0.5"])
    studio.page.mouse.move(5, 400)
    chart.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        studio.page.keyboard.press(key)
    expect(status).to_have_text("frame 3: 0.75")
    panel.screenshot(path=studio.screenshots() / f"analysis, {studio.name}.png")

    few = analysis(log_density=[0.0, 1.0], variants=[], near=None, log_length=None)
    panel = show(studio, "GeodesicDensityAnalysis", "geodesic_analysis", [few])
    expect(panel.locator(".geodesic-verdict")).to_have_text(WORDS["analysisUnknown"])
    expect(panel.locator(".geodesic-norms")).to_be_empty()
    expect(panel.locator(".geodesic-note")).to_contain_text("distance −∞")
