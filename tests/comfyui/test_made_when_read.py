"""A film's rows are made when they are read: what ComfyUI's cache holds, and who sees what."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ..generations import BOTH
from .conftest import Comfy
from .test_nodes import keyframes, schedule
from .test_nodes import times as frame_times

pytestmark = BOTH
ROWS, WIDTH, PER_BATCH = 77, 256, 8


def prompts(count: int) -> list[Any]:
    """Random prompts of 77 rows with a pooled vector."""
    draw = torch.Generator().manual_seed(0)
    shapes = (1, ROWS, WIDTH), (1, WIDTH)
    drawn = [[torch.randn(*shape, generator=draw) for shape in shapes] for _ in range(count)]
    return [[[rows, {"pooled_output": pooled}]] for rows, pooled in drawn]


def film(comfy: Comfy, frames: int, *part: int) -> Any:
    path = keyframes(comfy, *prompts(3))
    run = comfy.schedule.GeodesicSchedule.execute
    latent = {"samples": torch.zeros(1, 1, 1, 1)}
    return run(path, frame_times(comfy, frames), latent, PER_BATCH, "one for all", False, *part)


@pytest.mark.parametrize(("frames", "part"), [(48, ()), (480, ()), (480, (96, 48))])
def test_a_film_needs_one_batch_and_its_keyframes(
    comfy: Comfy, held: Callable[[], int], frames: int, part: tuple[int, ...]
) -> None:
    """As ComfyUI runs it: all outputs are kept while one batch after another is sampled.

    At most 1.2 batches of rows at any time, however long the film is, and none before or after;
    all batches together would be 6 to 60. What is kept for each frame is its pooled vector.
    """
    made = film(comfy, frames, *part)
    one_batch = PER_BATCH * ROWS * WIDTH * 4
    kept_keyframes = 3 * (ROWS + 1) * WIDTH * 4 * 2  # the prompts, and the rows of their pairs
    pooled = made[2] * WIDTH * 4
    assert held() <= kept_keyframes + pooled + 0.05 * one_batch
    for positive in made[0]:
        rows = positive[0][0]
        assert rows.shape == (PER_BATCH, ROWS, WIDTH)
        assert held() <= kept_keyframes + pooled + 1.2 * one_batch
        del rows
    assert held() <= kept_keyframes + pooled + 0.05 * one_batch


@pytest.fixture
def entry(comfy: Comfy) -> Any:
    """The only entry of a schedule's only batch."""
    latent = {"samples": torch.zeros(1, 1, 1, 1)}
    made = schedule(comfy, keyframes(comfy, *prompts(2)), frame_times(comfy, 3), latent)
    return made[0][0][0]


def test_whoever_reads_an_entry_sees_a_list_of_a_tensor_and_a_dictionary(entry: Any) -> None:
    """All ways in which ComfyUI and other packs read an entry, and the same rows in each."""
    rows, extras = entry
    assert type(rows) is Tensor
    assert isinstance(entry, list)
    assert len(entry) == 2
    assert entry[1] is extras is entry[-1] is list(entry)[1]
    copies: Any = [*entry], tuple(entry), entry.copy(), entry[:], entry * 1, [] + entry  # noqa: RUF005
    seen: Any = [entry[0], entry[-2], next(iter(entry)), *(part[0] for part in copies)]
    assert all(torch.equal(one, rows) for one in seen)
    again: Any = pickle.loads(pickle.dumps(entry)), copy.deepcopy(entry), copy.copy(entry)
    assert all([type(one), torch.equal(one[0], rows)] == [list, True] for one in again)


def test_rows_are_one_tensor_as_long_as_somebody_holds_them(entry: Any) -> None:
    """What one reader writes into the rows, the next one sees, if the first still holds them."""
    rows = entry[0]
    rows.zero_()
    assert entry[0] is rows
    del rows
    assert float(entry[0].abs().max()) > 0


@pytest.mark.parametrize(
    "write",
    [
        lambda entry: entry.__setitem__(0, torch.ones(1)),
        lambda entry: [entry.append(0), entry.pop(0), entry.insert(0, torch.ones(1))],
    ],
)
def test_what_is_written_into_an_entry_stays(entry: Any, write: Any) -> None:
    """The list, and its dictionary, keep what other nodes put there, as in any other list."""
    entry[1]["strength"] = 0.5
    write(entry)
    assert torch.equal(entry[0], torch.ones(1))
    assert entry[1]["strength"] == 0.5


def test_a_schedule_can_be_used_twice(comfy: Comfy) -> None:
    """Rows that are made again are the same, bit for bit: a cached schedule renders alike."""
    made = film(comfy, 20)
    first = torch.cat([positive[0][0].clone() for positive in made[0]])
    assert torch.equal(first, torch.cat([positive[0][0] for positive in made[0]]))


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes, c: nodes.ConditioningCombine().combine(c, c),
        lambda nodes, c: nodes.ConditioningCombine().combine(list(c), c),
        lambda nodes, c: nodes.ConditioningConcat().concat(c, c),
        lambda nodes, c: nodes.ConditioningAverage().addWeighted(c, c, 0.25),
        lambda nodes, c: nodes.ConditioningZeroOut().zero_out(c),
        lambda nodes, c: nodes.ConditioningSetTimestepRange().set_range(c, 0.0, 0.5),
        lambda nodes, c: nodes.ConditioningSetArea().append(c, 8, 8, 0, 0, 1.0),
    ],
)
def test_comfyuis_nodes_make_of_it_what_they_make_of_a_plain_list(
    comfy: Comfy, entry: Any, change: Callable[[Any, Any], Any]
) -> None:
    """The same rows and pooled vectors, and the entry itself is as it was."""
    plain = [[entry[0].clone(), dict(entry[1])]]
    (made,), (expected,) = (change(comfy.nodes, given) for given in ([entry], plain))
    assert len(made) == len(expected)
    for (rows, extras), (other_rows, other_extras) in zip(made, expected, strict=True):
        assert torch.equal(rows, other_rows)
        assert extras.keys() == other_extras.keys()
        assert torch.equal(extras["pooled_output"], other_extras["pooled_output"])
    assert torch.equal(entry[0], plain[0][0])
    assert entry[1].keys() == plain[0][1].keys()
