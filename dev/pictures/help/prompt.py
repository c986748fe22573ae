"""Examples of the nodes for prompts, times and measures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playwright.sync_api import Page

from dev.workflows.building_blocks import (
    COUPLINGS,
    Common,
    cloud,
    keyframes,
    ksampler,
    morph_sampler,
    path_length,
    render,
    times,
)
from dev.workflows.graph import Graph, Node

from .tiles import (
    HEART,
    STAR,
    TRANSPORT,
    Example,
    S,
    Tile,
    coupled,
    folded,
    look,
    makers,
    one_image,
    prompted,
    used,
)


def chained(graph: Graph, common: Common, *legs: tuple[float, str]) -> Node:
    """Prompt Keyframes with these weights and methods; returns the last."""
    node: Node | None = None
    for prompt, (weight, method) in zip(common.prompts, legs, strict=True):
        inputs: dict[str, Any] = {} if node is None else {"previous": node[0]}
        inputs |= {"conditioning": prompt, "weight": weight, "method": method, "seed": 0}
        node = graph.add("GeodesicKeyframe", **inputs)
    assert node is not None
    return node


def point_cloud() -> Example:
    """A prompt and the summary of its point cloud."""
    graph, common = prompted(STAR)
    node = cloud(graph, common.prompts[0], "").node
    report = graph.add("PreviewAny", source=node[1])
    text = Tile(common.prompts[0].node, 260, 130)
    return Example(graph, [[text, Tile(node, 260)], [Tile(report, 380, 150)]])


def conditioning() -> Example:
    """To a point cloud and back: the picture is the same as without."""
    graph, common = prompted(STAR)
    node = cloud(graph, common.prompts[0], "").node
    back = graph.add("GeodesicConditioning", cloud=node[0])
    images = one_image(graph, common, back[0])
    seen = look(graph, images, width=240)
    return Example(graph, [[Tile(node, 330), Tile(back, 330), *makers(images)], [seen]])


def coupling() -> Example:
    """Which token is paired with which."""
    graph, common = prompted(STAR, HEART)
    node = coupled(graph, common)
    used(graph, node[0])
    return Example(graph, [[Tile(node, 420)]])


def blend() -> Example:
    """Three blends beside each other: both ends and the middle."""
    graph, common = prompted(STAR, "a large red heart on a blue background")
    pairs = coupled(graph, common)
    columns = []
    for t in (0.0, 0.5, 1.0):
        node = graph.add("GeodesicBlend", coupling=pairs[0], t=t)
        images = one_image(graph, common, node[0])
        columns.append([Tile(node, 225), *makers(images), look(graph, images, f"t = {t:g}", 225)])
    return Example(graph, columns)


def barycenter() -> Example:
    """Three prompts in one picture."""
    graph, common = prompted(STAR, HEART, "a large red circle on a blue background")
    last = chained(graph, common, (1, TRANSPORT), (1, TRANSPORT), (1, TRANSPORT))
    node = graph.add("GeodesicBarycenter", path=last[0], weights="2, 1, 1")
    images = one_image(graph, common, node[0])
    mixed = [Tile(node, 250), *makers(images), look(graph, images, width=250)]
    return Example(graph, [[Tile(last, 350)], mixed])


def keyframe() -> Example:
    """The last of three keyframes, whose strip shows all of them."""
    graph, common = prompted("a yellow star", "a red heart", "a cyan ring")
    last = chained(graph, common, (1, TRANSPORT), (2, COUPLINGS[1]), (1, TRANSPORT))
    used(graph, last[0])
    return Example(graph, [[Tile(common.prompts[2].node, 420, 100), Tile(last, 420)]])


def when() -> Example:
    """A curve that stops for a while half-way."""
    graph, _ = prompted(STAR)
    curve = "[[0, 0], [0.4, 0.5], [0.6, 0.5], [1, 1]]"
    node = graph.add("GeodesicTimes", frames=24, easing="curve", ending="stop", curve=curve)
    used(graph, node[0])
    return Example(graph, [[Tile(node, 420)]])


def beats() -> Example:
    """Four seconds of music with three keyframes, and the frames on every beat."""
    graph, common = prompted(STAR, HEART, "on black, a big cyan ring in the middle")
    music = graph.add("LoadAudio", audio=S.music)
    cut = graph.add("TrimAudioDuration", audio=music[0], start_index=0.0, duration=4.0)
    node = graph.add(
        "GeodesicBeats",
        audio=cut[0],
        fps=12.0,
        response="beats",
        smoothing=0.1,
        keyframes=3,
        ending="stop",
        easing="ease in-out",
        bpm=0.0,
    )
    images = render(graph, S, common, keyframes(graph, common.prompts), node[0])[0]
    seen = look(graph, images, "48 frames", 380)
    return Example(graph, [[Tile(node, 440, 540, picture=True)], [*makers(images), seen]])


def schedule() -> Example:
    """All frames of a morph."""
    graph, common = prompted(STAR, HEART)
    path = coupled(graph, common)[0]
    images = render(graph, S, common, path, times(graph, 16, "ease in-out"))[0]
    sampler, decoder = makers(images)
    node = sampler.node.inputs["positive"].node
    seen = look(graph, images)
    return Example(graph, [[Tile(node, 280), sampler, decoder], [seen]])


def in_step() -> Example:
    """A film of a circle that crosses the picture, restyled along a morph in batches of four."""
    graph, common = prompted(
        "a small red circle on the left, on a green background",
        "a small red circle on the right, on a green background",
        "a large yellow star on a blue background",
        "a large cyan heart on a black background",
    )
    first = replace(S, frames_per_batch=0)
    when = times(graph, 12)
    before, after = common.prompts[:2], common.prompts[2:]
    film = render(graph, first, common, keyframes(graph, before), when)[0]
    video = graph.add("VAEEncode", pixels=film, vae=common.vae)
    scheduled = graph.add(
        "GeodesicSchedule",
        path=keyframes(graph, after),
        times=when,
        latent=common.latent,
        frames_per_batch=4,
    )
    node = graph.add("GeodesicFrames", latents=scheduled[1], latent=video[0])
    sampled = ksampler(graph, S, common, "", scheduled[0], node[2])
    sampled.node.inputs["denoise"] = 0.6
    images = graph.add("VAEDecode", samples=sampled, vae=common.vae)[0]
    seen = look(graph, images)
    return Example(
        graph, [[look(graph, film, "The film", 240)], [Tile(node, 240), *makers(images)], [seen]]
    )


def morph() -> Example:
    """Its steps after a run, and its frames."""
    graph, common = prompted(STAR, HEART)
    node = morph_sampler(graph, S, common, keyframes(graph, common.prompts))
    return Example(graph, [[Tile(node, 380)], [look(graph, node[0])]])


def invariance() -> Example:
    """The report, in words."""
    graph, common = prompted(STAR)
    node = graph.add(
        "GeodesicInvarianceTest",
        model=common.model,
        conditioning=common.prompts[0],
        latent=common.latent,
        seed=0,
    )
    report = graph.add("PreviewAny", source=node[0])
    return Example(graph, [[Tile(node, 220)], [Tile(report, 400, 200)]])


def measured() -> Example:
    """A morph's steps."""
    graph, common = prompted(STAR, HEART)
    when = times(graph, 16)
    images = render(graph, S, common, coupled(graph, common)[0], when)[0]
    return Example(graph, [[Tile(path_length(graph, S, images), 420)]])


def compare() -> Example:
    """Three couplings of the same prompts."""
    graph, common = prompted(STAR, HEART)
    when = times(graph, 16)
    inputs: dict[str, Any] = {"label_d": "D"}
    for letter, method in zip("abc", COUPLINGS, strict=True):
        images = render(graph, S, common, coupled(graph, common, method)[0], when)[0]
        inputs[f"steps_{letter}"] = path_length(graph, S, images)[3]
        inputs[f"label_{letter}"] = method
    node = graph.add("GeodesicCompare", **inputs)

    def point(page: Page) -> None:
        """Point at one place of the chart, where it then shows the values of all paths."""
        chart = page.locator(f'[data-node-id="{node.id}"] .geodesic-chart')
        box = chart.bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.56 * box["width"], box["y"] + 0.5 * box["height"])

    return Example(graph, [[Tile(node, 420)]], point)


def retime() -> Example:
    """A jump, and the frames that even it out."""
    graph, common = prompted(STAR, HEART)
    path = coupled(graph, common)[0]
    when = times(graph, 16)
    measure = path_length(graph, S, render(graph, S, common, path, when)[0])
    node = graph.add("GeodesicRetime", times=when, steps=measure[3], frames=16)
    images = render(graph, S, common, path, node[0])[0]
    sampler, decoder = makers(images)
    again = folded(sampler.node.inputs["positive"].node)
    seen = look(graph, images, "The same at an even pace", 280)
    return Example(graph, [[Tile(measure, 340)], [Tile(node), again, sampler, decoder, seen]])
