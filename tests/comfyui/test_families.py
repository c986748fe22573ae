"""Every node on every family of models, and docs/models.md says what happens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dev.comfyui.in_process import pack_nodes
from dev.families.matrix import WAYS, outcome
from dev.families.page import PAGE, page, refusals, row
from dev.families.tiny import KINDS, Family, tiny

from ..generations import BOTH
from .conftest import Comfy

pytestmark = BOTH


@pytest.fixture(params=list(KINDS))
def family(comfy: Comfy, request: pytest.FixtureRequest) -> Family:
    assert comfy
    return tiny(request.param)


def test_the_page_says_what_happens(family: Family) -> None:
    """docs/models.md has this family's line and its refusals; `make models` writes it anew."""
    outcomes = {way: outcome(pack_nodes(), family, way) for way in WAYS}
    text = PAGE.read_text()
    assert row(family.name, outcomes) in text
    for line in refusals({family.name: outcomes}):
        assert line in text


def test_gradients_are_true(family: Family) -> None:
    """What Text Inversion's gradient promises along a direction is what the loss does there."""
    from geodesic_morph.nodes import internals
    from geodesic_morph.nodes.density.text_inversion import LOSS_SCALE, Learner

    def work(loaded: Any) -> tuple[float, float]:
        with internals.differentiation(loaded):
            entries = [[rows.clone(), dict(more)] for rows, more in family.prompt(1)]
            learner = Learner(loaded, image.clone(), entries, 0.0, 3)
            (rows,), drawn = learner.rows, learner.generator.get_state()
            _, (gradient,) = learner._gradients()
            direction = gradient / gradient.norm()
            losses = []
            for step in (-1, 1):
                learner.generator.set_state(drawn)
                with torch.no_grad():
                    rows.add_(direction, alpha=step * STEP)
                    losses.append(float(learner._loss()))
                    rows.sub_(direction, alpha=step * STEP)
            promised = float((gradient * direction).sum()) / LOSS_SCALE
            return promised, (losses[1] - losses[0]) / (2 * STEP)

    with torch.inference_mode():
        image = family.picture(1)["samples"]
        model = internals.with_copied_weights(family.model)
        promised, found = internals.with_loaded_model(model, [family.prompt(1)], image, 1.0, work)
    assert found > 0
    assert found == pytest.approx(promised, rel=0.05)


# Large enough for float32, small enough for a straight line.
STEP = 0.1


def test_versions_that_differ_are_no_page() -> None:
    outcomes = {"SD1.5": dict.fromkeys(WAYS, "yes")}
    other = {"SD1.5": dict.fromkeys(WAYS, "refused: model: expected more.")}
    assert "| SD1.5 | yes" in page({"a": outcomes, "b": outcomes})
    assert "- SD1.5, Morph Sampler: model: expected more." in page({"a": other})
    with pytest.raises(ValueError, match="same outcomes"):
        page({"a": outcomes, "b": other})
