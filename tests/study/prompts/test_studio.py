"""Batches of conditionings, their sizes, and captions with brackets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.workflows.settings import SMALL
from scenes import checkpoint
from study.prompts.plan import Plan
from study.prompts.studio import Studio, batches, candidates, escaped, joined


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A studio sets torch's threads; the next test gets its own back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_batches_are_even_and_alike_in_rows() -> None:
    prompts = [[[torch.zeros(1, rows, 4), {}]] for rows in (77, 154, *[154] * 9)]
    ranges = batches(prompts, 4)
    assert ranges[0] == (0, 1)
    assert [stop - start for start, stop in ranges[1:]] == [3, 4, 3]
    assert [k for start, stop in ranges for k in range(start, stop)] == list(range(11))
    assert candidates(29) == [1, 2, 4, 8, 15, 29]
    assert candidates(1) == [1]


def test_joined_conditionings_keep_their_order() -> None:
    def one(value: float) -> list[Any]:
        rows = torch.full((1, 2, 3), value)
        return [[rows, {"pooled_output": rows[:, 0], "guidance": 3.5}]]

    ((rows, extras),) = joined([one(0.0), one(1.0)])
    assert rows[:, 0, 0].tolist() == [0, 1]
    assert extras["pooled_output"][:, 0].tolist() == [0, 1]
    assert extras["guidance"] == 3.5


@pytest.mark.comfyui
def test_brackets_are_words_not_weights() -> None:
    """A caption is read as it is written: ComfyUI takes brackets for weights."""
    from dev.comfyui.in_process import import_comfyui

    import_comfyui(cpu=True)
    from comfy.sd1_clip import escape_important, token_weights, unescape_important

    caption = "a star (red), ((big)) :) on (blue:1.5)"
    parts = token_weights(escape_important(escaped(caption)), 1.0)
    assert {weight for _, weight in parts} == {1.0}
    assert "".join(unescape_important(text) for text, _ in parts) == caption


@pytest.mark.comfyui
def test_the_fastest_batch_is_one_that_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    studio = Studio(Plan(frames=3, threads=torch.get_num_threads()), cpu=True)
    assert studio.fastest_batch() in candidates(studio.plan.images_per_pair)

    def little_memory(_: Any, count: int) -> float:
        if count > 2:
            raise studio.out_of_memory
        return 1.0

    monkeypatch.setattr(studio, "_seconds", little_memory)
    assert studio.fastest_batch() == 2
    # A machine on which batches are not faster.
    monkeypatch.setattr(studio, "_seconds", lambda _, count: float(count))
    assert studio.fastest_batch() == 1
    assert max(candidates(1000)) <= 64
