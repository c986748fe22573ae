"""Rows of two encoders, and rows that a mask hides, are populations that no coupling mixes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geodesic_morph.geometry.cloud import PointCloud, populations
from geodesic_morph.geometry.coupling import METHODS, ROW_ORDER, Coupling, couple
from tests.geometry.strategies import cloud, normal

BY_METHOD = pytest.mark.parametrize("method", METHODS)

# Labels


@pytest.mark.parametrize("width", [768, 1024, 1280, 2048, 2816])
def test_one_encoder_writes_one_population(width: int) -> None:
    """Rows of any width but SD3's are one population, even where their upper half is zero."""
    points = normal(0, 2, 4, width)
    points[:, 1, width // 2 :] = 0
    assert populations(PointCloud(points, {})).unique().tolist() == [0]


def sd3(seed: int, clip: list[int], rows: int, **extras: Any) -> PointCloud:
    """SD3 rows; those listed are CLIP rows, zero above feature 2048."""
    points = normal(seed, 1, rows, 4096)
    points[:, clip, 2048:] = 0
    return PointCloud(points, extras)


def test_sd3_rows_are_two_populations() -> None:
    """At width 4096 the rows that are zero above feature 2048 are apart from the others."""
    labels = populations(sd3(0, [0, 1, 4], 6))[0]
    assert (labels == labels[0]).tolist() == [True, True, False, False, True, False]


def test_a_row_zero_below_feature_2048_is_no_clip_row() -> None:
    """Only zeros above feature 2048 make a CLIP row."""
    points = normal(0, 1, 3, 4096)
    points[:, 0, :2048] = 0
    assert len(populations(PointCloud(points, {})).unique()) == 1


def test_rows_of_zeros_are_no_clip_rows() -> None:
    """An encoder that is not loaded leaves zeros at its place: they are not CLIP's."""
    points = sd3(0, [0, 1], 5).points
    points[:, 4] = 0
    assert len(populations(PointCloud(points, {}))[0, 2:].unique()) == 1


def test_sd3_without_t5_is_one_population() -> None:
    """When every row is a CLIP row all of them may be exchanged."""
    assert len(populations(sd3(0, [0, 1, 2], 3)).unique()) == 1


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 5), (1, 1, 1, 5), (5,)])
def test_hidden_rows_are_a_population_of_their_own(dtype: torch.dtype, shape: tuple[int, ...]):
    """An attention mask of any type or shape sets the rows it hides apart from those it shows."""
    mask = torch.tensor([1, 1, 0, 1, 0]).to(dtype).reshape(shape)
    labels = populations(cloud(0, rows=5, attention_mask=mask))[0]
    assert (labels == labels[0]).tolist() == [True, True, False, True, False]


def test_every_prompt_of_a_batch_has_its_own_mask() -> None:
    """Row b of a batch is split by row b of its attention mask."""
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    labels = populations(cloud(0, rows=3, batch=2, attention_mask=mask))
    assert (labels == labels[:, :1]).tolist() == [[True, True, False], [True, False, False]]


def test_a_mask_shared_by_a_batch_hides_in_every_prompt() -> None:
    """A mask of one line for a batch of prompts, as attention broadcasts it, splits all of them."""
    labels = populations(cloud(0, rows=3, batch=2, attention_mask=torch.tensor([[1, 1, 0]])))
    assert (labels == labels[:, :1]).tolist() == [[True, True, False]] * 2


def test_sd3_rows_under_a_mask_are_up_to_four_populations() -> None:
    """Encoder and mask split independently of one another."""
    labels = populations(sd3(0, [0, 1], 4, attention_mask=torch.tensor([[1, 0, 1, 0]])))[0]
    assert len(labels.unique()) == 4


def test_a_mask_of_another_length_labels_nothing() -> None:
    """A mask that does not fit the rows cannot hide any of them."""
    labels = populations(cloud(0, rows=3, attention_mask=torch.tensor([[1, 0]])))
    assert labels.unique().tolist() == [0]


# Couplings


def assert_unmixed(coupling: Coupling) -> None:
    kinds = populations(coupling.source), populations(coupling.target)
    assert len(kinds[0].unique()) > 1
    assert torch.equal(coupling.source_rows, coupling.source_rows.sort(dim=1).values)
    for b in range(coupling.source.batch):
        assert sorted(coupling.target_rows[b].tolist()) == list(range(coupling.target.rows))
        x, y = kinds[0][b][coupling.source_rows[b]], kinds[1][b][coupling.target_rows[b]]
        assert torch.equal(x, y)


@BY_METHOD
@pytest.mark.parametrize("pin", [True, False])
def test_sd3_blocks_are_never_mixed(method: str, pin: bool) -> None:
    """CLIP rows meet CLIP rows and T5 rows meet T5 rows, wherever they stand."""
    for seed in range(5):
        rows = [normal(2 * seed + k, 1, 6, 4096) for k in (0, 1)]
        for one in rows:
            one[:, 2:, :2048] *= 10  # T5 rows far away from some CLIP rows, near to others
        rows[0][:, :3, 2048:] = 0
        rows[1][:, [0, 1, 4] if method != ROW_ORDER else [0, 1, 2], 2048:] = 0
        x, y = (PointCloud(one, {}) for one in rows)
        assert_unmixed(couple(x, y, method, seed, pin))


@BY_METHOD
@pytest.mark.parametrize("pin", [True, False])
def test_masked_rows_are_never_mixed(method: str, pin: bool) -> None:
    """Rows that the attention mask hides meet hidden rows only, in every prompt of a batch."""
    mask = torch.tensor([[1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0]])
    for seed in range(10):
        x, y = (cloud(2 * seed + k, 6, batch=2, attention_mask=mask) for k in (0, 1))
        assert_unmixed(couple(x, y, method, seed, pin))


@BY_METHOD
@pytest.mark.parametrize("zeroed", [0, 1])
def test_a_prompt_zeroed_out_couples_with_any_other(method: str, zeroed: int) -> None:
    """A prompt of zeros takes on the populations of the other, so SD3 prompts can fade to it."""
    rows = normal(0, 1, 6, 4096)
    rows[:, :3, 2048:] = 0
    x, y = (PointCloud(rows * (k != zeroed), {}) for k in (0, 1))
    coupling = couple(x, y, method, seed=1)
    assert coupling.squared_cost == pytest.approx(float(rows.double().square().sum()))
    i, j = coupling.source_rows[0], coupling.target_rows[0]
    assert torch.equal(i < 3, j < 3)
