"""Examples of the nodes for the model's probability density."""

from __future__ import annotations

from dataclasses import replace

from dev.workflows.building_blocks import Common, ksampler, path_length, prompt_path, times
from dev.workflows.density import density_path
from dev.workflows.graph import Graph, Link, Node

from .noise import inversion, photo, without_guidance
from .tiles import HEART, STAR, Example, S, Tile, folded, look, makers, one_image, prompted

DENSITY = replace(S, frames=12, levels=3, iterations=25)
LEVEL = 0.6  # noise level of the density paths


def between(graph: Graph, common: Common) -> Node:
    """A density path from photo to photo."""
    latents = [
        inversion(graph, common, prompt, photo(graph, common, name)[1], LEVEL)[0]
        for prompt, name in zip(common.prompts, S.photos, strict=True)
    ]
    node = density_path(graph, DENSITY, common, common.prompts, latents)
    # Few iterations need large steps.
    node.inputs.update(frames=DENSITY.frames, learning_rate=1.0)
    return node


def rendered(graph: Graph, common: Common, frames: Node) -> Link:
    """The images of a node's frames; its outputs 0 and 1 are their prompts and latents."""
    nothing = graph.add("DisableNoise")
    return without_guidance(graph, common, frames[0], nothing[0], frames[1], LEVEL)


def geodesic() -> Example:
    """A path from photo to photo, and its frames."""
    graph, common = prompted(STAR, HEART)
    node = between(graph, common)
    images = rendered(graph, common, node)
    seen = look(graph, images, width=300)
    return Example(graph, [[Tile(node, 400)], [*makers(images), seen]])


def density_frames() -> Example:
    """The same path at an even pace."""
    graph, common = prompted(STAR, HEART)
    path = between(graph, common)
    steps = path_length(graph, S, rendered(graph, common, path))[3]
    even = graph.add("GeodesicRetime", times=path[2], steps=steps, frames=16)
    node = graph.add("GeodesicDensityFrames", state=path[4], times=even[0], frames_per_batch=0)
    images = rendered(graph, common, node)
    seen = look(graph, images)
    return Example(graph, [[Tile(even), Tile(node), *makers(images)], [seen]])


def extrapolated() -> Example:
    """The frames of a path, and those beyond its end."""
    graph, common = prompted(STAR, HEART)
    path = between(graph, common)
    to_b = look(graph, rendered(graph, common, path), "From A to B", 250)
    node = graph.add(
        "GeodesicDensityExtrapolate",
        model=common.model,
        state=path[4],
        negative=common.negative,
        frames=9,
        distance=0.4,
        steps=16,
        seed=0,
        direction="past the end",
        frames_per_batch=0,
    )
    images = rendered(graph, common, node)
    after = look(graph, images, "Beyond B", 250)
    return Example(graph, [[Tile(node, 300), *makers(images)], [to_b, after]])


def analysis() -> Example:
    """A clip and its density."""
    graph, common = prompted(STAR, HEART)
    positive, latents = prompt_path(graph, S, common, times(graph, 9))
    node = graph.add(
        "GeodesicDensityAnalysis",
        model=common.model,
        positive=positive,
        negative=common.negative,
        latents=ksampler(graph, S, common, "", positive, latents),
        draws=4,
        perturbation=0.1,
        smoothing=1.0,
        seed=0,
        strength=S.strength,
        iterations=50,
        score="noise difference",
        strength_unit="relative to size",
    )
    return Example(graph, [[Tile(node, 420)]])


def text_inversion() -> Example:
    """Images of a vague prompt, before and after text inversion."""
    graph, common = prompted("a star")
    loaded, encoded = photo(graph, common, S.photos[0])
    node = graph.add(
        "GeodesicTextInversion",
        model=common.model,
        conditioning=common.prompts[0],
        latent=encoded[0],
        steps=200,
        learning_rate=0.005,
        seed=0,
    )
    before = look(graph, one_image(graph, common, common.prompts[0]), "The prompt: a star", 225)
    images = one_image(graph, common, node[0])
    after = look(graph, images, "Fitted to the photo", 225)
    first = [loaded, folded(encoded)]
    return Example(graph, [first, [Tile(node, 260), *makers(images)], [before, after]])
