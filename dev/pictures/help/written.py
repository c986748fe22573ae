"""Examples of the nodes for whole films, and of the ways to other nodes' numbers."""

from __future__ import annotations

from typing import Any

from dev.workflows.building_blocks import Common, keyframes, ksampler, path_length, render, times
from dev.workflows.graph import Graph, Link, Node

from .tiles import HEART, STAR, TRANSPORT, Example, S, Tile, look, makers, prompted, used

FILM = """0: a large yellow star on a blue background
20: a large red heart on a pink background
+6 hold
end: a small cyan ring on a black background | ease in-out
"""


def _film(graph: Graph, common: Common, made: Node) -> Link:
    """The frames of a path and its times."""
    scheduled = graph.add(
        "GeodesicSchedule",
        path=made[0],
        times=made[1],
        latent=common.latent,
        frames_per_batch=0,
    )
    sampled = ksampler(graph, S, common, "", scheduled[0], scheduled[1])
    return graph.add("VAEDecode", samples=sampled, vae=common.vae)[0]


def text() -> Example:
    """A film of three prompts with a hold; every second frame."""
    graph, common = prompted(STAR)
    clip = common.prompts[0].node.inputs["clip"]
    shared: dict[str, Any] = {"fps": 24.0, "before": "", "after": "", "method": TRANSPORT}
    shared |= {"seed": 0, "ending": "stop"}
    shown = graph.add("GeodesicPromptText", clip=clip, text=FILM, frames=49, **shared)
    used(graph, shown[3])
    small = FILM.replace("20:", "6:").replace("+6", "+2")
    made = graph.add("GeodesicPromptText", clip=clip, text=small, frames=16, **shared)
    return Example(graph, [[Tile(shown, 430, 590)], [look(graph, _film(graph, common, made))]])


def connected() -> Example:
    """Three prompts; the strip shows where they stand."""
    graph, common = prompted(STAR, HEART, "a small cyan ring on a black background")
    a, b, c = common.prompts
    settings: dict[str, Any] = {"fps": 24.0, "easing": "linear", "method": TRANSPORT, "seed": 0}
    made = graph.add(
        "GeodesicKeyframes",
        frames="0, 6, end",
        length=16,
        ending="stop",
        **settings,
        prompt_1=a,
        prompt_2=b,
        prompt_3=c,
    )
    return Example(graph, [[Tile(made, 420)], [look(graph, _film(graph, common, made))]])


def to_floats() -> Example:
    """An eased pace as strengths, and the numbers."""
    graph, _ = prompted(STAR)
    when = times(graph, 9, "ease in-out")
    node = graph.add("GeodesicTimesToFloats", times=when, low=0.2, high=1.0)
    seen = graph.add("PreviewAny", source=node[1])
    return Example(graph, [[Tile(when.node, 340)], [Tile(node, 240), Tile(seen, 240, 240)]])


def from_floats() -> Example:
    """Numbers of another range, as a pace: the morph turns back in the middle."""
    graph, common = prompted(STAR, HEART)
    source = graph.add(
        "GeodesicTimes", frames=12, easing="linear", ending="ping-pong", curve="[[0,0],[1,1]]"
    )
    numbers = graph.add("GeodesicTimesToFloats", times=source[0], low=-3.0, high=9.0)
    node = graph.add(
        "GeodesicFloatsToTimes", floats=numbers[0], frames=12, stretch=True, ending="stop"
    )
    images = render(graph, S, common, keyframes(graph, common.prompts), node[0])[0]
    seen = look(graph, images, width=280)
    return Example(graph, [[Tile(numbers, 260), Tile(node, 260), *makers(images)], [seen]])


def export() -> Example:
    """The steps of a morph as a table."""
    graph, common = prompted(STAR, HEART)
    when = times(graph, 8)
    images = render(graph, S, common, keyframes(graph, common.prompts), when)[0]
    steps = path_length(graph, S, images)[3]
    node = graph.add("GeodesicExport", filename_prefix="geodesic/morph", steps=steps, times=when)
    seen = graph.add("PreviewAny", source=node[1])
    return Example(graph, [[Tile(node, 330)], [Tile(seen, 330, 300)]])
