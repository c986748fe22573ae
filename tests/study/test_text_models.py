"""The measures of text models' rows, on clouds whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from scenes import text
from scenes.text import POSITIONS, WIDTH
from scenes.tokens import tokens
from study import text_models
from study.text_models import clip_rows, kinds, pair_measures, word_distances

A = tokens("a red star on black")
B = tokens("a star in red on black")


@pytest.fixture(scope="module")
def written() -> dict[str, torch.Tensor]:
    return text.weights()


def test_kinds_name_every_row() -> None:
    """Also a colour of two tokens; END once, then paddings."""
    assert kinds(A)[:7] == ["start", "word", "color", "shape", "word", "color", "end"]
    assert set(kinds(A)[7:]) == {"padding"}
    assert kinds(tokens("a cyan ring"))[1:5] == ["word", "color", "word", "shape"]


def test_moved_rows_are_found_again() -> None:
    """Rows in another order cost nothing by optimal transport; row order pays for all of it."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(POSITIONS, WIDTH, generator=g)
    order = torch.arange(POSITIONS)
    order[2], order[3] = 3, 2
    noise = 0.01 * torch.randn(x.shape, generator=g)
    names = kinds(A)
    moved = [names[int(k)] for k in order]
    measured = pair_measures(x, x[order] + noise, names, moved)
    assert measured["own index"] == pytest.approx(75 / 77)
    assert measured["same kind"] == 1
    assert measured["row order is optimal"] == 0
    assert measured["w2"] == pytest.approx(float(noise.norm()), rel=1e-5)
    swapped = math.sqrt(2) * float((x[2] - x[3]).norm())
    assert measured["row order"] == pytest.approx(swapped, rel=0.01)
    assert measured["cost ratio"] == pytest.approx(measured["row order"] / measured["w2"])


def test_paddings_pay_for_what_they_move() -> None:
    """If only paddings differ, all of W2² is theirs."""
    x = torch.randn(POSITIONS, WIDTH, generator=torch.Generator().manual_seed(1))
    y = x.clone()
    y[7:] += 0.5
    measured = pair_measures(x, y, kinds(A), kinds(A))
    assert measured["paddings' share"] == pytest.approx(1)
    assert measured["row order is optimal"] == 1
    y[2] += 0.5 * math.sqrt(70)
    assert pair_measures(x, y, kinds(A), kinds(A))["paddings' share"] == pytest.approx(0.5)


def test_words_that_were_not_learned_are_equally_far_apart(
    written: dict[str, torch.Tensor],
) -> None:
    """The written-down model has no semantics."""
    distances = list(word_distances(written).values())
    assert len(distances) == 3
    assert max(distances) < 1.03 * min(distances)


def test_louder_positions_keep_rows_at_their_numbers(written: dict[str, torch.Tensor]) -> None:
    """At ten times the amplitude row order is optimal for a pair where it was not."""
    loud = text.weights(positions=10)
    pair = torch.tensor([A, B])
    own = [
        pair_measures(x, y, kinds(A), kinds(B))["own index"]
        for x, y in (clip_rows(tensors, pair) for tensors in (written, loud))
    ]
    assert own[0] < own[1] == 1


@pytest.mark.slow
def test_factors_of_one_change_nothing(written: dict[str, torch.Tensor]) -> None:
    """And a softer context only touches what the heads write."""
    again, soft = text.weights(positions=1, context=1), text.weights(context=0.5)
    assert all(torch.equal(again[name], tensor) for name, tensor in written.items())
    changed = [name for name, tensor in written.items() if not torch.equal(soft[name], tensor)]
    assert changed == [f"{text.FIRST}.out_proj.weight"]


@pytest.mark.slow
def test_the_page_has_a_row_for_every_model(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """What was measured comes back from the file, and the page says how many pairs there were."""
    monkeypatch.setattr(text_models, "models", lambda: {"one": text.weights(context=0.5)})
    plan = text_models.Plan(per_bin=1)
    table, distances = text_models.run(plan)
    text_models.save(table, distances, plan, tmp_path)
    again, same = text_models.load(tmp_path)
    assert same == distances
    assert np.allclose(again["w2"], table["w2"])
    page = text_models.report(again, same)
    assert f"{len(table)} pairs of different scenes" in page
    assert "| one |" in page
