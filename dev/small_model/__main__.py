"""Commands for the small model.

python -m dev.small_model train              train the missing parts, and store the weights
python -m dev.small_model evaluate           write scenes/quality.md: do images show their captions?
python -m dev.small_model checkpoint PATH    write the checkpoint
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image

from dev.comfyui.environment import FOLDER, ROOT
from dev.workflows.settings import SMALL_MODELS
from scenes import checkpoint
from scenes.weights import WeightsError

from .files import place

# The page and the pictures by text model.
PAGES: dict[checkpoint.TextModel, tuple[Path, Path]] = {
    "written": (ROOT / "scenes" / "quality.md", ROOT / "docs" / "scenes.jpg"),
    "reader": (ROOT / "scenes" / "quality_reader.md", ROOT / "docs" / "scenes_reader.jpg"),
}
ROWS, COLUMNS = 4, 10


def train(arguments: argparse.Namespace) -> None:
    from dev.comfyui.in_process import import_comfyui
    from scenes import train, train_reader

    cpu = not torch.cuda.is_available()
    import_comfyui(cpu)
    if arguments.text == "written":
        train.main(arguments.folder, cpu)
        return
    _, unet = train_reader.main(arguments.folder, cpu, train_reader.Plan())
    print(checkpoint.export_unet(unet.state_dict()))


def evaluate(arguments: argparse.Namespace) -> None:
    from scenes import classifier
    from scenes.evaluate import COUNT, evaluate, report

    from .painter import SAMPLING, Painter

    if arguments.count < 50:
        raise ValueError(f"--count: expected at least 50 captions, got {arguments.count}.")
    cpu = not torch.cuda.is_available()
    name = SMALL_MODELS[arguments.text]
    place(name)
    result = evaluate(Painter(name, cpu), classifier.load(), arguments.count)
    digest = checkpoint.expected_digest(arguments.text)
    page = report(result, digest, "CPU" if cpu else "GPU", SAMPLING)
    print(page)
    if arguments.count == COUNT:  # the published report always uses the full count
        quality, sheet = PAGES[arguments.text]
        quality.write_text(page)
        contact_sheet(result.pictures[: ROWS * COLUMNS], COLUMNS).save(sheet, quality=90)


def contact_sheet(pictures: torch.Tensor, columns: int, gap: int = 4) -> Image.Image:
    """Pictures [N, 3, H, W] in [0, 1] on one sheet, row by row, at twice their size."""
    _, _, height, width = pictures.shape
    rows = -(-len(pictures) // columns)
    step_x, step_y = 2 * width + gap, 2 * height + gap
    sheet = Image.new("RGB", (columns * step_x + gap, rows * step_y + gap), "#1e1f22")
    for k, picture in enumerate(pictures):
        values = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        image = Image.fromarray(values).resize((2 * width, 2 * height), Image.Resampling.LANCZOS)
        sheet.paste(image, (gap + k % columns * step_x, gap + k // columns * step_y))
    return sheet


def write(arguments: argparse.Namespace) -> None:
    print(checkpoint.write(arguments.path, arguments.text))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dev.small_model", description="The small model."
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train from nothing, and replace the weights")
    command.add_argument("--folder", type=Path, default=FOLDER / "training")
    command.set_defaults(run=train)
    command = commands.add_parser("evaluate", help="write the table of its quality")
    command.add_argument("--count", type=int, default=400, help="held-out captions (400)")
    command.set_defaults(run=evaluate)
    command = commands.add_parser("checkpoint", help="write the checkpoint")
    command.add_argument("path", type=Path)
    command.set_defaults(run=write)
    for command in commands.choices.values():
        command.add_argument(
            "--text",
            choices=checkpoint.TEXT_MODELS,
            default="written",
            help="the text model: written down (default), or the reader, which is trained",
        )
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (ValueError, FloatingPointError, WeightsError) as error:
        sys.exit(f"scenes: {error}")
    except KeyboardInterrupt:
        sys.exit("\nscenes: stopped; the next call continues from what was saved last")


if __name__ == "__main__":
    main()
