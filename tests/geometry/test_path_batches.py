"""Frames of a path in batches are those of the path one by one, on the rows of their own legs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.cloud import PointCloud, repeat_rows
from geodesic_morph.geometry.conditioning_keys import POOLED
from geodesic_morph.geometry.coupling import (
    MAX_REPEATS,
    METHODS,
    OPTIMAL,
)
from geodesic_morph.geometry.path import (
    Keyframe,
    Path,
    sample,
)
from tests.geometry.strategies import (
    UNEQUAL_ROWS,
    cloud,
    normal,
)

INSIDE = st.floats(0.001, 0.999)
BY_METHOD = pytest.mark.parametrize("method", METHODS)


def path_through(*keyframes: Keyframe) -> Path:
    path = Path(keyframes[:1])
    for keyframe in keyframes[1:]:
        path = path.append(keyframe, ("previous", "conditioning"))
    return path


def chain(
    rows: Sequence[int],
    weights: Sequence[float] = (),
    methods: Sequence[str] = (OPTIMAL,),
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Keyframes of the given row counts, each with a pooled vector."""
    return path_through(
        *(
            Keyframe(
                cloud(k, count, dtype=dtype, pooled_output=normal(100 + k, 1, 5, dtype=dtype)),
                weight=weights[k] if weights else 1.0,
                method=methods[k % len(methods)],
                seed=k,
            )
            for k, count in enumerate(rows)
        )
    )


def assert_same(got: PointCloud, expected: PointCloud) -> None:
    assert torch.equal(got.points, expected.points)
    assert got.extras.keys() == expected.extras.keys()
    if POOLED in expected.extras:
        assert torch.equal(got.extras[POOLED], expected.extras[POOLED])


def one_by_one(path: Path, t: float, rows: int) -> PointCloud:
    """What `sample` should give for one frame, from `Path.at`, on the rows of its batch."""
    at = path.at(t)
    return PointCloud(repeat_rows(at.points, rows), at.extras)


def as_clouds(groups: Sequence[PointCloud]) -> list[PointCloud]:
    """The frames of all groups as clouds of one prompt each."""
    found = []
    for group in groups:
        for f in range(len(group.points)):
            extras = dict(group.extras)
            if POOLED in extras:
                assert len(extras[POOLED]) == len(group.points)
                extras[POOLED] = extras[POOLED][f : f + 1]
            found.append(PointCloud(group.points[f : f + 1], extras))
    return found


@pytest.mark.parametrize("rows", [[5, 5], [2, 4], [4, 6], [4, 4, 4], [2, 4, 8], [6, 4, 2]])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("closed", [False, True])
def test_a_batch_equals_its_frames_one_by_one(
    rows: list[int], size: int, dtype: torch.dtype, closed: bool
) -> None:
    """Sampling together or singly gives the same numbers bit for bit, in the same order."""
    path = chain(rows, methods=METHODS, dtype=dtype)
    path = path.closed() if closed else path
    schedule = [0.0, 1.0, 0.3, 0.5, 0.5, 0.123, 0.77, 1 / 3, 0.999, 0.0001]
    for start in range(0, len(schedule), size):
        part = schedule[start : start + size]
        frames = as_clouds(sample(path, part))
        assert len(frames) == len(part)
        for t, frame in zip(part, frames, strict=True):
            assert_same(frame, one_by_one(path, t, frame.rows))


@given(st.sampled_from([*UNEQUAL_ROWS, (77, 154)]), st.booleans())
def test_frames_have_the_rows_of_their_leg(rows: tuple[int, int], closed: bool) -> None:
    """Prompts of m and n rows give frames of lcm(m, n) rows, the ends repeated, nothing padded."""
    path = chain(rows)
    path = path.closed() if closed else path
    (group,) = sample(path, [0.0, 0.25, 0.75, 1.0])
    assert group.points.shape == (4, math.lcm(*rows), 6)
    for f, stop in ((0, path.stops[0]), (3, path.stops[-1])):
        assert torch.equal(group.points[f], repeat_rows(stop.points[0], math.lcm(*rows)))


def test_a_long_prompt_elsewhere_costs_a_frame_nothing() -> None:
    """A batch has the rows of its own frames' legs, and a keyframe alone those of its prompt.

    Keyframes of 77 to 385 rows have 4,620 rows in common; a frame between the first two needs 154.
    """
    path = chain([77, 154, 231, 308, 385])
    for t, rows in ((0.1, 154), (0.0, 77), (0.25, 154), (0.3, 462), (1.0, 385)):
        (lone,) = sample(path, [t])
        assert lone.rows == rows
    (within,) = sample(path, [0.0, 0.1, 0.2])
    assert within.rows == 154
    (across,) = sample(path, [0.2, 0.3])
    assert across.rows == 462


def test_frames_without_rows_in_common_are_batches_of_their_own() -> None:
    """Legs whose rows only match after absurdly many repetitions do not share a conditioning."""
    path = chain([36, 60, 100, 140, 44])
    times = [0.1, 0.2, 0.3, 0.6, 0.9, 1.0]
    groups = sample(path, times)
    assert sum(len(group.points) for group in groups) == len(times)
    assert len(groups) > 1
    assert max(group.rows for group in groups) <= MAX_REPEATS * 140
    for t, frame in zip(times, as_clouds(groups), strict=True):
        assert_same(frame, one_by_one(path, t, frame.rows))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_goes_in_and_comes_out(dtype: torch.dtype) -> None:
    """Half precision in and out: finite, and within one rounding of the same blend in float64."""
    path, exact = (
        path_through(
            *(
                Keyframe(PointCloud(one.points.to(kind), {POOLED: one.extras[POOLED].to(kind)}))
                for one in chain([6, 6], dtype=dtype).stops
            )
        )
        for kind in (dtype, torch.float64)
    )
    (got,), (expected,) = (sample(one, [0.0, 0.3, 0.9]) for one in (path, exact))
    for a, b in ((got.points, expected.points), (got.extras[POOLED], expected.extras[POOLED])):
        assert a.dtype == dtype
        assert torch.isfinite(a).all()
        torch.testing.assert_close(a.double(), b, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_a_batch_has_the_widest_type_of_its_keyframes() -> None:
    """So a float32 keyframe is written exactly beside one in half precision."""
    a, b = cloud(0, 4, dtype=torch.float16), cloud(1, 4)
    (got,) = sample(path_through(Keyframe(a), Keyframe(b)), [0.0, 1.0])
    assert torch.equal(got.points[0], a.points[0].float())
    assert torch.equal(got.points[1], b.points[0])


def numbered(strengths: Sequence[float]) -> Path:
    return path_through(*(Keyframe(cloud(k, 3, strength=s)) for k, s in enumerate(strengths)))


def test_frames_with_equal_dictionaries_join() -> None:
    """A path whose prompts agree, pooled vectors apart, is one conditioning of F frames."""
    (group,) = sample(chain([4, 4, 4]), [0.0, 0.1, 0.5, 0.6, 1.0])
    assert group.points.shape[0] == 5
    assert group.extras[POOLED].shape == (5, 5)


def test_words_that_no_model_reads_do_not_split_the_frames() -> None:
    """As prompt-control's texts; a frame that is a batch by itself keeps its keyframe's."""
    path = path_through(*(Keyframe(cloud(k, 3, prompt=text)) for k, text in enumerate("ab")))
    (group,) = sample(path, [0.0, 0.5, 1.0])
    assert len(group.points) == 3
    assert "prompt" not in group.extras
    (first,) = sample(path, [0.0])
    assert first.extras["prompt"] == "a"


def test_a_number_that_changes_splits_the_frames() -> None:
    """Frames share a conditioning as long as their numbers agree, and in order."""
    groups = sample(numbered([1.0, 1.0, 2.0]), [0.0, 0.25, 0.5, 0.75, 0.75, 1.0])
    assert [len(group.points) for group in groups] == [3, 2, 1]
    assert [group.extras["strength"] for group in groups] == [1.0, 1.5, 2.0]


def test_frames_that_agree_but_do_not_follow_each_other_stay_apart() -> None:
    """The order of the frames is kept: equal dictionaries join neighbours only."""
    groups = sample(numbered([1.0, 2.0]), [0.0, 0.5, 0.0])
    assert [group.extras["strength"] for group in groups] == [1.0, 1.5, 1.0]


def test_no_times_are_no_frames() -> None:
    """Sampling at an empty list of times gives an empty list."""
    assert sample(chain([3, 3]), []) == []


def test_a_prompt_blended_with_itself_stays() -> None:
    """Equal keyframes give equal frames, finite and within rounding of the prompt."""
    one = cloud(0, 5)
    path = path_through(Keyframe(one), Keyframe(PointCloud(one.points.clone(), {})))
    (group,) = sample(path, [0.0, 0.3, 0.5, 1.0])
    torch.testing.assert_close(group.points, one.points.expand(4, -1, -1))
