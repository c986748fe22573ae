"""The experiment's subcommands of `python -m study`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev.comfyui.models import find_checkpoint
from dev.comfyui.server import ServerError
from dev.workflows.settings import SMALL

from . import figures, found, pairs, report, scene_pairs, store
from .plan import Plan
from .run import SCENES, Asked, run

# Options of `run` that are fields of its plan: type, and help.
_PLAN = {
    "size": (int, "pixels of a side"),
    "frames": (int, "images of a path, both ends included"),
    "steps": (int, "of the sampler"),
    "guidance": (float, "classifier-free guidance; 1 is none"),
    "sampler": (str, "a deterministic one"),
    "scheduler": (str, "as in KSampler"),
    "negative": (str, "negative prompt"),
    "seed": (int, "of the noise, one for all images"),
    "random_seeds": (int, "random couplings of each pair"),
    "per_bin": (int, "pairs of each bin of similarity, at most"),
    "choice_seed": (int, "of the choice of pairs"),
    "backbone": (str, "of LPIPS: alex, vgg, squeeze"),
    "batch": (int, "images rendered at once (default: what is fastest here)"),
    "threads": (int, "of each worker on a CPU (default: all cores, shared)"),
    "kept_per_bin": (int, "pairs of each bin whose images are kept"),
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what this experiment has to offer."""
    command = commands.add_parser("pairs", help="write scored pairs of the scene language")
    command.set_defaults(run=write_pairs)
    command.add_argument("file", type=Path, help="a CSV file to write")
    command.add_argument("--per-bin", type=int, default=50, help="pairs of each bin (default 50)")
    command.add_argument("--seed", type=int, default=0)
    _add_run(commands.add_parser("run", help="measure pairs, or go on with a run that is there"))
    results = {
        "export": (write_table, "write all measurements as one tidy Parquet file"),
        "figures": (write_figures, "draw box plots and example trajectories"),
        "table": (print_table, "print the tests of every bin"),
        "verdict": (print_verdicts, "print a sentence for each of the four hypotheses"),
        "report": (write_report, "write all of it, as one page with its figures"),
    }
    for name, (work, text) in results.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=work)
        command.add_argument("folder", type=Path, help="of a run, or with its measurements.parquet")
        if name not in ("table", "verdict"):
            command.add_argument("--output", type=Path, help="another folder for what is written")


def _add_run(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=measure)
    command.add_argument("folder", type=Path, help="where the run is kept")
    command.add_argument(
        "--pairs",
        type=Path,
        nargs="+",
        default=[],
        help="CSV or Parquet with caption1, caption2, agg_score (default: the scene language)",
    )
    command.add_argument(
        "--captions", type=Path, help="dataset_coco.json, where captions are MS-COCO's numbers"
    )
    command.add_argument("--checkpoint", help="a file, or a name in ComfyUI's models")
    small = Plan()
    for name, (kind, text) in _PLAN.items():
        default = "" if "default" in text else f" (small checkpoint: {getattr(small, name)!r})"
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text + default)
    command.add_argument("--workers", type=int, help="processes (default: one for each GPU here)")
    command.add_argument("--ray-address", help="a Ray cluster to use (default: this machine)")
    command.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    command.add_argument("--retry-failed", action="store_true", help="try failed pairs again")


def write_pairs(arguments: argparse.Namespace) -> None:
    """Scored pairs as a CSV file."""
    scored = scene_pairs.generate(arguments.per_bin, arguments.seed)
    pairs.write(scored, arguments.file, SCENES)
    print(f"{len(scored)} pairs in {arguments.file}")


def write_table(arguments: argparse.Namespace) -> None:
    _write_table(found.load(arguments.folder), _output(arguments))


def write_figures(arguments: argparse.Namespace) -> None:
    _write_figures(found.load(arguments.folder), arguments.folder, _output(arguments))


def write_report(arguments: argparse.Namespace) -> None:
    """report.md, its figures and measurements.parquet, all of one look at the run."""
    results, folder = found.load(arguments.folder), _output(arguments)
    _write_table(results, folder)
    with_examples = _write_figures(results, arguments.folder, folder)
    (folder / report.PAGE).write_text(report.report(results, with_examples))
    print(folder / report.PAGE)


def _write_table(results: found.Found, folder: Path) -> None:
    """measurements.parquet."""
    found.export(results, folder / found.FILE)
    print(folder / found.FILE)


def _write_figures(results: found.Found, run: Path, folder: Path) -> bool:
    """boxes.png and, where images were kept, examples.jpg; returns whether they were."""
    figures.boxes(results.table).save(folder / report.BOXES, optimize=True)
    print(folder / report.BOXES)
    examples = figures.examples(run) if store.exists(run) else None
    if examples is not None:
        examples.save(folder / report.EXAMPLES, quality=88)
        print(folder / report.EXAMPLES)
    return examples is not None


def print_table(arguments: argparse.Namespace) -> None:
    print(report.tables(found.load(arguments.folder)))


def print_verdicts(arguments: argparse.Namespace) -> None:
    print(report.verdict_lines(found.load(arguments.folder)))


def _checkpoint(given: str) -> str:
    """The name by which ComfyUI knows a file or name."""
    try:
        return given if given == SMALL else find_checkpoint(given)
    except ServerError as error:
        raise ValueError(
            f"checkpoint: {given} is neither a file nor a name in ComfyUI's models."
        ) from error


def _output(arguments: argparse.Namespace) -> Path:
    folder = arguments.output or arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def measure(arguments: argparse.Namespace) -> None:
    """Begin a run or go on with it; exit status 1 while pairs are waiting or all have failed."""
    given = {name: getattr(arguments, name) for name in _PLAN}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.checkpoint:
        options["checkpoint"] = _checkpoint(arguments.checkpoint)
    asked = Asked(
        arguments.folder,
        options,
        arguments.pairs,
        arguments.captions,
        arguments.workers,
        arguments.ray_address,
        arguments.cpu,
        arguments.retry_failed,
    )
    try:
        done = run(asked)
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on: python -m study run {arguments.folder}")
    print(
        f"{done.pairs} pairs: {done.measured} measured, {done.failed} failed, "
        f"{done.waiting} waiting. Next: python -m study report {arguments.folder}"
    )
    if done.waiting or not done.measured:
        sys.exit(1)
