"""The experiment's subcommands of `python -m study`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev.comfyui.models import find_checkpoint
from dev.comfyui.server import ServerError
from dev.workflows.settings import SMALL_MODELS

from . import evidence, figures, measurements, pairs, report, scene_pairs, store
from .plan import Plan
from .run import SCENES, RunRequest, run

# Options of `run` that are fields of its plan: type, and help.
_PLAN = {
    "size": (int, "width and height in pixels"),
    "frames": (int, "images of a path, including both ends"),
    "steps": (int, "steps of the sampler"),
    "guidance": (float, "classifier-free guidance; 1 means none"),
    "sampler": (str, "a deterministic sampler"),
    "scheduler": (str, "a scheduler of KSampler"),
    "negative": (str, "negative prompt"),
    "seed": (int, "seed of the noise, the same for all images"),
    "random_seeds": (int, "number of random couplings of each pair"),
    "per_bin": (int, "at most this many pairs of each bin of similarity"),
    "choice_seed": (int, "seed of the choice of pairs"),
    "backbone": (str, "backbone of LPIPS: alex, vgg, squeeze"),
    "batch": (int, "images rendered at once (default: the fastest here)"),
    "threads": (int, "threads of each worker on a CPU (default: all cores, shared)"),
    "kept_per_bin": (int, "pairs of each bin whose images are kept"),
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommands of this experiment."""
    command = commands.add_parser("pairs", help="write scored pairs of the scene language")
    command.set_defaults(run=write_pairs)
    command.add_argument("file", type=Path, help="a CSV file to write")
    command.add_argument("--per-bin", type=int, default=50, help="pairs of each bin (default 50)")
    command.add_argument("--seed", type=int, default=0)
    _add_run(commands.add_parser("run", help="begin a run, or continue one"))
    results = {
        "export": (write_table, "write all measurements as one tidy Parquet file"),
        "figures": (write_figures, "draw box plots and example trajectories"),
        "table": (print_table, "print the tests of every bin"),
        "verdict": (print_verdicts, "print a sentence for each of the four hypotheses"),
        "report": (write_report, "write everything as one page with its figures"),
    }
    for name, (work, text) in results.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=work)
        command.add_argument(
            "folder", type=Path, help="folder of a run, or of its measurements.parquet"
        )
        if name not in ("table", "verdict"):
            command.add_argument("--output", type=Path, help="another folder for the written files")


def _add_run(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=measure)
    command.add_argument("folder", type=Path, help="folder of the run")
    command.add_argument(
        "--pairs",
        type=Path,
        nargs="+",
        default=[],
        help="CSV or Parquet with caption1, caption2, agg_score (default: the scene language)",
    )
    command.add_argument(
        "--captions", type=Path, help="dataset_coco.json, if captions are numbers of MS-COCO"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("--checkpoint", help="a file, or a name in ComfyUI's models")
    which.add_argument(
        "--text-model",
        choices=SMALL_MODELS,
        help="of the small checkpoint: written down, or trained to read (default: written)",
    )
    small = Plan()
    for name, (kind, text) in _PLAN.items():
        default = "" if "default" in text else f" (small checkpoint: {getattr(small, name)!r})"
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, help=text + default)
    command.add_argument("--workers", type=int, help="processes (default: one for each GPU here)")
    command.add_argument("--ray-address", help="a Ray cluster to use (default: this machine)")
    command.add_argument("--cpu", action="store_true", help="use the CPU even if there is a GPU")
    command.add_argument("--retry-failed", action="store_true", help="try failed pairs again")


def write_pairs(arguments: argparse.Namespace) -> None:
    """Write scored pairs as a CSV file."""
    scored = scene_pairs.generate(arguments.per_bin, arguments.seed)
    pairs.write(scored, arguments.file, SCENES)
    print(f"{len(scored)} pairs in {arguments.file}")


def write_table(arguments: argparse.Namespace) -> None:
    _write_table(measurements.load(arguments.folder), _output(arguments))


def write_figures(arguments: argparse.Namespace) -> None:
    _write_figures(measurements.load(arguments.folder), arguments.folder, _output(arguments))


def write_report(arguments: argparse.Namespace) -> None:
    """Write report.md, its figures, standing.json and measurements.parquet from one reading."""
    results, folder = measurements.load(arguments.folder), _output(arguments)
    _write_table(results, folder)
    with_examples = _write_figures(results, arguments.folder, folder)
    (folder / report.PAGE).write_text(report.report(results, with_examples))
    (folder / report.STANDING).write_text(evidence.standing_file(results))
    print(folder / report.STANDING)
    print(folder / report.PAGE)


def _write_table(results: measurements.Measurements, folder: Path) -> None:
    """Write measurements.parquet."""
    measurements.export(results, folder / measurements.FILE)
    print(folder / measurements.FILE)


def _write_figures(results: measurements.Measurements, run: Path, folder: Path) -> bool:
    """Write boxes.png and, if the run kept images, examples.jpg; returns whether there is one.

    Of an exported run, which has no images, an examples.jpg of before stays.
    """
    figures.boxes(results.table).save(folder / report.BOXES, optimize=True)
    print(folder / report.BOXES)
    examples = figures.examples(run) if store.exists(run) else None
    if examples is not None:
        examples.save(folder / report.EXAMPLES, quality=88)
        print(folder / report.EXAMPLES)
    return (folder / report.EXAMPLES).is_file()


def print_table(arguments: argparse.Namespace) -> None:
    print(report.tables(measurements.load(arguments.folder)))


def print_verdicts(arguments: argparse.Namespace) -> None:
    print(report.verdict_lines(measurements.load(arguments.folder)))


def checkpoint_name(given: str) -> str:
    """The name by which ComfyUI knows a checkpoint, from a path or a name."""
    try:
        return given if given in SMALL_MODELS.values() else find_checkpoint(given)
    except ServerError as error:
        raise ValueError(
            f"checkpoint: {given} is neither a file nor a name in ComfyUI's models."
        ) from error


def _output(arguments: argparse.Namespace) -> Path:
    folder = arguments.output or arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def measure(arguments: argparse.Namespace) -> None:
    """Begin or continue a run; the exit status is 1 while pairs wait, or if all have failed."""
    given = {name: getattr(arguments, name) for name in _PLAN}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.checkpoint:
        options["checkpoint"] = checkpoint_name(arguments.checkpoint)
    elif arguments.text_model:
        options["checkpoint"] = SMALL_MODELS[arguments.text_model]
    request = RunRequest(
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
        state = run(request)
    except KeyboardInterrupt:
        sys.exit(f"stopped; continue with the same command: python -m study run {arguments.folder}")
    print(
        f"{state.pairs} pairs: {state.measured} measured, {state.failed} failed, "
        f"{state.waiting} waiting. Next: python -m study report {arguments.folder}"
    )
    if state.waiting or not state.measured:
        sys.exit(1)
