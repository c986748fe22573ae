"""Does the small model draw what it is asked? Held-out captions, judged by the scene classifier.

Who draws is given: `dev/small_model/painter.py` does it in ComfyUI, with the nodes an artist uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import torch
from scipy.stats import binomtest
from torch import Tensor
from tqdm import tqdm

from .classifier import HEADS, SceneClassifier, in_order, layout
from .drawing import draw
from .language import Scene, Thing, evaluation_scene, say

SEED, COUNT, BATCH = 0, 400, 50
AIMS = {"color": 95, "background": 95, "shape": 90, "size": 90, "relation": 80}
MEASURED = (*AIMS, "place", "number of things")
# What drawing at random would get right.
CHANCE = {"color": 10, "background": 10, "shape": 17, "size": 50, "relation": 25, "place": 20}

# What of one image is right: (attribute, whether), an attribute once for each thing.
Marks = list[tuple[str, bool]]


@torch.no_grad()
def judge(classifier: SceneClassifier, images: Tensor, scenes: Sequence[Scene]) -> list[Marks]:
    """Compare images [B, 3, H, W] in 0 to 1 with the scenes they should show."""
    logits = {name: head.log_softmax(1) for name, head in classifier(images).items()}
    return [
        marks({name: values[k] for name, values in logits.items()}, scene)
        for k, scene in enumerate(scenes)
    ]


def marks(likelihood: dict[str, Tensor], scene: Scene) -> Marks:
    """The marks of one image, from the classifier's log-probabilities by head.

    Two things may stand in each other's place. That is a wrong relation, not wrong colours: colours
    and shapes are compared in the order that fits better. Where one thing is seen instead of two or
    two instead of one, what the classifier did not learn to tell of such pictures counts as wrong.
    """

    def seen(head: str) -> str:
        return HEADS[head][int(likelihood[head].argmax())]

    def fit(one: Thing, two: Thing) -> float:
        pairs = [("color", one.color), ("shape", one.shape)]
        pairs += [("other color", two.color), ("other shape", two.shape)]
        return sum(float(likelihood[head][HEADS[head].index(value)]) for head, value in pairs)

    first, other = in_order(scene)
    counted = (seen("layout") == "one") == (other is None)
    found = [("background", seen("background") == scene.background), ("number of things", counted)]
    if other is None:
        found += [("size", counted and seen("size") == first.size)]
        found += [("place", counted and seen("place") == scene.place)]
    else:
        as_asked = fit(first, other) > fit(other, first)
        found += [("relation", as_asked and seen("layout") == layout(scene))]
        if counted and not as_asked:
            first, other = other, first
        found += [("color", counted and seen("other color") == other.color)]
        found += [("shape", counted and seen("other shape") == other.shape)]
    return [
        *found,
        ("color", seen("color") == first.color),
        ("shape", seen("shape") == first.shape),
    ]


class Painter(Protocol):
    """The model that is evaluated: it draws captions, and encodes and decodes pictures."""

    def paint(self, captions: Sequence[str], seed: int) -> Tensor:
        """One image for each caption, [B, 3, 64, 64] in 0 to 1."""
        ...

    def again(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, 64, 64] in 0 to 1, encoded and decoded."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How a painter samples, in ComfyUI's names; its negative prompt is empty."""

    steps: int
    guidance: float
    sampler: str
    scheduler: str


@dataclass(frozen=True)
class Evaluation:
    """Marks of every held-out scene, by who drew it, and the model's pictures [N, 3, 64, 64]."""

    model: list[Marks]
    autoencoder: list[Marks]
    drawn: list[Marks]
    pictures: Tensor


def evaluate(painter: Painter, classifier: SceneClassifier, count: int) -> Evaluation:
    """Judge what the model draws, and beside it true pictures, which the judge may mistake too."""
    held_out = different_scenes(count)
    scenes = [scene for scene, _ in held_out]
    captions = [say(scene, rng, complete=True) for scene, rng in held_out]
    true = torch.stack([draw(scene, rng) for scene, rng in held_out])
    painted, again = [], []
    for start in tqdm(range(0, count, BATCH), "evaluate"):
        part = slice(start, start + BATCH)
        painted.append(painter.paint(captions[part], SEED + start))
        again.append(painter.again(true[part]))
    pictures = torch.cat(painted)
    return Evaluation(
        model=judge(classifier, pictures, scenes),
        autoencoder=judge(classifier, torch.cat(again), scenes),
        drawn=judge(classifier, true, scenes),
        pictures=pictures,
    )


def different_scenes(count: int) -> list[tuple[Scene, Random]]:
    """The first held-out scenes, none of them twice."""
    found: dict[Scene, Random] = {}
    k = 0
    while len(found) < count:
        scene, rng = evaluation_scene(SEED, k)
        found.setdefault(scene, rng)
        k += 1
    return list(found.items())


def score(judged: Sequence[Marks], attribute: str) -> tuple[int, int]:
    """How many were right, of how many."""
    found = [right for of_image in judged for name, right in of_image if name == attribute]
    return sum(found), len(found)


def table(result: Evaluation) -> str:
    """A Markdown table: share right with its 95 % interval, aim, ceilings and chance."""
    lines = [
        "| asked for | right | 95 % interval | aim | autoencoder alone | drawn | chance |",
        "|---|---|---|---|---|---|---|",
    ]
    for attribute in MEASURED:
        right, asked = score(result.model, attribute)
        interval = binomtest(right, asked).proportion_ci(method="wilson")
        cells = [
            attribute,
            f"{percent(right, asked)} ({right} of {asked})",
            f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %",
            aim(attribute, right / asked),
            percent(*score(result.autoencoder, attribute)),
            percent(*score(result.drawn, attribute)),
            f"{CHANCE[attribute]} %" if attribute in CHANCE else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def aim(attribute: str, share: float) -> str:
    if attribute not in AIMS:
        return ""
    return f"{AIMS[attribute]} %: {'met' if 100 * share >= AIMS[attribute] else 'not met'}"


def percent(right: int, asked: int) -> str:
    return f"{100 * right / asked:.1f} %"


def report(result: Evaluation, digest: str, device: str, sampling: Sampling) -> str:
    """The page `quality.md`, of the checkpoint with this digest."""
    how = f"{sampling.sampler}, {sampling.scheduler}, guidance {sampling.guidance:g}"
    return f"""# What the small model draws

Written by `make evaluate` for the checkpoint {digest[:12]}, drawn on a {device}.
{len(result.model)} different scenes that were held out of training in every wording, one caption
each, drawn by ComfyUI in {sampling.steps} steps ({how}, empty
negative prompt, seed {SEED}) and judged by the scene classifier. About half hold two things; each
of them counts for colour and shape.

{table(result)}

- *Autoencoder alone*: true pictures, encoded and decoded. *Drawn*: true pictures as they are; what
  is missing to 100 % there is the judge's own error. *Chance*: what a thing drawn at random gets.
- A relation is right when both axis and order are. Things that changed places are a wrong relation,
  not wrong colours. One thing instead of two, or two instead of one, costs the marks of what is
  missing.
- Intervals are Wilson's and take marks as independent, which two things in one picture are not
  quite.
- The judge has to choose among what it knows, so a shapeless blob is given some shape. A scene is
  one combination of all attributes: most of its parts were seen in other combinations.
"""
