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

from dev.comfyui.environment import BASE, FOLDER, ROOT
from dev.workflows.settings import SMALL
from scenes.weights import WeightsError

QUALITY = ROOT / "scenes" / "quality.md"
SHEET = ROOT / "docs" / "scenes.jpg"
ROWS, COLUMNS = 4, 10


def train(arguments: argparse.Namespace) -> None:
    from dev.comfyui.in_process import import_comfyui
    from scenes.train import main

    cpu = not torch.cuda.is_available()
    import_comfyui(cpu)
    main(arguments.folder, cpu)


def evaluate(arguments: argparse.Namespace) -> None:
    from scenes import checkpoint, classifier
    from scenes.evaluate import COUNT, evaluate, report

    from .painter import SAMPLING, Painter

    if arguments.count < 50:
        raise ValueError(f"--count: expected at least 50 captions, got {arguments.count}.")
    cpu = not torch.cuda.is_available()
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    result = evaluate(Painter(SMALL, cpu), classifier.load(), arguments.count)
    page = report(result, checkpoint.expected_digest(), "CPU" if cpu else "GPU", SAMPLING)
    print(page)
    if arguments.count == COUNT:  # the published report always uses the full count
        QUALITY.write_text(page)
        contact_sheet(result.pictures[: ROWS * COLUMNS], COLUMNS).save(SHEET, quality=90)


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
    from scenes import checkpoint

    print(checkpoint.write(arguments.path))


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
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (ValueError, FloatingPointError, WeightsError) as error:
        sys.exit(f"scenes: {error}")
    except KeyboardInterrupt:
        sys.exit("\nscenes: stopped; the next call continues from what was saved last")


if __name__ == "__main__":
    main()
