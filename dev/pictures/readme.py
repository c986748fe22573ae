"""The pictures in docs/ that the README shows, and the example workflows' thumbnails."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE, ROOT
from dev.comfyui.server import Server
from dev.workflows.building_blocks import COUPLINGS
from dev.workflows.density import extrapolate, image_to_image_geodesic, is_this_clip_a_geodesic
from dev.workflows.graph import Graph, Node
from dev.workflows.long import long_morph
from dev.workflows.music import music_morph
from dev.workflows.noise import noise_grid, prompt_and_seed_travel, seed_travel
from dev.workflows.photos import photo_to_photo, photos_morph
from dev.workflows.prompt import compare_couplings, even_morph, keyframes_constant_speed
from dev.workflows.settings import SEED_SETTINGS, SMALL_SETTINGS, Settings
from scenes import checkpoint

from . import density_figure, even, music, photos
from .sheets import Frames, filmstrip, mosaic

EXAMPLES, DOCS = ROOT / "example_workflows", ROOT / "docs"


def rendered(server: Server, graph: Graph, titles: Sequence[str]) -> list[list[Image.Image]]:
    """Run a graph; returns the images that the nodes with these titles show."""
    outputs = server.run(graph.to_api())
    return [
        [
            Image.open(io.BytesIO(server.fetch(file))).convert("RGB")
            for file in outputs[graph.find(title)]["images"]
        ]
        for title in titles
    ]


def decoder(graph: Graph, title: str) -> Node:
    (decoder_node,) = (node for node in graph.nodes if node.title == title)
    return decoder_node


def decoded(server: Server, graph: Graph, title: str) -> list[Image.Image]:
    """Run a graph; returns the frames of its decoder with this title."""
    graph.add("PreviewImage", "Frames", images=decoder(graph, title)[0])
    (frames,) = rendered(server, graph, ["Frames"])
    return frames


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, quality=90)


def draw_prompts(server: Server) -> None:
    """The README's strip of couplings, and the thumbnails of prompt workflows."""
    settings = dataclasses.replace(SMALL_SETTINGS, frames=40, frames_per_batch=0)
    graph = compare_couplings(settings)
    by_coupling = rendered(server, graph, [f"Frames: {method}" for method in COUPLINGS])
    loop = keyframes_constant_speed(dataclasses.replace(settings, frames=12))
    loop_frames = decoded(server, loop, "Decode, dense")
    named: dict[str, Frames] = dict(zip(COUPLINGS, by_coupling, strict=True))
    save(filmstrip(named), DOCS / "filmstrip.jpg")
    steady = even_morph(dataclasses.replace(settings, frames=24))
    steady.add("PreviewImage", "Frames", images=steady.titled("Morph Sampler")[0])
    (film,) = rendered(server, steady, ["Frames"])
    save(mosaic(in_rows(film, 3), 8), EXAMPLES / "even_morph.jpg")
    save(mosaic(in_rows(by_coupling[0], 2), 4), EXAMPLES / "two_prompt_morph.jpg")
    save(mosaic(by_coupling, 6), EXAMPLES / "compare_couplings.jpg")
    save(mosaic(in_rows(loop_frames, 3), 6), EXAMPLES / "keyframes_constant_speed.jpg")
    draw_music(server)
    draw_long(server)


def draw_music(server: Server) -> None:
    """The thumbnail of the workflow that is set to music."""
    music.ensure(BASE / "input")
    graph = music_morph(dataclasses.replace(SMALL_SETTINGS, frames_per_batch=0))
    frames = decoded(server, graph, "Decode")
    save(mosaic(in_rows(frames[3:], 3), 8), EXAMPLES / "music_morph.jpg")


def draw_long(server: Server) -> None:
    """The thumbnail of the film in words: every fourth frame, in one run."""
    settings = dataclasses.replace(SMALL_SETTINGS, frames_per_batch=0, frame_limit=97)
    frames = decoded(server, long_morph(settings), "Decode")
    save(mosaic(in_rows(frames[:96:4], 3), 8), EXAMPLES / "long_morph.jpg")


def draw_noise(server: Server) -> None:
    """The thumbnails of the workflows that travel through noise."""
    photos.ensure(BASE / "input")
    settings = dataclasses.replace(SEED_SETTINGS, frames=24, frames_per_batch=0)
    films = {label: travelled(server, settings, label) for label in ("COG", "SLERP", "LERP")}
    save(filmstrip(films), DOCS / "noise.jpg")
    save(mosaic(in_rows(films["COG"], 4), 6), EXAMPLES / "seed_travel.jpg")
    together = decoded(server, prompt_and_seed_travel(settings), "Decode")
    save(mosaic(in_rows(together, 2), 6), EXAMPLES / "prompt_and_seed_travel.jpg")
    grid = decoded(server, noise_grid(settings), "Decode")
    save(mosaic(in_rows(grid, 5), 5), EXAMPLES / "noise_grid.jpg")
    draw_photos(server)


def draw_photos(server: Server) -> None:
    """The thumbnails of the loop through three photos, and of the way between two."""
    photos.ensure(BASE / "input")
    for workflow, frames, rows in ((photos_morph, 24, 3), (photo_to_photo, 12, 2)):
        graph = workflow(dataclasses.replace(SMALL_SETTINGS, frames=frames))
        graph.add("PreviewImage", "Frames", images=graph.titled("Morph Sampler")[0])
        (film,) = rendered(server, graph, ["Frames"])
        name = f"{workflow.__name__}.jpg"
        save(mosaic(in_rows(film, rows), frames // rows), EXAMPLES / name)


def draw_density(server: Server) -> None:
    """The figure of a geodesic in the plane; films and thumbnails of the density workflows."""
    density_figure.draw().save(DOCS / "density.png", optimize=True)
    photos.ensure(BASE / "input")
    settings = dataclasses.replace(SMALL_SETTINGS, frames=12, frames_per_batch=0)
    graph = image_to_image_geodesic(settings)
    graph.add("PreviewImage", "Coarse", images=decoder(graph, "Decode, coarse")[0])
    graph.add("PreviewImage", "Dense", images=decoder(graph, "Decode")[0])
    geodesic, even = rendered(server, graph, ["Coarse", "Dense"])
    arc = decoded(server, image_to_image_geodesic(along_the_arc(settings)), "Decode, coarse")
    save(filmstrip({"density geodesic": geodesic, "great arc": arc}), DOCS / "geodesic.jpg")
    save(mosaic(in_rows(even, 2), 6), EXAMPLES / "image_to_image_geodesic.jpg")
    extrapolation = extrapolate(settings)
    (joined,) = (node for node in extrapolation.nodes if node.title == "One after the other")
    extrapolation.add("PreviewImage", "All", images=joined[0])
    (frames,) = rendered(server, extrapolation, ["All"])
    save(mosaic([frames[:17:3], frames[17:]], 6), EXAMPLES / "extrapolate.jpg")
    clip = is_this_clip_a_geodesic(settings)
    clip.add("PreviewImage", "Chart", images=clip.titled("Is it a geodesic?")[0])
    (chart,) = rendered(server, clip, ["Chart"])
    save(chart[0].crop(chart[0].getbbox()), EXAMPLES / "is_this_clip_a_geodesic.jpg")


def along_the_arc(settings: Settings) -> Settings:
    """The same settings without a search, so that density paths are great arcs."""
    return dataclasses.replace(settings, strength=0.0, iterations=0)


def travelled(server: Server, settings: Settings, method: str) -> list[Image.Image]:
    """The frames of `seed_travel` by one method."""
    graph = seed_travel(settings)
    (along,) = (node for node in graph.nodes if node.type == "GeodesicNoiseAlong")
    along.inputs["method"] = method
    return decoded(server, graph, "Decode")


def in_rows(frames: Frames, count: int) -> list[Frames]:
    """One film cut into rows of equal length."""
    length = len(frames) // count
    return [frames[k * length : (k + 1) * length] for k in range(count)]


def draw() -> None:
    """Draw all of them, with the small checkpoint."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL_SETTINGS.checkpoint)
    lpips_weights.ensure(BASE / "models" / "lpips")
    with Server() as server:
        even.draw(server)
        draw_prompts(server)
        draw_noise(server)
        draw_density(server)
