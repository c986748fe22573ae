"""The parts of a help page's picture: a graph, the nodes of it that are shown, and helpers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from playwright.sync_api import Page

from dev.workflows.building_blocks import COUPLINGS, Common, cloud, couple, ksampler, start
from dev.workflows.graph import Graph, Link, Node
from dev.workflows.settings import SMALL_SETTINGS, Settings

S = replace(SMALL_SETTINGS, steps=12, frames=16, frames_per_batch=0)
STAR, HEART = S.prompt_a, S.prompt_b
TRANSPORT = COUPLINGS[0]
# The least width of a node in the interface, and the width of a folded one.
NARROW = 225


@dataclass(frozen=True)
class Tile:
    """A node in the picture.

    height: 0 means as tall as its widgets. title: "" means the node's own name. picture: whether it
    shows one, which must be loaded first. folded: only its title is shown.
    """

    node: Node
    width: int = 280
    height: int = 0
    title: str = ""
    picture: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Example:
    """A graph, and columns of tiles to show. `then` is called before the picture is taken."""

    graph: Graph
    columns: Sequence[Sequence[Tile]]
    then: Callable[[Page], None] | None = None

    @property
    def tiles(self) -> list[Tile]:
        return [tile for column in self.columns for tile in column]


def look(graph: Graph, images: Link, title: str = "", width: int = 330) -> Tile:
    """A preview, about as tall as it is wide."""
    node = graph.add("PreviewImage", title, width, images=images)
    return Tile(node, width, width, title, picture=True)


def folded(node: Node) -> Tile:
    return Tile(node, NARROW, folded=True)


def makers(images: Link) -> list[Tile]:
    """The sampler and the decoder that made images, folded."""
    decoder = images.node
    return [folded(decoder.inputs["samples"].node), folded(decoder)]


def used(graph: Graph, output: Link) -> None:
    """Give an output to an output node: ComfyUI only runs nodes that lead to one."""
    graph.add("PreviewAny", source=output)


def prompted(*prompts: str, s: Settings = S, **options: Any) -> tuple[Graph, Common]:
    """A graph with a checkpoint and up to three prompts."""
    graph = Graph()
    return graph, start(graph, s, list(prompts), **options)


def coupled(graph: Graph, common: Common, method: str = TRANSPORT) -> Node:
    """A Couple Prompts node for both prompts."""
    a, b = (cloud(graph, p, letter) for p, letter in zip(common.prompts, "AB", strict=True))
    return couple(graph, a, b, method)


def one_image(graph: Graph, common: Common, positive: Link) -> Link:
    """The image that a KSampler makes from a prompt."""
    sampled = ksampler(graph, S, common, "", positive, common.latent)
    return graph.add("VAEDecode", samples=sampled, vae=common.vae)[0]
