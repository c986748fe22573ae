"""Does the small model draw what a caption says? The scene classifier judges held-out captions.

The painter is an argument: `dev/small_model/painter.py` draws in ComfyUI, with the usual nodes.
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
# The percentage that drawing at random would get right.
CHANCE = {"color": 10, "background": 10, "shape": 17, "size": 50, "relation": 25, "place": 20}

# The judgement on one image: (attribute, whether it is right), colour and shape for each thing.
Marks = list[tuple[str, bool]]


@torch.no_grad()
def judge(classifier: SceneClassifier, images: Tensor, scenes: Sequence[Scene]) -> list[Marks]:
    """Compare images [B, 3, H, W] in [0, 1] with the scenes that they should show."""
    logits = {name: head.log_softmax(1) for name, head in classifier(images).items()}
    return [
        marks({name: values[k] for name, values in logits.items()}, scene)
        for k, scene in enumerate(scenes)
    ]


def marks(likelihood: dict[str, Tensor], scene: Scene) -> Marks:
    """The marks of one image, from the classifier's log-probabilities by head.

    Two things may have changed places. That is a wrong relation, not wrong colours: colours and
    shapes are compared in the order that fits better. If one thing is seen instead of two, or two
    instead of one, the attributes that such pictures do not have count as wrong.
    """

    def seen(head: str) -> str:
        return HEADS[head][int(likelihood[head].argmax())]

    def fit(a: Thing, b: Thing) -> float:
        pairs = [("color", a.color), ("shape", a.shape)]
        pairs += [("other color", b.color), ("other shape", b.shape)]
        return sum(float(likelihood[head][HEADS[head].index(value)]) for head, value in pairs)

    first, second = in_order(scene)
    counted = (seen("layout") == "one") == (second is None)
    marked = [("background", seen("background") == scene.background), ("number of things", counted)]
    if second is None:
        marked += [("size", counted and seen("size") == first.size)]
        marked += [("place", counted and seen("place") == scene.place)]
    else:
        right_order = fit(first, second) > fit(second, first)
        marked += [("relation", right_order and seen("layout") == layout(scene))]
        if counted and not right_order:
            first, second = second, first
        marked += [("color", counted and seen("other color") == second.color)]
        marked += [("shape", counted and seen("other shape") == second.shape)]
    return [
        *marked,
        ("color", seen("color") == first.color),
        ("shape", seen("shape") == first.shape),
    ]


class Painter(Protocol):
    """The model to evaluate: it draws captions, and encodes and decodes pictures."""

    def paint(self, captions: Sequence[str], seed: int) -> Tensor:
        """One image for each caption, [B, 3, 64, 64] in [0, 1]."""
        ...

    def again(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, 64, 64] in [0, 1] after encoding and decoding."""
        ...


@dataclass(frozen=True)
class Sampling:
    """The settings of a painter's sampler, by ComfyUI's names; its negative prompt is empty."""

    steps: int
    guidance: float
    sampler: str
    scheduler: str


@dataclass(frozen=True)
class Evaluation:
    """The marks of all scenes for three kinds of pictures, and the model's own [N, 3, 64, 64]."""

    model: list[Marks]
    autoencoder: list[Marks]
    drawn: list[Marks]
    pictures: Tensor


def evaluate(painter: Painter, classifier: SceneClassifier, count: int) -> Evaluation:
    """Judge the model's pictures, and true pictures too, to see the errors of the judge itself."""
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
    """The first `count` different held-out scenes."""
    scenes: dict[Scene, Random] = {}
    k = 0
    while len(scenes) < count:
        scene, rng = evaluation_scene(SEED, k)
        scenes.setdefault(scene, rng)
        k += 1
    return list(scenes.items())


def score(judged: Sequence[Marks], attribute: str) -> tuple[int, int]:
    """How many marks of an attribute are right, and how many there are."""
    marked = [right for of_image in judged for name, right in of_image if name == attribute]
    return sum(marked), len(marked)


def table(result: Evaluation) -> str:
    """A Markdown table: the share of right marks, its 95 % interval, aim, ceilings and chance."""
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
    """The page `quality.md` for the checkpoint with this digest."""
    how = f"{sampling.sampler}, {sampling.scheduler}, guidance {sampling.guidance:g}"
    return f"""# What the small model draws

Written by `make evaluate` for the checkpoint {digest[:12]}, drawn on a {device}.
{len(result.model)} different scenes that were held out of training in every wording, one caption
each, drawn by ComfyUI in {sampling.steps} steps ({how}, empty
negative prompt, seed {SEED}) and judged by the scene classifier. About half of the scenes have two
things; each of these counts for colour and shape.

{table(result)}

- *Autoencoder alone*: true pictures, encoded and decoded. *Drawn*: the true pictures themselves, so
  anything below 100 % is an error of the judge. *Chance*: the share for things drawn at random.
- A relation is right if both axis and order are right. Things that changed places are a wrong
  relation, not wrong colours. One thing instead of two, or two instead of one, costs the marks of
  the missing attributes.
- Intervals are Wilson's and treat marks as independent, which is not quite true of two things in
  one picture.
- The judge always chooses one of the shapes that it knows, even for a shapeless blob. A scene is
  one combination of all attributes: most of its parts were seen in other combinations.
"""
