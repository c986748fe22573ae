"""The judgement of pictures, and the accuracy of the judge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dev.comfyui.environment import ROOT
from scenes import checkpoint, classifier
from scenes.classifier import HEADS, NO_LABEL, labels
from scenes.drawing import draw
from scenes.evaluate import MEASURED, Evaluation, different_scenes, judge, marks, score, table
from scenes.language import Scene, Thing, evaluation_scene, held_out

RED, BLUE = Thing("circle", "red"), Thing("star", "blue")
PAIR = Scene("green", (RED, BLUE), relation="left of")
ALONE = Scene("green", (Thing("heart", "pink", "small"),), "top")


def certain(scene: Scene) -> dict[str, Tensor]:
    """The output of a classifier that recognises exactly this scene."""
    answers = labels(scene)
    said = {}
    for name, of in HEADS.items():
        likelihood = torch.full((len(of),), -10.0)
        likelihood[max(answers[name], 0)] = 0.0
        said[name] = likelihood
    return said


def wrong(asked: Scene, drawn: Scene) -> list[str]:
    """The attributes marked wrong when one scene is asked for and another is drawn."""
    return sorted(name for name, right in marks(certain(drawn), asked) if not right)


def test_the_scene_itself_is_all_right() -> None:
    """No mark is missing, and none is wrong."""
    assert wrong(PAIR, PAIR) == wrong(ALONE, ALONE) == []
    names = [name for name, _ in marks(certain(PAIR), PAIR)]
    assert sorted(names) == sorted(
        ["background", "number of things", "relation", "color", "shape", "color", "shape"]
    )
    names = [name for name, _ in marks(certain(ALONE), ALONE)]
    assert set(names) == {"background", "number of things", "color", "shape", "size", "place"}


@pytest.mark.parametrize(
    ("drawn", "mistakes"),
    [
        (Scene("black", (RED, BLUE), relation="left of"), ["background"]),
        (Scene("green", (BLUE, RED), relation="left of"), ["relation"]),
        (Scene("green", (RED, BLUE), relation="right of"), ["relation"]),
        (Scene("green", (RED, BLUE), relation="above"), ["relation"]),
        (Scene("green", (RED, Thing("star", "pink")), relation="left of"), ["color"]),
        (Scene("green", (Thing("ring", "red"), BLUE), relation="left of"), ["shape"]),
        (Scene("green", (BLUE, RED), relation="right of"), []),
    ],
)
def test_each_mistake_costs_its_own_mark(drawn: Scene, mistakes: list[str]) -> None:
    """Things that changed places are a wrong relation, not wrong colours and shapes."""
    assert wrong(PAIR, drawn) == mistakes


def test_a_lone_thing_has_size_and_place() -> None:
    """Both are judged where there is one thing, and a second thing is noticed."""
    thing = Thing("heart", "pink", "large")
    assert wrong(ALONE, Scene("green", (thing,), "top")) == ["size"]
    assert wrong(ALONE, Scene("green", ALONE.things, "left")) == ["place"]
    assert labels(ALONE)["other shape"] == labels(PAIR)["size"] == NO_LABEL


@pytest.mark.parametrize("luck", [False, True])
def test_what_is_missing_earns_no_marks(luck: bool) -> None:
    """One thing drawn instead of two: the second's marks are lost, whatever untaught heads say."""
    said = certain(Scene("green", (Thing("circle", "red", "small"),)))
    if luck:
        wanted = certain(PAIR)
        said |= {name: wanted[name] for name in ("other color", "other shape")}
    missed = sorted(name for name, right in marks(said, PAIR) if not right)
    assert missed == ["color", "number of things", "relation", "shape"]
    said = certain(PAIR) | {name: certain(ALONE)[name] for name in ("size", "place")}
    missed = {name for name, right in marks(said, ALONE) if not right}
    assert {"number of things", "size", "place"} <= missed


def test_the_classifier_knows_true_pictures() -> None:
    """True pictures of held-out scenes: at most one mark in fifty is wrong."""
    chosen = [evaluation_scene(1, k) for k in range(300)]
    pictures = torch.stack([draw(scene, rng) for scene, rng in chosen])
    judged = judge(classifier.load(), pictures, [scene for scene, _ in chosen])
    for attribute in MEASURED:
        right, asked = score(judged, attribute)
        assert right / asked >= 0.98, attribute


def test_no_scene_is_judged_twice() -> None:
    """Four hundred different scenes, all of them held out."""
    scenes = [scene for scene, _ in different_scenes(400)]
    assert len(set(scenes)) == 400
    assert all(held_out(scene) for scene in scenes)


def test_the_table_counts() -> None:
    """The table has the right shares, counts and aims."""
    good = [(name, True) for name in MEASURED]
    bad = [(name, False) for name in MEASURED]
    result = Evaluation([good, good, good, bad], [good], [good], torch.zeros(4, 3, 64, 64))
    assert score(result.model, "color") == (3, 4)
    head, _, *rows = table(result).splitlines()
    assert head.startswith("| asked for | right |")
    assert len(rows) == len(MEASURED)
    assert rows[0].startswith("| color | 75.0 % (3 of 4) | 30.1 to 95.4 % | 95 %: not met |")


@pytest.mark.parametrize(
    ("page", "text_model"), [("quality.md", "written"), ("quality_reader.md", "reader")]
)
def test_the_page_is_of_the_checkpoint_that_is_here(
    page: str, text_model: checkpoint.TextModel
) -> None:
    """After training: `make evaluate`, with each text model, and `make pictures`."""
    text = (ROOT / "scenes" / page).read_text()
    assert f"checkpoint {checkpoint.expected_digest(text_model)[:12]}" in text
