"""Learning to read: hard negatives, captions, and that the loss teaches relations."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenes import classifier, train_reader
from scenes.drawing import draw
from scenes.language import draw_scene, held_out, training_scene
from scenes.reading import Library, family, mirrored, recolored
from scenes.tokens import END, START, tokens

SEEDS = st.integers(0, 2**32)


def words(scene: object) -> list[str]:
    return sorted(str(scene).replace("'", " ").split())


@given(SEEDS)
def test_hard_negatives_have_the_same_words_and_another_picture(seed: int) -> None:
    """Two things change places or colours: a bag of words is the same, what is seen is not."""
    scene = draw_scene(Random(seed))
    for other in family(scene)[1:]:
        assert classifier.labels(other) != classifier.labels(scene)
        assert not held_out(other)
    if scene.relation:
        assert words(mirrored(scene)) == words(scene)
        first, second = scene.things
        assert mirrored(scene).things == (second, first)
        if first.shape != second.shape:
            assert recolored(scene).relation == scene.relation
            assert [thing.shape for thing in recolored(scene).things] == [first.shape, second.shape]
            assert [thing.color for thing in recolored(scene).things] == [second.color, first.color]
    else:
        assert recolored(scene).background == scene.things[0].color
        assert recolored(scene).things[0].color == scene.background


@given(SEEDS)
def test_a_family_is_of_different_scenes(seed: int) -> None:
    """The scene first, and no picture twice."""
    scene = draw_scene(Random(seed))
    members = family(scene)
    assert members[0] == scene
    seen = [tuple(classifier.labels(member).items()) for member in members]
    assert len(set(seen)) == len(members) <= 4


def test_a_mirrored_scene_is_the_mirrored_picture() -> None:
    """Across, its left half shows what the right half showed, but for the varying places."""
    scene = next(s for k in range(99) if (s := training_scene(0, k)[0]).relation == "left of")
    left, right = (draw(s, Random(1)).mean(1).split(32, 1) for s in (scene, mirrored(scene)))
    assert float((left[0] - right[1]).abs().mean()) < float((left[0] - right[0]).abs().mean())


def test_a_library_has_different_wordings_and_their_ends() -> None:
    """Each starts with START, and its first END is where `ends` says."""
    library = Library.of([training_scene(0, k)[0] for k in range(20)], 4, 0)
    rows, ends = library.drawn(torch.arange(20), torch.Generator().manual_seed(0))
    assert bool((rows[:, 0] == START).all())
    assert ends.tolist() == [row.index(END) for row in rows.tolist()]
    assert len({tuple(row) for row in library.tokens.flatten(0, 1).tolist()}) > 60


def test_rows_for_the_denoiser_are_those_of_whole_captions() -> None:
    """The library leaves out paddings; they are put back, also for the empty caption."""
    caught = []

    def read(of: torch.Tensor) -> torch.Tensor:
        caught.append(of)
        return of[..., None].float()

    short = torch.tensor([tokens("a red star on black"), tokens("")])[:, :9]
    train_reader.rows(read, short)  # pyright: ignore[reportArgumentType]
    assert caught[0].tolist() == [tokens("a red star on black"), tokens("")]


@pytest.mark.slow
def test_reading_is_learned(tmp_path: Path) -> None:
    """After 50 short steps held-out captions are nearer to their own picture than to the mirrored
    one; relations of two things take longer.
    """
    plan = train_reader.Plan(
        families=150, scenes=1, reader_steps=50, reader_batch=12, reader_rate=2e-3
    )
    members, table, _ = train_reader.scenes_of(plan)
    pictures = torch.from_numpy(train_reader.drawn(members, 0))
    cpu = torch.device("cpu")
    network = train_reader.train_reader(members, table, pictures, tmp_path, cpu, plan)
    shares = train_reader.told_apart(network, cpu, 200)
    assert shares["mirrored", 1] > 0.75
    assert set(shares) == {(c, n) for c in ("mirrored", "recolored") for n in (1, 2)}
