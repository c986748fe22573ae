"""python -m study noise     paths and mixes of noise compared: study/results/noise.md and .png"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demo.environment import ROOT
from demo.server import ServerError
from scenes.weights import WeightsError

RESULTS = ROOT / "study" / "results"


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m study", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("noise", help="paths and mixes of noise (arXiv 2408.08558)")
    command.set_defaults(run=noise)
    command.add_argument("--classes", type=int, default=10, help="kinds of scene (default 10)")
    command.add_argument("--images", type=int, default=20, help="of each class, even (default 20)")
    command.add_argument("--steps", type=int, default=50, help="up and down again (default 50)")
    command.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    try:
        main()
    except (ServerError, WeightsError, ValueError) as error:
        sys.exit(f"study: {error}")
