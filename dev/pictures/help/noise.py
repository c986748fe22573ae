"""Examples of the nodes for noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dev.workflows.building_blocks import (
    Common,
    morph_sampler,
    render_noise,
    sample_custom,
    times,
)
from dev.workflows.graph import Graph, Link, Node
from dev.workflows.noise import along as noise_along
from dev.workflows.noise import keyframes
from dev.workflows.photos import image_keyframe
from dev.workflows.settings import SEED_SETTINGS

from .tiles import HEART, STAR, Example, S, Tile, folded, look, makers, prompted

SEEDS = replace(SEED_SETTINGS, steps=12)
# The file that the pages of Save and Load Inversion show, in the output folder.
KEPT = "geodesic/star"


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
    """Images rendered from pure noise or from a noise level, with the settings of `inversion`."""
    steps: dict[str, Any] = {"scheduler": "normal", "steps": 40, "denoise": level}
    guider = graph.add("BasicGuider", model=common.model, conditioning=positive)
    sampler = graph.add("KSamplerSelect", sampler_name="euler")
    sigmas = graph.add("BasicScheduler", model=common.model, **steps)
    return sample_custom(graph, common.vae, noise, guider[0], sampler[0], sigmas[0], latents)


def keyframe() -> Example:
    """The last of four keyframes, whose strip shows all of them, and their pictures."""
    graph, common = prompted(SEEDS.prompt_a, s=SEEDS)
    path: Node | None = None
    for seed, weight in ((1, 1), (2, 1), (3, 1), (4, 2)):
        inputs: dict[str, Any] = {} if path is None else {"previous": path[0]}
        path = graph.add("GeodesicNoiseKeyframe", seed=seed, weight=weight, **inputs)
    assert path is not None
    # One frame at each keyframe: these are their times with the weights above.
    curve = "[[0, 0], [0.333333, 0.25], [0.666667, 0.5], [1, 1]]"
    when = graph.add("GeodesicTimes", frames=4, easing="curve", ending="stop", curve=curve)
    noise = noise_along(graph, path[0], when[0])
    seen = look(graph, from_noise(graph, common, noise, 4), "Images of the four seeds", 220)
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
    # Four frames of a path through four noises are exactly those noises.
    alone = from_noise(graph, common, noise_along(graph, path, times(graph, 4)), 4)
    node = graph.add("GeodesicNoiseCentroid", noise_path=path, weights="", method="COG")
    images = from_noise(graph, common, node[0], 1)
    seeds = look(graph, alone, "Images of the four seeds", 250)
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
    """A photo, its noise, and the photo folded_nodes."""
    graph, common = prompted(STAR, guided=False)
    prompt = common.prompts[0]
    loaded, encoded = photo(graph, common, S.photos[0])
    node = inversion(graph, common, prompt, encoded, 1.0)
    ratio = graph.add("PreviewAny", source=node[1])
    path = graph.add("GeodesicNoiseKeyframe", latent=node[0], seed=0, weight=1.0)
    alone = graph.add("GeodesicNoiseCentroid", noise_path=path[0], weights="", method="COG")
    images = without_guidance(graph, common, prompt, alone[0], common.latent, 1.0)
    folded_nodes = [folded(path), folded(alone), *makers(images)]
    middle = [Tile(node, 260), Tile(ratio, 260, 90, "norm_ratio")]
    seen = look(graph, images, "Rendered again", 225)
    return Example(graph, [[loaded, folded(encoded)], middle, [*folded_nodes, seen]])


def photo_keyframe() -> Example:
    """The second of two photos, and the film from the first to it."""
    graph, common = prompted(STAR, HEART, guided=False)
    nothing = graph.add("ConditioningZeroOut", conditioning=common.prompts[0])
    common = replace(common, optional=common.optional | {"negative": nothing[0]})
    keyframes: list[Node] = []
    tiles: list[Tile] = []
    for letter, prompt, name in zip("AB", common.prompts, S.photos, strict=True):
        image = graph.add("LoadImage", image=name)
        tiles.append(Tile(image, 225, 290, f"Photo {letter}", picture=True))
        before = keyframes[-1][0] if keyframes else None
        keyframes.append(image_keyframe(graph, common, image[0], prompt, (30, 0.6), letter, before))
    film = morph_sampler(graph, replace(S, steps=30, cfg=1.0), common, keyframes[-1][0])
    film.inputs["denoise"] = 0.6
    node = Tile(keyframes[-1], 270)
    return Example(graph, [tiles, [node, folded(film)], [look(graph, film[0])]])


def kept() -> Example:
    """A photo and its inversion, kept in a file."""
    graph, common = prompted(STAR, guided=False)
    prompt = common.prompts[0]
    loaded, encoded = photo(graph, common, S.photos[0])
    node = inversion(graph, common, prompt, encoded, 1.0)
    keep = {"filename_prefix": KEPT, "conditioning": prompt}
    save = graph.add("GeodesicSaveInversion", latent=node[0], **keep)
    return Example(graph, [[loaded, folded(encoded)], [Tile(node, 260)], [Tile(save, 330)]])


def loaded() -> Example:
    """The file of `kept`, whose picture is taken before this one, and the photo drawn from it."""
    graph, common = prompted(STAR, guided=False)
    name = f"{KEPT}_00001_.inversion.safetensors [output]"
    node = graph.add("GeodesicLoadInversion", file=name, model=common.model)
    path = graph.add("GeodesicNoiseKeyframe", latent=node[0], seed=0, weight=1.0)
    alone = graph.add("GeodesicNoiseCentroid", noise_path=path[0], weights="", method="COG")
    images = without_guidance(graph, common, node[1], alone[0], common.latent, 1.0)
    made = [folded(path), folded(alone), *makers(images)]
    seen = look(graph, images, "Rendered again", 225)
    return Example(graph, [[Tile(node, 360), *made], [seen]])
