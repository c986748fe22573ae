"""One row order along a whole path: the same prompts, and no jump where a keyframe is passed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.coupling import METHODS, RANDOM, ROW_ORDER
from geodesic_morph.geometry.one_order import in_one_order
from geodesic_morph.geometry.path import Keyframe, Path, sample
from tests.geometry.strategies import cloud, measure_gap, refused

ROWS = ((5, 5, 5), (2, 4, 4), (4, 6, 2), (6, 6, 3))


def chain(rows: tuple[int, ...], methods: tuple[str, ...], seed: int = 0) -> Path:
    keyframes = [
        Keyframe(cloud(10 * seed + k, count), weight=k + 1, method=method, seed=seed)
        for k, (count, method) in enumerate(zip(rows, methods, strict=True))
    ]
    path = Path((keyframes[0],))
    for keyframe in keyframes[1:]:
        path = path.append(keyframe, ("previous", "conditioning"))
    return path


MIXED = st.tuples(*[st.sampled_from(METHODS)] * 3)


@given(st.sampled_from(ROWS), MIXED, st.integers(0, 50), st.floats(0, 1))
def test_every_prompt_is_the_same_cloud(
    rows: tuple[int, ...], methods: tuple[str, ...], seed: int, t: float
) -> None:
    """As a measure the path is what it was, at every time and with every pairing."""
    path = chain(rows, methods, seed)
    ordered = in_one_order(path)
    (mine,), (theirs,) = (sample(p, [t]) for p in (ordered, path))
    times = mine.points.shape[1] // theirs.points.shape[1]
    assert measure_gap(mine.points[0], theirs.points[0].repeat(times, 1)) < 1e-5


@given(st.sampled_from(ROWS), MIXED, st.integers(0, 50), st.booleans())
def test_rows_move_without_a_jump(
    rows: tuple[int, ...], methods: tuple[str, ...], seed: int, closed: bool
) -> None:
    """Row p of a frame is near row p of the next: a small step in time moves all rows a little."""
    path = chain(rows, methods, seed)
    ordered = in_one_order(path.closed() if closed else path)
    tiny = 1e-5
    for knot in ordered.knots[1:-1].tolist():
        before, at, after = (ordered.at(t).points for t in (knot - tiny, knot, knot + tiny))
        assert float((at - before).abs().max()) < 1e-3
        assert float((after - at).abs().max()) < 1e-3


def test_it_jumps_without_it() -> None:
    """The order of a plain path changes at its keyframes, which is what the option is for."""
    path = chain((5, 5, 5), (RANDOM,) * 3)
    (knot,) = path.knots[1:-1].tolist()
    gap = path.at(knot).points - path.at(knot - 1e-5).points
    assert float(gap.abs().max()) > 0.1


def test_the_first_prompt_is_exact_and_settings_stay() -> None:
    """The path begins as it did; weights, methods and seeds of its legs are kept."""
    path = chain((5, 5, 5), METHODS, seed=3)
    ordered = in_one_order(path)
    assert torch.equal(ordered.at(0.0).points, path.at(0.0).points)
    assert ordered.knots.tolist() == path.knots.tolist()
    assert [(k.method, k.seed) for k in ordered.keyframes] == [
        (k.method, k.seed) for k in path.keyframes
    ]
    assert sum(leg.squared_cost for leg in ordered.legs) == pytest.approx(
        sum(leg.squared_cost for leg in path.legs)
    )


def test_a_path_in_row_order_stays_as_it_is() -> None:
    """Nothing is reordered where every row goes to the row of its own number."""
    path = chain((5, 5, 5), (ROW_ORDER,) * 3)
    ordered = in_one_order(path)
    for t in (0.0, 0.2, 0.7, 1.0):
        assert torch.equal(ordered.at(t).points, path.at(t).points)


def test_what_has_no_common_rows_is_refused() -> None:
    """Prompts that row order fills up with zeros, and batches, name the input and the remedy."""
    padded = chain((5, 7, 12), (ROW_ORDER,) * 3)
    refused(
        lambda: in_one_order(padded), "path: ", "Pad all prompts to one length", "one_row_order"
    )
    batch = Path((Keyframe(cloud(0, 4, batch=2)),))
    refused(lambda: in_one_order(batch), "path: expected one prompt per keyframe, got a batch of 2")
