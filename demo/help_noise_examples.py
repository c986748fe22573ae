"""The help pages' pictures of the nodes that travel through noise and density."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .building_blocks import (
    Common,
    ksampler,
    path_length,
    prompt_path,
    render_noise,
    sample_custom,
    times,
)
from .density_workflows import density_path
from .graph import Graph, Link, Node
from .help_tiles import HEART, STAR, Example, S, Tile, folded, look, makers, one_image, prompted
from .noise_workflows import along as noise_along
from .noise_workflows import keyframes
from .settings import SEED_SETTINGS

SEEDS = replace(SEED_SETTINGS, steps=12)
DENSITY = replace(S, frames=12, levels=3, iterations=25)
LEVEL = 0.6  # of noise, at which density paths run


def from_noise(graph: Graph, common: Common, noise: Link, count: int) -> Link:
    """One image for each of `count` noises."""
    size: dict[str, Any] = {"width": SEEDS.size, "height": SEEDS.size, "batch_size": count}
    latents = graph.add("EmptyLatentImage", **size)
    return render_noise(graph, SEEDS, common, common.prompts[0], noise, latents[0])


def photo(graph: Graph, common: Common, name: str) -> tuple[Tile, Node]:
    """A photo of the frames' size, and its latent."""
    loaded = graph.add("LoadImage", image=name)
    encoded = graph.add("VAEEncode", pixels=loaded[0], vae=common.vae)
    return Tile(loaded, 225, 290, picture=True), encoded


def inversion(graph: Graph, common: Common, prompt: Link, latent: Node, level: float) -> Node:
    """Invert Image."""
    inputs: dict[str, Any] = {"conditioning": prompt, "latent": latent[0], "steps": 40}
    settings = {"noise_level": level, "refinements": 1}
    return graph.add("GeodesicInvert", model=common.model, **inputs, **settings)


def without_guidance(
    graph: Graph, common: Common, positive: Link, noise: Link, latents: Link, level: float
) -> Link:
    """Images rendered from noise or on from a noise level, as `inversion` came up."""
    steps: dict[str, Any] = {"scheduler": "normal", "steps": 40, "denoise": level}
    guider = graph.add("BasicGuider", model=common.model, conditioning=positive)
    sampler = graph.add("KSamplerSelect", sampler_name="euler")
    sigmas = graph.add("BasicScheduler", model=common.model, **steps)
    return sample_custom(graph, common.vae, noise, guider[0], sampler[0], sigmas[0], latents)


def keyframe() -> Example:
    """The last of four seeds, whose strip shows all, and their pictures."""
    graph, common = prompted(SEEDS.prompt_a, s=SEEDS)
    path: Node | None = None
    for seed, weight in ((1, 1), (2, 1), (3, 1), (4, 2)):
        inputs: dict[str, Any] = {} if path is None else {"previous": path[0]}
        path = graph.add("GeodesicNoiseKeyframe", seed=seed, weight=weight, **inputs)
    assert path is not None
    # The weights put the keyframes at these places; one frame for each.
    curve = "[[0, 0], [0.333333, 0.25], [0.666667, 0.5], [1, 1]]"
    when = graph.add("GeodesicTimes", frames=4, easing="curve", ending="stop", curve=curve)
    noise = noise_along(graph, path[0], when[0])
    seen = look(graph, from_noise(graph, common, noise, 4), "What the four seeds draw", 220)
    return Example(graph, [[Tile(path, 370)], [seen]])


def along() -> Example:
    """A loop through four seeds."""
    graph, common = prompted(SEEDS.prompt_a, s=SEEDS)
    noise = noise_along(graph, keyframes(graph, [1, 2, 3, 4]), times(graph, 16, ending="loop"))
    images = from_noise(graph, common, noise, 16)
    seen = look(graph, images)
    return Example(graph, [[Tile(noise.node, 280), *makers(images)], [seen]])


def centroid() -> Example:
    """Four seeds and the mix of all."""
    graph, common = prompted(SEEDS.prompt_a, s=SEEDS)
    path = keyframes(graph, [1, 2, 3, 4])
    # Four frames of a path through four noises are those noises.
    alone = from_noise(graph, common, noise_along(graph, path, times(graph, 4)), 4)
    node = graph.add("GeodesicNoiseCentroid", noise_path=path, weights="", method="COG")
    images = from_noise(graph, common, node[0], 1)
    seeds = look(graph, alone, "What the four seeds draw", 250)
    mixed = look(graph, images, "Their centroid", 300)
    return Example(graph, [[seeds, Tile(node, 250), *makers(images)], [mixed]])


def grid() -> Example:
    """A plane through five seeds."""
    graph, common = prompted(SEEDS.prompt_a, s=SEEDS)
    node = graph.add(
        "GeodesicNoiseGrid",
        noise_path=keyframes(graph, [1, 2, 3, 4, 5]),
        rows=5,
        columns=5,
        axis_x=1,
        axis_y=2,
        extent=1.0,
    )
    images = from_noise(graph, common, node[0], 25)
    single = graph.add("RebatchImages", images=images, batch_size=1)
    size: dict[str, Any] = {"cell_width": 128, "cell_height": 128, "padding": 4}
    sheet = graph.add("ImageGrid", images=single[0], columns=5, **size)
    made = [*makers(images), folded(single), folded(sheet)]
    return Example(graph, [[Tile(node, 260), *made], [look(graph, sheet[0], width=350)]])


def inverted() -> Example:
    """A photo, its noise, and the photo again."""
    graph, common = prompted(STAR, guided=False)
    prompt = common.prompts[0]
    loaded, encoded = photo(graph, common, S.photos[0])
    node = inversion(graph, common, prompt, encoded, 1.0)
    ratio = graph.add("PreviewAny", source=node[1])
    path = graph.add("GeodesicNoiseKeyframe", latent=node[0], seed=0, weight=1.0)
    alone = graph.add("GeodesicNoiseCentroid", noise_path=path[0], weights="", method="COG")
    images = without_guidance(graph, common, prompt, alone[0], common.latent, 1.0)
    again = [folded(path), folded(alone), *makers(images)]
    middle = [Tile(node, 260), Tile(ratio, 260, 90, "norm_ratio")]
    seen = look(graph, images, "Drawn again", 225)
    return Example(graph, [[loaded, folded(encoded)], middle, [*again, seen]])


def between(graph: Graph, common: Common) -> Node:
    """A density path from photo to photo."""
    latents = [
        inversion(graph, common, prompt, photo(graph, common, name)[1], LEVEL)[0]
        for prompt, name in zip(common.prompts, S.photos, strict=True)
    ]
    node = density_path(graph, DENSITY, common, common.prompts, latents)
    # Few iterations want large steps.
    node.inputs.update(frames=DENSITY.frames, learning_rate=1.0)
    return node


def rendered(graph: Graph, common: Common, frames: Node) -> Link:
    """The images of frames that are outputs 0 and 1 of a node."""
    nothing = graph.add("DisableNoise")
    return without_guidance(graph, common, frames[0], nothing[0], frames[1], LEVEL)


def geodesic() -> Example:
    """A path from photo to photo, and its frames."""
    graph, common = prompted(STAR, HEART)
    node = between(graph, common)
    images = rendered(graph, common, node)
    seen = look(graph, images, width=300)
    return Example(graph, [[Tile(node, 360, 560, picture=True)], [*makers(images), seen]])


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
    """A path's frames, and those past its end."""
    graph, common = prompted(STAR, HEART)
    path = between(graph, common)
    there = look(graph, rendered(graph, common, path), "From A to B", 250)
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
    after = look(graph, images, "On past B", 250)
    return Example(graph, [[Tile(node, 300), *makers(images)], [there, after]])


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
    )
    return Example(graph, [[Tile(node, 420, 600, picture=True)]])


def bent() -> Example:
    """What a vague prompt draws, before and after."""
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
    after = look(graph, images, "Bent to the photo", 225)
    first = [loaded, folded(encoded)]
    return Example(graph, [first, [Tile(node, 260), *makers(images)], [before, after]])
