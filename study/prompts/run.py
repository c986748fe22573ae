"""A run: from pairs to results in the store. It can be stopped at any time and continued."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import tomllib
import torch
from tqdm import tqdm

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE, ROOT, locate
from dev.small_model.files import place
from dev.workflows.settings import SMALL, SMALL_MODELS

from . import pairs as prompt_pairs
from . import scene_pairs, store
from .pairs import Excluded, Pair
from .plan import Plan, defaults, file_digest
from .store import Result
from .studio import Task
from .workers import Workers, start_workers

SCENES = "pairs of the scene language"
MOST_FAILED = 25  # failures in a row that stop a run: the cause is then not the pairs


@dataclass(frozen=True)
class RunRequest:
    """The options of the command. options: the given fields of Plan; the others are chosen.

    files: empty for pairs of the scene language. workers: None for one on each GPU of this machine
    or of the cluster.
    """

    folder: Path
    options: Mapping[str, Any]
    files: Sequence[Path] = ()
    captions: Path | None = None
    workers: int | None = None
    ray_address: str | None = None
    cpu: bool = False
    retry_failed: bool = False


@dataclass(frozen=True)
class RunState:
    """The state of a run: how many pairs it has, are measured, failed, and wait."""

    pairs: int
    measured: int
    failed: int
    waiting: int


def run(request: RunRequest) -> RunState:
    """Begin a run, or continue it.

    Raises ValueError for options that contradict those of the run, and for bad pairs or settings.
    """
    if request.workers is not None and request.workers < 1:
        raise ValueError(f"workers: expected at least 1, got {request.workers}.")
    # The first machine of a cluster may have no GPU itself.
    here = request.ray_address is None
    cpu = request.cpu or (here and not torch.cuda.is_available())
    workers = request.workers
    if here and workers is None:
        workers = 1 if cpu else torch.cuda.device_count()
    with store.locked(request.folder):
        begun = store.exists(request.folder)
        plan = _continued(request) if begun else _plan(request, workers or 1)
        if begun and (state := _nothing_left(request)):
            return state
        new_pairs = None if begun else _pairs(request, plan)
        with start_workers(plan, cpu, workers, request.ray_address) as crew:
            if new_pairs is not None:
                if "batch" not in request.options:
                    plan = replace(plan, batch=crew.fastest_batch())
                pairs, excluded, usable = new_pairs
                about = {"pairs": _origin(request), "usable pairs": str(usable), **versions()}
                store.create(request.folder, plan, pairs, excluded, about)
            return _measure(request, crew)


def _nothing_left(request: RunRequest) -> RunState | None:
    """The state of the run if there is nothing left to measure, otherwise None."""
    kept = store.open_run(request.folder)
    try:
        failed, pairs = kept.failed(), len(kept.pairs)
        if kept.waiting() or (failed and request.retry_failed):
            return None
        return RunState(pairs, pairs - failed, failed, 0)
    finally:
        kept.close()


def _measure(request: RunRequest, workers: Workers) -> RunState:
    """Measure the waiting pairs, and store every result as it comes."""
    kept = store.open_run(request.folder)
    try:
        if request.retry_failed:
            kept.forget_failures()
        pairs, waiting = kept.pairs, kept.waiting()
        keep = kept_numbers(pairs, kept.plan.kept_per_bin)
        batch = kept.plan.batch
        tasks = [Task(number, pairs[number], number in keep, batch) for number in waiting]
        failed, failed_in_row, metric = kept.failed(), 0, kept.metric()
        # smoothing 0: the estimate uses the mean rate of this session, not that of the last
        # seconds.
        with tqdm(
            total=len(pairs), initial=len(pairs) - len(tasks), unit="pair", smoothing=0
        ) as bar:
            for result in workers.results(tasks):
                metric = same_metric(metric, result)
                kept.add(result)
                failed += result.failure is not None
                failed_in_row = 0 if result.failure is None else failed_in_row + 1
                if failed_in_row == MOST_FAILED:
                    raise ValueError(
                        f"{failed_in_row} pairs in a row failed, the last with: {result.failure} "
                        "Fix that, then continue with --retry-failed."
                    )
                bar.set_postfix_str(f"{failed} failed", refresh=False)
                bar.update()
        left = len(kept.waiting())
        return RunState(len(pairs), len(pairs) - left - failed, failed, left)
    finally:
        kept.close()


def same_metric(metric: str | None, result: Result) -> str | None:
    """The name of the run's metric. Raises ValueError when a result has another metric."""
    for path in result.paths:
        if metric not in (None, path.metric):
            raise ValueError(
                f"backbone: this run was measured by {metric}, now it is {path.metric}. Put the "
                "file back that was in models/lpips, or use another folder."
            )
        metric = path.metric
    return metric


def kept_numbers(pairs: Mapping[int, Pair], per_bin: int) -> set[int]:
    """The first pairs of each bin, whose images are kept: chosen before anything is measured."""
    by_bin: dict[float, list[int]] = {}
    for number, pair in pairs.items():
        by_bin.setdefault(pair.bin, []).append(number)
    return {number for numbers in by_bin.values() for number in numbers[:per_bin]}


def _plan(request: RunRequest, workers: int) -> Plan:
    """The plan of a new run; its batch is chosen later."""
    name = request.options.get("checkpoint", SMALL)
    _ensure_models(name)
    threads = max(1, torch.get_num_threads() // workers)
    base = replace(defaults(name), threads=threads, digest=checkpoint_digest(name))
    return replace(base, **request.options)


def _continued(request: RunRequest) -> Plan:
    """The plan of an existing run, after checking that the request agrees with it."""
    kept = store.open_run(request.folder)
    try:
        wrong = replace(kept.plan, **request.options).differences(kept.plan)
        if wrong:
            raise ValueError(
                f"{request.folder} holds a run with other settings (given: {'; '.join(wrong)}). "
                "Leave these options out to continue it, or use another folder."
            )
        _ensure_models(kept.plan.checkpoint)
        if checkpoint_digest(kept.plan.checkpoint) != kept.plan.digest:
            raise ValueError(
                f"checkpoint: {kept.plan.checkpoint} is not the file that {request.folder} was "
                "begun with. Put that one back, or use another folder."
            )
        now = versions()
        if changed := [f"{n} {v}" for n, v in now.items() if kept.environment.get(n, v) != v]:
            raise ValueError(
                f"{request.folder} was begun with other versions than {', '.join(changed)}. Put "
                "those back, or use another folder."
            )
        if request.files and _pairs(request, kept.plan)[0] != list(kept.pairs.values()):
            raise ValueError(
                f"{request.folder} holds a run with other pairs. Leave --pairs out to continue "
                "it, or use another folder."
            )
        return kept.plan
    finally:
        kept.close()


def _pairs(request: RunRequest, plan: Plan) -> tuple[list[Pair], list[Excluded], int]:
    """The pairs to measure, the rows that were left out, and the number of usable pairs."""
    if request.captions and not request.files:
        raise ValueError("captions: expected with --pairs, whose sentence numbers it explains.")
    if request.files:
        usable, excluded = prompt_pairs.read(request.files, request.captions)
    elif plan.checkpoint in SMALL_MODELS.values():
        usable, excluded = scene_pairs.generate(plan.per_bin, plan.choice_seed), []
    else:
        raise ValueError(
            "pairs: expected a file of prompt pairs (--pairs). Only the small checkpoints have "
            "a generator of their own."
        )
    chosen = prompt_pairs.choose(usable, plan.per_bin, plan.choice_seed)
    if not chosen:
        raise ValueError(f"pairs: no usable pair in {', '.join(map(str, request.files))}.")
    return chosen, excluded, len(usable)


def _ensure_models(name: str) -> None:
    """Put the project's own model files in place."""
    lpips_weights.ensure(BASE / "models" / "lpips")
    place(name)


def checkpoint_digest(name: str) -> str:
    """The digest of a checkpoint by its name in ComfyUI's models; "" if the file is elsewhere."""
    homes = [base / "models" / "checkpoints" for base in (BASE, locate().comfyui)]
    path = next((home / name for home in homes if (home / name).is_file()), None)
    return "" if path is None else file_digest(path)


def _origin(request: RunRequest) -> str:
    return ", ".join(f"{file.name} ({file_digest(file)})" for file in request.files) or SCENES


def versions() -> dict[str, str]:
    """The versions of the programs that a run's numbers depend on, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    comfyui = re.search(r'"(.+)"', (locate().comfyui / "comfyui_version.py").read_text())
    return {
        "Geodesic Morph": project["version"],
        "ComfyUI": comfyui[1] if comfyui else "unknown",
        "torch": torch.__version__,
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "Python": platform.python_version(),
    }
