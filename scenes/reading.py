"""How the reader learns to read: captions and pictures that belong together are to be found.

CLIP's loss: among the captions and pictures of a batch, each picture has to find its caption and
each caption its picture. Captions are read at their first end-of-text. The picture tower is the
scene classifier's frozen trunk, whose 3x3 places are all kept, and one linear layer that learns.
Scenes come in families whose captions have the same words: what was left is right, or the colours
are exchanged. Otherwise a bag of words would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .classifier import MEAN, STD, SceneClassifier
from .language import Scene, held_out, say
from .reader import Reader
from .text import WIDTH
from .tokens import END, spoken

WORDINGS = 4  # captions of each scene
TRUNK = 256 * 3 * 3
# CLIP's: the temperature to begin with, and the lowest.
TEMPERATURE, LOWEST = 0.07, 0.01
FAR_SIDE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "middle": "left"}
TURNED = {"left of": "above", "right of": "below", "above": "left of", "below": "right of"}


def mirrored(scene: Scene) -> Scene:
    """Two things that change places; one thing on the other side."""
    if scene.relation:
        return replace(scene, things=scene.things[::-1])
    return replace(scene, place=FAR_SIDE[scene.place])


def recolored(scene: Scene) -> Scene:
    """Colours exchanged: of both things, or of the one thing and its background.

    For two things of one shape that would be their mirror image: they are turned instead.
    """
    if not scene.relation:
        (thing,) = scene.things
        return Scene(thing.color, (replace(thing, color=scene.background),), scene.place)
    a, b = scene.things
    if a.shape == b.shape:
        return replace(scene, relation=TURNED[scene.relation])
    return replace(scene, things=(replace(a, color=b.color), replace(b, color=a.color)))


def family(scene: Scene) -> list[Scene]:
    """A scene and those hard to tell from it, all different; without the held-out ones.

    The scene itself comes first, even if it is held out.
    """
    relatives = (mirrored(scene), recolored(scene), mirrored(recolored(scene)))
    return [scene, *(other for other in relatives if not held_out(other))]


@dataclass(frozen=True)
class Library:
    """Captions of scenes: tokens [N, wordings, L], and where each first ends [N, wordings]."""

    tokens: Tensor
    ends: Tensor

    @classmethod
    def of(
        cls, scenes: Sequence[Scene], wordings: int, seed: int, complete: bool = False
    ) -> Library:
        """Different wordings of every scene, the same on every machine."""
        rng = Random(f"wordings/{seed}")
        texts = [spoken(say(scene, rng, complete)) for scene in scenes for _ in range(wordings)]
        ends = np.array([len(text) for text in texts])
        # What comes after the longest caption is not read here: the model is causal.
        table = np.full((len(texts), ends.max() + 1), END, np.int32)
        for row, text in zip(table, texts, strict=True):
            row[: len(text)] = text
        shape = (len(scenes), wordings)
        return cls(torch.from_numpy(table).view(*shape, -1), torch.from_numpy(ends).view(shape))

    def to(self, device: torch.device) -> Library:
        return Library(self.tokens.to(device), self.ends.to(device))

    def drawn(self, scenes: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
        """Tokens [B, L] and ends [B] of one wording of each of these scenes [B]."""
        wording = torch.randint(self.ends.shape[1], scenes.shape, generator=g)
        place = (scenes.to(self.ends.device), wording.to(self.ends.device))
        return self.tokens[place].long(), self.ends[place]


class Matching(nn.Module):
    """The reader, the linear layer of the picture tower, and the temperature."""

    def __init__(self, reader: Reader, seed: int = 0) -> None:
        super().__init__()
        self.reader = reader
        self.norm, self.picture = nn.LayerNorm(TRUNK), nn.Linear(TRUNK, WIDTH, bias=False)
        g = torch.Generator().manual_seed(seed)
        self.picture.weight.data.normal_(0, TRUNK**-0.5, generator=g)
        self.sharpness = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def texts(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Unit vectors [B, 768] of captions, from the rows where they end."""
        rows = self.reader(tokens)[torch.arange(len(ends), device=ends.device), ends]
        return F.normalize(rows.float(), dim=1)

    def pictures(self, features: Tensor) -> Tensor:
        """Unit vectors [B, 768] of pictures, from the trunk's features [B, 2304]."""
        return F.normalize(self.picture(self.norm(features.float())).float(), dim=1)


@torch.no_grad()
def trunk(classifier: SceneClassifier, pictures: Tensor, device: torch.device) -> Tensor:
    """Features of pictures [N, 3, 64, 64] uint8, [N, 2304] half, on the device."""
    mean, std = (torch.tensor(x, device=device)[:, None, None] for x in (MEAN, STD))
    features = classifier.features.to(device)
    parts = [
        features((part.to(device).float() / 255 - mean) / std).flatten(1).half()
        for part in pictures.split(256)
    ]
    return torch.cat(parts)


def loss(
    network: Matching,
    batch: Callable[[torch.Generator], tuple[Tensor, Tensor, Tensor]],
) -> Callable[[torch.Generator], Tensor]:
    """CLIP's symmetric cross-entropy; `batch` gives tokens, ends and the trunk's features."""

    def of_step(g: torch.Generator) -> Tensor:
        tokens, ends, features = batch(g)
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
            texts, pictures = network.texts(tokens, ends), network.pictures(features)
        logits = texts @ pictures.T * network.sharpness.clamp(max=-math.log(LOWEST)).exp()
        same = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2

    return of_step


def families(count: int, scene: Callable[[int], Scene]) -> tuple[list[Scene], Tensor]:
    """The scenes of `count` families, in order, and their numbers [count, 4]; -1 for none."""
    scenes: list[Scene] = []
    table = torch.full((count, 4), -1)
    for k in range(count):
        members = family(scene(k))
        table[k, : len(members)] = torch.arange(len(scenes), len(scenes) + len(members))
        scenes += members
    return scenes, table


@torch.no_grad()
def told_apart(
    network: Matching, texts: tuple[Tensor, Tensor], own: Tensor, other: Tensor
) -> float:
    """The share of captions (tokens, ends) that are nearer to their own picture's features."""
    vectors = network.texts(*texts)
    near, far = ((vectors * network.pictures(x)).sum(1) for x in (own, other))
    return float((near > far).float().mean())
