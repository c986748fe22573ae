"""Scored pairs of prompts from the scene language, for the small checkpoint.

The score is a formula instead of people's ratings: 5 · (0.8 · shared attributes + 0.2 · shared
wording). Both scenes were held out of the model's training.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from itertools import chain, count
from random import Random

from scenes.language import (
    COLORS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    draw_scene,
    evaluation_scene,
    held_out,
    pick,
    say,
)

from .pairs import BINS, HIGHEST, Pair

ATTRIBUTES = 0.8  # the weight of the attributes in the score; the wording has the rest
SAME_WORDING = 0.5  # how often both captions have the same wording
# All words of captions: of the attributes, and those around them.
_WORDINGS = chain(*SIZES.values(), *PLACES.values(), *(said for said, *_ in RELATIONS.values()))
_AROUND = ("a", "an", "and", "at", "background", "in", "on", "one", "size", "the")
VOCABULARY = frozenset([*COLORS, *SHAPES, *" ".join(_WORDINGS).split(), *_AROUND])


def generate(per_bin: int, seed: int) -> list[Pair]:
    """`per_bin` different pairs in each bin; the same on every machine.

    Raises ValueError for less than one per bin.
    """
    if per_bin < 1:
        raise ValueError(f"per-bin: expected at least 1 pair, got {per_bin}.")
    bins: dict[float, dict[tuple[str, str], Pair]] = {edge: {} for edge in BINS}
    for k in count():
        pair = _draw(seed, k)
        own = bins[pair.bin]
        if pair.caption_a != pair.caption_b and len(own) < per_bin:
            own.setdefault((pair.caption_a, pair.caption_b), pair)
            if all(len(pairs) == per_bin for pairs in bins.values()):
                break
    return [pair for pairs in bins.values() for pair in pairs.values()]


def similarity(a: Scene, b: Scene, caption_a: str, caption_b: str) -> float:
    """0 to 5 with two decimals, like people's mean ratings; 5 only for one scene in equal words."""
    return _score(shared(a, b), caption_a, caption_b)


def same_scene(pair: Pair) -> bool:
    """Whether a pair tells one scene of the scene language in two wordings.

    False for captions in other words than the language has, such as photographs': their similarity
    is people's, and says nothing about scenes.
    """
    spoken = all(VOCABULARY.issuperset(words(text)) for text in (pair.caption_a, pair.caption_b))
    return spoken and pair.similarity == _score(1.0, pair.caption_a, pair.caption_b)


def words(caption: str) -> list[str]:
    """The words of a caption, without commas."""
    return caption.replace(",", " ").split()


def _score(common: float, caption_a: str, caption_b: str) -> float:
    words = SequenceMatcher(None, caption_a.split(), caption_b.split(), autojunk=False).ratio()
    return round(HIGHEST * (ATTRIBUTES * common + (1 - ATTRIBUTES) * words), 2)


def shared(a: Scene, b: Scene) -> float:
    """The share of attributes that two scenes have in common, with things paired as they fit best.

    Attributes are the background, the arrangement (place or relation), and the colour, shape and
    size of each thing. A thing that only one scene has shares nothing.
    """
    if len(a.things) < len(b.things):
        a, b = b, a
    mirrored = replace(b, things=b.things[::-1])
    arranged = len(a.things) == len(b.things) and (a.place, a.relation) == (b.place, b.relation)
    # If two things changed places, they have the other arrangement.
    best = max(_things(a, b) + arranged, _things(a, mirrored))
    return ((a.background == b.background) + best) / (2 + sum(_slots(t) for t in a.things))


def _things(a: Scene, b: Scene) -> int:
    """The number of attributes that the things have in common, in this order; b may have fewer
    things.
    """
    return sum(_common(*pair) for pair in zip(a.things, b.things, strict=False))


def _common(a: Thing, b: Thing) -> int:
    sized = _slots(a) == 3 and a.size == b.size
    return (a.color == b.color) + (a.shape == b.shape) + sized


def _slots(thing: Thing) -> int:
    """The number of attributes of a thing in a caption: one of two things has no size."""
    return 3 if thing.size in SIZES else 2


def _draw(seed: int, k: int) -> Pair:
    """Pair k of a seed: a held-out scene, and a held-out variation of it."""
    first, rng = evaluation_scene(seed, k)
    change = rng.random()
    while not held_out(second := _vary(first, change, rng)):
        pass
    wording = rng.random()
    same = rng.random() < SAME_WORDING
    caption_a = say(first, Random(f"wording {wording}"), complete=True)
    caption_b = say(second, Random(f"wording {wording if same else -wording}"), complete=True)
    if rng.random() < 0.5:  # so that the first scene drawn is not always prompt A
        first, second, caption_a, caption_b = second, first, caption_b, caption_a
    return Pair(caption_a, caption_b, similarity(first, second, caption_a, caption_b))


def _vary(scene: Scene, change: float, rng: Random) -> Scene:
    """A scene in which every attribute is drawn anew with probability `change`."""
    if rng.random() < change / 2:
        return draw_scene(rng)

    def redrawn(value: str, options: list[str]) -> str:
        return pick(rng, options) if rng.random() < change else value

    background = redrawn(scene.background, list(COLORS))
    visible = [color for color in COLORS if color != background]
    things = tuple(
        Thing(
            redrawn(thing.shape, list(SHAPES)),
            redrawn(thing.color if thing.color in visible else pick(rng, visible), visible),
            redrawn(thing.size, list(SIZES)) if thing.size in SIZES else thing.size,
        )
        for thing in scene.things
    )
    if len(things) == 1:
        return Scene(background, things, redrawn(scene.place, list(PLACES)))
    if things[0].color == things[1].color:
        return _vary(scene, change, rng)  # the language has no two things of one colour
    canonical = [name for name in RELATIONS if name in ("left of", "above")]
    return Scene(background, things, relation=redrawn(scene.relation, canonical))
