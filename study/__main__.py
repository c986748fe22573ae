"""python -m study run …     pairs of prompts with three couplings; also pairs, export, figures,
                          table, verdict and report
python -m study noise     paths and mixes of noise compared: study/results/noise.md, .png, .parquet
python -m study density   paths between two images: study/results/density.md, .jpg, .parquet
python -m study attention self-attention that sees the keyframes too: study/results/attention.md,
                          .jpg, .parquet
python -m study even      ways to place a morph's frames compared: study/results/even_morph/
python -m study paths NAME    one of five experiments on paths between prompts (study/design.md), or
                          all that is left; `python -m study paths report` writes its pages
python -m study text-models   the rows of both text models: study/results/text_models.md, .parquet
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

from .paths import cli as paths
from .prompts import cli as prompts

RESULTS = ROOT / "study" / "results"
RUNS = ROOT / ".comfyui" / "study"
SHOWN = 2  # pairs in the picture of density paths


def noise(arguments: argparse.Namespace) -> None:
    """Rerun the comparison of arXiv 2408.08558, and write its table and chart."""
    from . import noise, noise_report

    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        plan = noise.Plan(arguments.classes, arguments.images, arguments.steps)
        noise.save(noise.run(plan, cpu=arguments.cpu), folder / noise.FILE)
    result = noise.load(folder / noise.FILE)
    page = noise_report.report(result)
    (folder / "noise.md").write_text(page)
    noise_report.chart(result).save(folder / "noise.png", optimize=True)
    print(page)


def density(arguments: argparse.Namespace) -> None:
    """Compare density paths with the great arc and the prompt path; write table and pictures."""
    from dev.pictures.sheets import filmstrip, stack

    from . import density, density_report

    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        plan = density.Plan(
            arguments.pairs,
            arguments.steps,
            arguments.frames,
            arguments.levels,
            arguments.iterations,
            tangential_iterations=arguments.tangential_iterations,
        )
        methods = arguments.methods or density.METHODS
        result = density.run(plan, arguments.cpu, methods, arguments.workers)
        if arguments.methods:
            result = density.joined(result, density.load(folder / density.FILE))
        else:
            strips = [
                filmstrip({path: [to_pil_image(x) for x in film[path]] for path in film})
                for film in result.films[:SHOWN]
            ]
            stack(strips).save(folder / "density.jpg", quality=90)
        density.save(result, folder / density.FILE)
    page = density_report.report(density.load(folder / density.FILE))
    (folder / "density.md").write_text(page)
    print(page)


def attention(arguments: argparse.Namespace) -> None:
    """Measure self-attention that also sees the keyframes; write table and pictures."""
    from dev.pictures.sheets import filmstrip, stack

    from . import attention_report
    from .attention import FILE, Plan, StudyResult, load, run, save

    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        plan = Plan(*(arguments.pairs, arguments.steps, arguments.frames, arguments.share))

        def keep(result: StudyResult) -> None:
            save(result, folder / FILE)
            strips = [
                filmstrip({name: [to_pil_image(x) for x in film] for name, film in films.items()})
                for films in result.films
            ]
            stack(strips).save(folder / "attention.jpg", quality=85)

        run(plan, arguments.photos, arguments.cpu, keep)
    page = attention_report.report(load(folder / FILE))
    (folder / "attention.md").write_text(page)
    print(page)


def even(arguments: argparse.Namespace) -> None:
    """Compare ways to place frames, or go on with it; write table, page, curve and strips."""
    from .even import report
    from .even.run import Plan, measured, parts, run

    plan = Plan(arguments.pairs, arguments.frames)
    left = run(plan, arguments.folder, arguments.seconds, arguments.threads)
    if left:
        print(f"{left} of {len(parts(plan))} parts are waiting; the same command goes on.")
    if left == len(parts(plan)):
        return
    table = measured(plan, arguments.folder)
    report.write(table, plan, arguments.output / "even_morph")
    print(report.goals(table), end="\n\n")
    print(arguments.output / "even_morph" / report.PAGE)


def text_models(arguments: argparse.Namespace) -> None:
    """Measure the rows of the text models; write table and page."""
    from . import text_models

    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        plan = text_models.Plan(arguments.per_bin)
        text_models.save(*text_models.run(plan), plan, folder)
    page = text_models.report(*text_models.load(folder))
    (folder / text_models.PAGE).write_text(page)
    print(page)


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
    command.add_argument(
        "--images", type=int, default=20, help="images of each class, an even number (default 20)"
    )
    command.add_argument(
        "--steps", type=int, default=50, help="steps of inversion and render (default 50)"
    )
    _common(command)
    command = commands.add_parser("density", help="paths between images (arXiv 2504.06675)")
    command.set_defaults(run=density)
    command.add_argument("--pairs", type=int, default=12, help="pairs of images (default 12)")
    command.add_argument(
        "--steps", type=int, default=30, help="steps of inversion and render (default 30)"
    )
    command.add_argument("--frames", type=int, default=17, help="frames of a path (default 17)")
    command.add_argument(
        "--levels", type=int, default=4, help="2^levels legs of a path (default 4)"
    )
    command.add_argument(
        "--iterations", type=int, default=30, help="iterations of each level (default 30)"
    )
    command.add_argument(
        "--tangential-iterations",
        type=int,
        default=32,
        help="iterations of the tangential path (default 32)",
    )
    command.add_argument(
        "--methods",
        nargs="+",
        metavar="PATH",
        help="paths to measure alone; rows of all others are kept from the Parquet file there",
    )
    command.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    _common(command)
    command = commands.add_parser("attention", help="self-attention that also sees the keyframes")
    command.set_defaults(run=attention)
    command.add_argument("--pairs", type=int, default=20, help="pairs of scenes (default 20)")
    command.add_argument(
        "--steps", type=int, default=8, help="steps of inversion and render (default 8)"
    )
    command.add_argument("--frames", type=int, default=10, help="frames of a film (default 10)")
    command.add_argument(
        "--share", type=float, default=0.5, help="of the steps that see them (default 0.5)"
    )
    command.add_argument("--photos", type=Path, help="a folder of photographs (default none)")
    _common(command)
    command = commands.add_parser("even", help="ways to place the frames of a morph")
    command.set_defaults(run=even)
    command.add_argument("--pairs", type=int, default=40, help="of prompts (default 40)")
    command.add_argument("--frames", type=int, default=24, help="of a film (default 24)")
    command.add_argument("--folder", type=Path, default=RUNS / "even_morph", help="of the run")
    command.add_argument("--seconds", type=float, default=inf, help="stop before (default never)")
    command.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    command = commands.add_parser("text-models", help="how like CLIP the text models are")
    command.set_defaults(run=text_models)
    command.add_argument("--per-bin", type=int, default=50, help="pairs in each bin (default 50)")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    command.add_argument(
        "--report", action="store_true", help="write the page again, from the Parquet file there"
    )
    paths.add_command(commands)
    prompts.add_commands(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cpu", action="store_true", help="use the CPU even if there is a GPU")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    command.add_argument(
        "--report", action="store_true", help="write the page again, from the Parquet file there"
    )


if __name__ == "__main__":
    try:
        main()
    except (ServerError, SetupError, WeightsError, ValueError, OSError, sqlite3.Error) as error:
        sys.exit(f"study: {error}")
