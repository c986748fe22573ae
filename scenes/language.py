"""The scene language: the content of scenes, and the many captions for each.

A scene is one thing with a size and a place, or two things in a relation, on a background. Captions
vary in wording and word order on purpose: with one fixed sentence, row order would already be the
optimal coupling.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.14, 0.16),
    "orange": (0.97, 0.52, 0.10),
    "yellow": (0.98, 0.85, 0.20),
    "green": (0.14, 0.62, 0.30),
    "cyan": (0.18, 0.78, 0.84),
    "blue": (0.12, 0.28, 0.82),
    "purple": (0.50, 0.18, 0.66),
    "pink": (0.98, 0.58, 0.76),
    "white": (0.96, 0.96, 0.95),
    "black": (0.07, 0.07, 0.09),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring")
SIZES = {"small": ("small", "little"), "large": ("large", "big")}
PLACES = {
    "middle": ("in the middle", "in the center"),
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "on the top"),
    "bottom": ("at the bottom", "on the bottom"),
}
# A relation, its wordings, and the axis (0 across, 1 down) and side of the first thing.
RELATIONS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "left of": (("left of", "to the left of"), 0, -1),
    "right of": (("right of", "to the right of"), 0, 1),
    "above": (("above", "over"), 1, -1),
    "below": (("below", "under"), 1, 1),
}
# The share of captions that leave out the size or the background, and the place.
OMITTED, PLACE_OMITTED = 0.08, 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class Thing:
    """A shape with a colour; its size is "small" or "large", or "medium" for one of two things."""

    shape: str
    color: str
    size: str = "medium"


@dataclass(frozen=True)
class Scene:
    """One thing at a place, or two things in a relation, such as "first left of second"."""

    background: str
    things: tuple[Thing, ...]
    place: str = "middle"
    relation: str = ""

    def __post_init__(self) -> None:
        if len(self.things) not in (1, 2) or bool(self.relation) != (len(self.things) == 2):
            raise ValueError("a scene has one thing, or two things and a relation")


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options, by `random()` only: its stream is the same in all versions of Python."""
    return options[int(rng.random() * len(options))]


def draw_scene(rng: Random) -> Scene:
    """A random scene; half of them hold two things."""
    background = pick(rng, list(COLORS))
    visible = [color for color in COLORS if color != background]
    if rng.random() < 0.5:
        thing = Thing(pick(rng, SHAPES), pick(rng, visible), pick(rng, list(SIZES)))
        return Scene(background, (thing,), pick(rng, list(PLACES)))
    first = Thing(pick(rng, SHAPES), pick(rng, visible))
    others = [Thing(shape, color) for shape in SHAPES for color in visible if color != first.color]
    return Scene(background, (first, pick(rng, others)), relation=pick(rng, ("left of", "above")))


def held_out(scene: Scene) -> bool:
    """Whether a scene is for the evaluation: one in ten, never used in training in any wording."""
    return zlib.crc32(repr(scene).encode()) % 10 == 0


def training_scene(seed: int, k: int) -> tuple[Scene, Random]:
    """Scene k of the training set, and the random generator for drawing it."""
    return _scene(seed, k, False)


def evaluation_scene(seed: int, k: int) -> tuple[Scene, Random]:
    """Scene k of the held-out scenes, and the random generator for its caption."""
    return _scene(seed, k, True)


def _scene(seed: int, k: int, kept: bool) -> tuple[Scene, Random]:
    rng = Random(f"{seed}/{k}/{kept}")
    while True:
        scene = draw_scene(rng)
        if held_out(scene) == kept:
            return scene, rng


def say(scene: Scene, rng: Random, complete: bool = False) -> str:
    """One of the captions of a scene; some leave out a place, a size or the background.

    complete: leave out nothing.
    """
    background = "" if not complete and rng.random() < OMITTED else scene.background
    if len(scene.things) == 2:
        return _with_background(_pair(scene, rng), background, rng)
    (thing,) = scene.things
    sized = complete or rng.random() >= OMITTED
    phrase = _single(thing, pick(rng, SIZES[thing.size]) if sized else "", rng)
    if complete or rng.random() >= PLACE_OMITTED:
        place = pick(rng, PLACES[scene.place])
        phrase = f"{phrase} {place}" if rng.random() < 0.7 else f"{place} {phrase}"
    return _with_background(phrase, background, rng)


def _single(thing: Thing, size: str, rng: Random) -> str:
    color, shape = thing.color, thing.shape
    if not size:
        return pick(rng, (f"a {color} {shape}", f"a {shape} in {color}"))
    return pick(
        rng,
        (
            f"a {size} {color} {shape}",
            f"one {size} {color} {shape}",
            f"a {size} {shape} in {color}",
            f"a {color} {shape}, {size}",
            f"a {shape}, {size} and {color}",
            f"{color} {shape}, {size} size",
        ),
    )


OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def _pair(scene: Scene, rng: Random) -> str:
    first, second, relation = *scene.things, scene.relation
    if rng.random() < 0.5:  # the same picture, described from the other thing
        first, second, relation = second, first, OPPOSITE[relation]
    a, b = _article(first), _article(second)
    if rng.random() < 0.25:
        side = {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}
        side_a, side_b = side[relation], side[OPPOSITE[relation]]
        return pick(
            rng,
            (
                f"{a} on the {side_a} and {b} on the {side_b}",
                f"on the {side_a} {a}, on the {side_b} {b}",
            ),
        )
    return f"{a} {pick(rng, RELATIONS[relation][0])} {b}"


def _article(thing: Thing) -> str:
    return f"{'an' if thing.color == 'orange' else 'a'} {thing.color} {thing.shape}"


def _with_background(phrase: str, background: str, rng: Random) -> str:
    phrase = phrase.replace("a orange", "an orange")
    if not background:
        return phrase
    article = "an" if background == "orange" else "a"
    return pick(
        rng,
        (
            f"{phrase} on {article} {background} background",
            f"{phrase} on {article} {background} background",
            f"{phrase}, {background} background",
            f"{phrase} on {background}",
            f"{article} {background} background and {phrase}",
            f"{background} background, {phrase}",
            f"on {background}, {phrase}",
        ),
    )
