"""Settings of Density Path: what a strength counts by, and the noise levels that scores look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from .conftest import Comfy
from .densities import DIFFERENCE, found

BOTH_WAYS = "noise difference, both ways"


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def state(comfy: Comfy, pair: tuple[Any, Any], **changes: Any) -> Any:
    few = {"levels": 1, "iterations": 4, "score": DIFFERENCE} | changes
    return found(comfy, comfy.model, *pair, **few)[4]


def test_a_relative_strength_is_that_of_16384_values(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """In latents of 256 values 64 times as much; without the input, as in older prompts, itself."""
    relative = state(comfy, pair, strength=0.002, strength_unit="relative to size")
    absolute = state(comfy, pair, strength=0.128, strength_unit="absolute")
    older = state(comfy, pair, strength=0.128)
    assert relative.strength == pytest.approx(0.128)
    assert older.strength == absolute.strength == 0.128
    torch.testing.assert_close(relative.curve.knots, absolute.curve.knots)
    assert torch.equal(older.curve.knots, absolute.curve.knots)


def test_another_unit_is_refused(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"strength_unit: expected .* got 'percent'"):
        state(comfy, pair, strength_unit="percent")


def test_both_ways_bends_the_path_too_and_another_way(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """Repeatable by its seed; neither the great arc nor the path of the upward jitter."""
    both = state(comfy, pair, score=BOTH_WAYS, strength=0.5).curve.knots
    assert torch.equal(both, state(comfy, pair, score=BOTH_WAYS, strength=0.5).curve.knots)
    for other in ({"score": DIFFERENCE, "strength": 0.5}, {"strength": 0.0}):
        knots = state(comfy, pair, **other).curve.knots
        assert float((knots - both).norm() / both.norm()) > 1e-3
    assert torch.equal(both[[0, -1]], knots[[0, -1]])


def test_levels_lie_around_a_level(comfy: Comfy, pair: tuple[Any, Any]) -> None:
    """From a tenth of the model's time below a level to a tenth above it; upwards, from it."""
    from geodesic_morph.nodes.density import model as scores

    level = state(comfy, pair, strength=0.0).level
    sampling = comfy.model.get_model_object("model_sampling")
    around = scores.levels_around(comfy.model, level)
    above = scores.levels_above(comfy.model, level)
    low, high = (float(sampling.percent_to_sigma(1 - share)) for share in (0.5, 0.7))
    assert float(around.min()) == pytest.approx(low, rel=1e-5)
    assert float(around.max()) == float(above.max()) == pytest.approx(high, rel=1e-5)
    assert float(above.min()) == pytest.approx(level.sigma)


def test_each_level_is_shown_and_nothing_else_changes(
    comfy: Comfy, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three levels: the panel gets the charts of the first two while it runs, in the final form."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(comfy.density, "show_output", lambda _cls, _event, out: shown.append(out))
    few = {"levels": 3, "iterations": 1, "score": DIFFERENCE}
    output = found(comfy, comfy.model, *pair, **few)
    charts = [drawn["geodesic_search"][0] for drawn in [*shown, output.ui]]
    assert [len(chart["path"]) for chart in charts] == [3, 5, 9]
    for level, chart in enumerate(charts, start=1):
        assert len(chart["arc"]) == len(chart["path"])
        assert chart["levels"] == charts[-1]["levels"][:level]
    monkeypatch.setattr(comfy.density, "_live", lambda _cls: None)
    unseen = found(comfy, comfy.model, *pair, **few)
    assert torch.equal(output[4].curve.knots, unseen[4].curve.knots)
