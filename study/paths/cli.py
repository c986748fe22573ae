"""The command `python -m study paths`."""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import Any

from dev.comfyui.environment import ROOT
from dev.workflows.settings import SMALL_MODELS

from ..prompts import pairs
from ..prompts.cli import checkpoint_name
from . import kept, report
from .experiments import EXPERIMENTS, STEPS
from .run import Plan, begin, run

RUNS = ROOT / ".comfyui" / "study" / "paths"
RESULTS = ROOT / "study" / "results" / "paths"
ALL, REPORT = "all", "report"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command, with one name for each experiment."""
    command = commands.add_parser("paths", help="five experiments on paths between prompts")
    command.set_defaults(run=paths)
    command.add_argument("name", choices=[*EXPERIMENTS, ALL, REPORT])
    which = command.add_mutually_exclusive_group()
    which.add_argument("--text-model", choices=SMALL_MODELS, help="of the small checkpoint")
    which.add_argument("--checkpoint", help="a file, or a name in ComfyUI's models")
    command.add_argument("--size", type=int, help="of pictures (default 64; a checkpoint: 512)")
    command.add_argument("--steps", type=int, help=f"of the sampler (default {STEPS}; 20)")
    command.add_argument("--guidance", type=float, help="default 4 (a checkpoint: 7)")
    command.add_argument("--pairs", type=Path, nargs="+", help="CSV or Parquet of scored captions")
    command.add_argument("--captions", type=Path, help="dataset_coco.json, for numbers of MS-COCO")
    command.add_argument("--count", type=int, default=0, help="pairs (default: as designed)")
    command.add_argument("--folder", type=Path, help="of the run")
    command.add_argument("--seconds", type=float, default=inf, help="stop after (default never)")
    command.add_argument("--threads", type=int, default=1, help="of each worker (default 1)")
    command.add_argument("--workers", type=int, default=1, help="processes; several need Ray")
    command.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    command.add_argument("--anew", action="store_true", help="take over nothing from the results")


def paths(arguments: argparse.Namespace) -> None:
    """Run an experiment, or go on with it; or write the pages of all runs there are."""
    if arguments.name == REPORT:
        folders = [arguments.folder] if arguments.folder else sorted(RUNS.glob("*"))
        for written in report.write(folders, arguments.output):
            print(written)
        return
    plan = _plan(arguments)
    folder = arguments.folder or RUNS / _name(plan)
    begin(plan, folder)
    if not arguments.anew and (taken := kept.take_over(plan, folder, arguments.output)):
        print(f"{taken} parts are taken over from {arguments.output}.")
    names = list(EXPERIMENTS) if arguments.name == ALL else [arguments.name]
    left = run(plan, folder, names, arguments.seconds, arguments.workers, arguments.threads)
    if left:
        print(f"{left} of {len(plan.parts(names))} parts are waiting; the same command goes on.")


def _name(plan: Plan) -> str:
    """The folder's name: the text model, or the checkpoint."""
    models = {file: name for name, file in SMALL_MODELS.items()}
    return models.get(plan.checkpoint, Path(plan.checkpoint).stem)


def _plan(arguments: argparse.Namespace) -> Plan:
    """The settings of the small checkpoint, or of SD1.5. Raises ValueError for missing pairs."""
    if not arguments.checkpoint:
        settings: dict[str, Any] = {"checkpoint": SMALL_MODELS[arguments.text_model or "written"]}
    else:
        settings = {"checkpoint": checkpoint_name(arguments.checkpoint), "scheduler": "normal"}
        settings |= {"size": 512, "steps": 20, "guidance": 7.0}
        if not arguments.pairs:
            raise ValueError(
                "pairs: expected files of scored captions with --checkpoint; the scene language is "
                "the small checkpoint's alone."
            )
    given = {name: getattr(arguments, name) for name in ("size", "steps", "guidance")}
    settings |= {name: value for name, value in given.items() if value is not None}
    if arguments.pairs:
        read, _ = pairs.read(arguments.pairs, arguments.captions)
        per_bin = -(-arguments.count // len(pairs.BINS)) if arguments.count else len(read)
        chosen = pairs.choose(read, max(per_bin, 1), 0)
        settings["pairs"] = tuple((p.caption_a, p.caption_b, p.similarity) for p in chosen)
    return Plan(count=arguments.count, **settings)
