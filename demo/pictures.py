"""Pictures of morphs, and those that README and example workflows show.

python -m demo.pictures     draws docs/, the workflows' thumbnails and the help pages' pictures
                            anew, on the small checkpoint
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from scenes import checkpoint
from scenes.weights import WeightsError

from . import backbone, density_figure, photos
from .density_workflows import extrapolate, image_to_image_geodesic, is_this_clip_a_geodesic
from .environment import BASE, ROOT
from .graph import Graph, Node
from .noise_workflows import noise_grid, photo_to_photo, prompt_and_seed_travel, seed_travel
from .server import Server, ServerError
from .settings import SEED_SETTINGS, SMALL_SETTINGS, Settings
from .workflows import COUPLINGS, compare_couplings, keyframes_constant_speed

Frames = Sequence[Image.Image]
BACKGROUND, INK = "#1e1f22", "#e6e6e6"
MARGIN, LABEL = 8, 34
EXAMPLES, DOCS = ROOT / "example_workflows", ROOT / "docs"


def filmstrip(films: Mapping[str, Frames], columns: int = 9, size: int = 128) -> Image.Image:
    """Films under each other with their labels, equally spaced frames from first to last."""
    count = min(columns, *(len(frames) for frames in films.values()))
    width = MARGIN + count * (size + MARGIN)
    sheet = Image.new("RGB", (width, len(films) * (LABEL + size) + MARGIN), BACKGROUND)
    for row, (label, frames) in enumerate(films.items()):
        top = row * (LABEL + size)
        write(sheet, (MARGIN, top + 7), label)
        for column in range(count):
            frame = frames[round(column * (len(frames) - 1) / max(count - 1, 1))]
            sheet.paste(enlarge(frame, size), (MARGIN + column * (size + MARGIN), top + LABEL))
    return sheet


def side_by_side(films: Mapping[str, Frames], size: int = 256) -> list[Image.Image]:
    """One picture for each frame: the films beside each other, there and back again."""
    pictures = []
    for now in zip(*films.values(), strict=True):
        width = MARGIN + len(films) * (size + MARGIN)
        sheet = Image.new("RGB", (width, LABEL + size + MARGIN), BACKGROUND)
        for column, (label, frame) in enumerate(zip(films, now, strict=True)):
            left = MARGIN + column * (size + MARGIN)
            write(sheet, (left, 7), label)
            sheet.paste(enlarge(frame, size), (left, LABEL))
        pictures.append(sheet)
    return pictures + pictures[-2:0:-1]


def mosaic(rows: Sequence[Frames], columns: int, size: int = 128) -> Image.Image:
    """Frames edge to edge, equally spaced, one film a row."""
    sheet = Image.new("RGB", (columns * size, len(rows) * size))
    for row, frames in enumerate(rows):
        for column in range(columns):
            frame = frames[round(column * (len(frames) - 1) / (columns - 1))]
            sheet.paste(enlarge(frame, size), (column * size, row * size))
    return sheet


def stack(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of any widths under each other."""
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)))
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def enlarge(frame: Image.Image, size: int) -> Image.Image:
    return frame.resize((size, size), Image.Resampling.LANCZOS)


def write(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(size=18))


def animate(pictures: Frames, path: Path, fps: float) -> None:
    """An animated WebP that repeats for ever."""
    first, *others = pictures
    duration = round(1000 / fps)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, quality=80)


def rendered(server: Server, graph: Graph, titles: Sequence[str]) -> list[list[Image.Image]]:
    """Run a graph; what the nodes with these titles show."""
    outputs = server.run(graph.to_api())
    return [
        [
            Image.open(io.BytesIO(server.fetch(file))).convert("RGB")
            for file in outputs[graph.find(title)]["images"]
        ]
        for title in titles
    ]


def decoder(graph: Graph, title: str) -> Node:
    (found,) = (node for node in graph.nodes if node.title == title)
    return found


def decoded(server: Server, graph: Graph, title: str) -> list[Image.Image]:
    """Run a graph; the frames of its decoder with this title."""
    graph.add("PreviewImage", "Frames", images=decoder(graph, title)[0])
    (frames,) = rendered(server, graph, ["Frames"])
    return frames


def save(picture: Image.Image, path: Path) -> None:
    picture.save(path, quality=90)


def draw_prompts(server: Server) -> None:
    """README's morph, and the thumbnails of the workflows that travel through prompts."""
    settings = dataclasses.replace(SMALL_SETTINGS, frames=40, frames_per_batch=0)
    graph = compare_couplings(settings)
    by_coupling = rendered(server, graph, [f"Frames: {method}" for method in COUPLINGS])
    loop = keyframes_constant_speed(dataclasses.replace(settings, frames=12))
    around = decoded(server, loop, "Decode, dense")
    named: dict[str, Frames] = dict(zip(COUPLINGS, by_coupling, strict=True))
    save(filmstrip(named), DOCS / "filmstrip.jpg")
    animate(side_by_side(named), DOCS / "morph.webp", fps=16)
    save(mosaic(in_rows(by_coupling[0], 2), 4), EXAMPLES / "two_prompt_morph.jpg")
    save(mosaic(by_coupling, 6), EXAMPLES / "compare_couplings.jpg")
    save(mosaic(in_rows(around, 3), 6), EXAMPLES / "keyframes_constant_speed.jpg")


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
    scenes = photo_to_photo(dataclasses.replace(SMALL_SETTINGS, frames_per_batch=0))
    save(mosaic(in_rows(decoded(server, scenes, "Decode"), 2), 6), EXAMPLES / "photo_to_photo.jpg")


def draw_density(server: Server) -> None:
    """The geodesic in the plane, and the films and thumbnails of the density workflows."""
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
    beyond = extrapolate(settings)
    (joined,) = (node for node in beyond.nodes if node.title == "One after the other")
    beyond.add("PreviewImage", "All", images=joined[0])
    (frames,) = rendered(server, beyond, ["All"])
    save(mosaic([frames[:17:3], frames[17:]], 6), EXAMPLES / "extrapolate.jpg")
    clip = is_this_clip_a_geodesic(settings)
    (chart,) = rendered(server, clip, ["Is it a geodesic?"])
    save(chart[0].crop(chart[0].getbbox()), EXAMPLES / "is_this_clip_a_geodesic.jpg")


def along_the_arc(settings: Settings) -> Settings:
    """The same without a search: density paths stay great arcs."""
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


def main() -> None:
    """Render the example workflows, draw what is shown of them, and picture every node."""
    from . import help_pictures  # needs a browser, which `make demo` does without

    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL_SETTINGS.checkpoint)
    backbone.ensure(BASE / "models" / "lpips")
    with Server() as server:
        draw_prompts(server)
        draw_noise(server)
        draw_density(server)
    help_pictures.draw()


if __name__ == "__main__":
    try:
        main()
    except (ServerError, WeightsError) as error:
        sys.exit(f"pictures: {error}")
