"""Pictures of morphs, and those that README and example workflows show.

python -m demo.pictures     draws docs/ and the workflows' thumbnails anew, on the small checkpoint
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .environment import ROOT

Frames = Sequence[Image.Image]
BACKGROUND, INK = "#1e1f22", "#e6e6e6"
MARGIN, LABEL = 8, 34


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


def enlarge(frame: Image.Image, size: int) -> Image.Image:
    return frame.resize((size, size), Image.Resampling.LANCZOS)


def write(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(size=18))


def animate(pictures: Frames, path: Path, fps: float) -> None:
    """An animated WebP that repeats for ever."""
    first, *others = pictures
    duration = round(1000 / fps)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, quality=80)


def main() -> None:
    """Render the example workflows and draw what is shown of them."""
    from scenes import checkpoint

    from . import backbone
    from .environment import BASE
    from .server import Server
    from .workflows import COUPLINGS, SMALL_SETTINGS, compare_couplings, keyframes_constant_speed

    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL_SETTINGS.checkpoint)
    backbone.ensure(BASE / "models" / "lpips")
    settings = dataclasses.replace(SMALL_SETTINGS, frames=40, frames_per_batch=0)

    def films(server: Server, graph, titles: Sequence[str]) -> list[list[Image.Image]]:
        outputs = server.run(graph.to_api())
        files = [outputs[graph.find(title)]["images"] for title in titles]
        return [
            [Image.open(io.BytesIO(server.fetch(file))).convert("RGB") for file in film]
            for film in files
        ]

    with Server() as server:
        graph = compare_couplings(settings)
        by_coupling = films(server, graph, [f"Frames: {method}" for method in COUPLINGS])
        loop = keyframes_constant_speed(dataclasses.replace(settings, frames=12))
        (decoded,) = (node for node in loop.nodes if node.title == "Decode, dense")
        loop.add("PreviewImage", "Frames", images=decoded[0])
        (around,) = films(server, loop, ["Frames"])
    named: dict[str, Frames] = dict(zip(COUPLINGS, by_coupling, strict=True))
    examples, docs = ROOT / "example_workflows", ROOT / "docs"
    filmstrip(named).save(docs / "filmstrip.jpg", quality=90)
    animate(side_by_side(named), docs / "morph.webp", fps=16)
    optimal = by_coupling[0]
    half = len(optimal) // 2
    mosaic([optimal[:half], optimal[half:]], 4).save(examples / "two_prompt_morph.jpg", quality=90)
    mosaic(by_coupling, 6).save(examples / "compare_couplings.jpg", quality=90)
    third = len(around) // 3
    legs = [around[k * third : (k + 1) * third] for k in range(3)]
    mosaic(legs, 6).save(examples / "keyframes_constant_speed.jpg", quality=90)


if __name__ == "__main__":
    from scenes.weights import WeightsError

    from .server import ServerError

    try:
        main()
    except (ServerError, WeightsError) as error:
        sys.exit(f"pictures: {error}")
