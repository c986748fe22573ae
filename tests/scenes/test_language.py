"""The scene language: what can be said, and that captions say what is in the scene."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.language import (
    COLORS,
    RELATIONS,
    SHAPES,
    Scene,
    Thing,
    draw_scene,
    evaluation_scene,
    held_out,
    say,
    training_scene,
)

SEEDS = st.integers(0, 2**32)
FIRST = (
    Scene("blue", (Thing("circle", "black"), Thing("circle", "red")), relation="left of"),
    "a red circle to the right of a black circle on a blue background",
)


@given(SEEDS)
def test_a_complete_caption_names_everything(seed: int) -> None:
    """Shapes, colours, background, and the size of a lone thing."""
    rng = Random(seed)
    scene = draw_scene(rng)
    caption = say(scene, rng, complete=True)
    assert scene.background in caption
    for thing in scene.things:
        assert thing.shape in caption
        assert thing.color in caption
    assert "a orange" not in caption


@given(SEEDS)
def test_things_can_be_told_from_what_is_around_them(seed: int) -> None:
    """No thing has the colour of the background, nor two things the same colour."""
    scene = draw_scene(Random(seed))
    colors = [scene.background, *(thing.color for thing in scene.things)]
    assert len(set(colors)) == len(colors)


def test_a_pair_is_told_from_both_sides() -> None:
    """Saying "left of" with the things in one order means what "right of" means in the other."""
    scene = Scene("white", (Thing("circle", "red"), Thing("star", "blue")), relation="left of")
    captions = {say(scene, Random(k)) for k in range(400)}
    red_first = [c for c in captions if c.index("circle") < c.index("star") and "left of" in c]
    blue_first = [c for c in captions if c.index("star") < c.index("circle") and "right of" in c]
    assert red_first
    assert blue_first
    wrong = [c for c in captions if c.index("circle") < c.index("star") and "right of" in c]
    assert not wrong


def test_wording_and_word_order_vary() -> None:
    """One scene has many captions, and the background may come first or last."""
    scene = Scene("pink", (Thing("heart", "black", "large"),), "middle")
    captions = {say(scene, Random(k), complete=True) for k in range(300)}
    assert len(captions) > 40
    assert {c.index("pink") < c.index("heart") for c in captions} == {True, False}


def test_held_out_scenes_are_never_trained_on() -> None:
    """A tenth of the scenes is kept, and the two sets share none."""
    trained = [training_scene(0, k)[0] for k in range(1000)]
    kept = [evaluation_scene(0, k)[0] for k in range(1000)]
    assert not set(trained) & set(kept)
    assert 0.05 < sum(held_out(draw_scene(Random(k))) for k in range(2000)) / 2000 < 0.15


def test_the_sets_hold_every_shape_color_and_relation() -> None:
    """Every attribute of the language occurs in both sets."""
    for of in (training_scene, evaluation_scene):
        scenes = [of(0, k)[0] for k in range(600)]
        things = [thing for scene in scenes for thing in scene.things]
        assert {thing.shape for thing in things} == set(SHAPES)
        assert {thing.color for thing in things} == set(COLORS)
        assert {scene.background for scene in scenes} == set(COLORS)
        assert {scene.relation for scene in scenes} == {"", "left of", "above"}
        assert {thing.size for thing in things} == {"small", "medium", "large"}


def test_a_scene_is_the_same_on_every_machine() -> None:
    """Scenes and captions come from Python's own stream, which never changes."""
    scene, rng = training_scene(0, 0)
    assert (scene, say(scene, rng)) == FIRST


@pytest.mark.parametrize("things", [(), (Thing("circle", "red"),) * 2, (Thing("star", "red"),) * 3])
def test_a_scene_holds_one_thing_or_a_pair(things: tuple[Thing, ...]) -> None:
    """Two things need a relation, and more have none."""
    with pytest.raises(ValueError, match="one thing, or two things and a relation"):
        Scene("white", things)
    assert set(RELATIONS) == {"left of", "right of", "above", "below"}
