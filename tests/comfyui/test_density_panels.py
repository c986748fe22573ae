"""What Density Path and Density Analysis send to the browser: complete, and plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dev.comfyui.in_process import pack_nodes

from .conftest import PROMPT_A, Comfy
from .densities import SETTINGS, both, found

pytestmark = pytest.mark.usefixtures("comfy")


@pytest.fixture(autouse=True)
def as_comfyui_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


def panels() -> Any:
    """The module, once `comfy` has loaded the pack."""
    return pack_nodes().ui.panel_data


@pytest.mark.parametrize("count", [0, 1, 2, 200, 201, 10_000])
def test_a_long_search_is_thinned_evenly(count: int) -> None:
    """First and last iteration are always there; few are sent whole, of many at most 200."""
    places = panels().thinned(count)
    assert len(places) == min(count, 200)
    assert places == sorted(set(places))
    if count:
        assert (places[0], places[-1]) == (0, count - 1)
        gaps = np.diff(places)
        assert count < 2 or gaps.max() - gaps.min() <= 1


def test_a_search_shows_both_densities_and_every_level(comfy: Comfy) -> None:
    """What the node found, number for number; no picture is written, the IMAGE is still there."""
    a, b = both(comfy, comfy.model)
    done = found(comfy, comfy.model, a, b, levels=2, iterations=7)
    (chart,) = done.ui["geodesic_search"]
    assert set(done.ui) == {"geodesic_search"}
    assert chart["score"] == SETTINGS["score"]
    assert [level["iterations"] for level in chart["levels"]] == [7, 7]
    assert all(len(level["norms"]) == 7 for level in chart["levels"])
    assert len(chart["path"]) == len(chart["arc"]) == 2**2 + 1
    assert chart["path"][0] == chart["arc"][0] == 0
    assert done[3].shape == (1, 420, 900, 3)
    json.dumps(done.ui, allow_nan=False)


def test_an_analysis_shows_its_table(comfy: Comfy) -> None:
    """Density of all frames, the four norms and lengths of the table, and the same verdict."""
    a, b = both(comfy, comfy.model)
    clip = {**a, "samples": torch.cat([a["samples"], b["samples"], a["samples"] * 0.9])}
    execute = comfy.analysis.GeodesicDensityAnalysis.execute
    prompt = comfy.encode(PROMPT_A)
    arguments = [[comfy.model], [prompt], [comfy.encode("")], [clip], [1], [0.1], [1.0], [0]]
    done = execute(*arguments, iterations=[3])
    (chart,), (table,) = done.ui["geodesic_analysis"], done.ui["text"]
    assert len(chart["log_density"]) == 3
    assert chart["log_density"][0] == 0
    assert chart["log_length"] == pytest.approx(done[2], rel=1e-5)
    assert [v["name"] for v in chart["variants"]] == ["given", "optimised", "perturbed", "smoothed"]
    for variant in chart["variants"]:
        line = f"| {variant['name']} | {variant['norm']:.4g} | {variant['length']:.4f} |"
        assert line in table
    assert chart["near"] == ("Nearly a geodesic" in table)
    json.dumps(done.ui, allow_nan=False)

    two = {**clip, "samples": clip["samples"][:2]}
    arguments[3] = [two]
    (chart,) = execute(*arguments).ui["geodesic_analysis"]
    assert (chart["variants"], chart["near"], len(chart["log_density"])) == ([], None, 2)
