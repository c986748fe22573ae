"""python -m study run …     pairs of prompts by three couplings; pairs, export, figures, table,
                          verdict and report go with it
python -m study noise     paths and mixes of noise compared: study/results/noise.md and .png
python -m study density   paths between two images compared: study/results/density.md and .jpg
python -m study even      ways to place a morph's frames compared: study/results/even_morph/
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from math import inf
from pathlib import Path

from torchvision.transforms.functional import to_pil_image

from dev.comfyui.environment import ROOT, SetupError
from dev.comfyui.server import ServerError
from scenes.weights import WeightsError

from .prompts import cli as prompts

RESULTS = ROOT / "study" / "results"
RUNS = ROOT / ".comfyui" / "study"
SHOWN = 3  # pairs in the picture of density paths


def noise(arguments: argparse.Namespace) -> None:
    """Rerun the comparison of arXiv 2408.08558, and write its table and chart."""
    from . import noise, noise_report

    plan = noise.Plan(arguments.classes, arguments.images, arguments.steps)
    found = noise.run(plan, cpu=arguments.cpu)
    arguments.output.mkdir(parents=True, exist_ok=True)
    page = noise_report.report(found)
    (arguments.output / "noise.md").write_text(page)
    noise_report.chart(found).save(arguments.output / "noise.png", optimize=True)
    print(page)


def density(arguments: argparse.Namespace) -> None:
    """Compare density paths with the great arc and the prompt path; write table and pictures."""
    from dev.pictures.sheets import filmstrip, stack

    from . import density

    plan = density.Plan(
        arguments.pairs, arguments.steps, arguments.frames, iterations=arguments.iterations
    )
    found = density.run(plan, cpu=arguments.cpu)
    arguments.output.mkdir(parents=True, exist_ok=True)
    page = density.report(found)
    (arguments.output / "density.md").write_text(page)
    strips = [
        filmstrip({method: [to_pil_image(x) for x in frames] for method, frames in film.items()})
        for film in found.films[:SHOWN]
    ]
    stack(strips).save(arguments.output / "density.jpg", quality=90)
    print(page)


def even(arguments: argparse.Namespace) -> None:
    """Compare ways to place frames, or go on with it; write table, page, curve and strips."""
    from .even import report
    from .even.run import Plan, measured, run

    plan = Plan(arguments.pairs, arguments.frames)
    left = run(plan, arguments.folder, arguments.seconds, arguments.threads)
    if left:
        print(f"{left} of {plan.pairs} pairs are waiting; the same command goes on.")
    if left == plan.pairs:
        return
    table = measured(plan, arguments.folder)
    report.write(table, plan, arguments.output / "even_morph")
    print(arguments.output / "even_morph" / report.PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("noise", help="paths and mixes of noise (arXiv 2408.08558)")
    command.set_defaults(run=noise)
    command.add_argument("--classes", type=int, default=10, help="kinds of scene (default 10)")
    command.add_argument("--images", type=int, default=20, help="of each class, even (default 20)")
    command.add_argument("--steps", type=int, default=50, help="up and down again (default 50)")
    _common(command)
    command = commands.add_parser("density", help="paths between images (arXiv 2504.06675)")
    command.set_defaults(run=density)
    command.add_argument("--pairs", type=int, default=12, help="of images (default 12)")
    command.add_argument("--steps", type=int, default=30, help="up and down again (default 30)")
    command.add_argument("--frames", type=int, default=17, help="of a path (default 17)")
    command.add_argument("--iterations", type=int, default=30, help="of each level (default 30)")
    _common(command)
    command = commands.add_parser("even", help="ways to place the frames of a morph")
    command.set_defaults(run=even)
    command.add_argument("--pairs", type=int, default=40, help="of prompts (default 40)")
    command.add_argument("--frames", type=int, default=24, help="of a film (default 24)")
    command.add_argument("--folder", type=Path, default=RUNS / "even_morph", help="of the run")
    command.add_argument("--seconds", type=float, default=inf, help="stop before (default never)")
    command.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    prompts.add_commands(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")


if __name__ == "__main__":
    try:
        main()
    except (ServerError, SetupError, WeightsError, ValueError, OSError, sqlite3.Error) as error:
        sys.exit(f"study: {error}")
