"""A run: from pairs to results in the store; stopped at any time, and taken up where it was."""

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
from dev.workflows.settings import SMALL
from scenes import checkpoint

from . import pairs as prompt_pairs
from . import scene_pairs, store
from .crew import Crew, crew
from .pairs import Excluded, Pair
from .plan import Plan, defaults, file_digest
from .store import Result
from .studio import Task

SCENES = "pairs of the scene language"
MOST_FAILED = 25  # in a row: then it is not the pairs


@dataclass(frozen=True)
class Asked:
    """What a person asked for. options: fields of Plan that were given; the rest is chosen.

    files: none for pairs of the scene language. workers: None for one on each GPU, of this machine
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
class Done:
    """Where a run stands: pairs in all, measured, failed, without a result."""

    pairs: int
    measured: int
    failed: int
    waiting: int


def run(asked: Asked) -> Done:
    """Begin a run, or go on with it.

    Raises ValueError for options that contradict the run's own, for bad pairs and settings.
    """
    if asked.workers is not None and asked.workers < 1:
        raise ValueError(f"workers: expected at least 1, got {asked.workers}.")
    # A cluster's first machine may be the one without a GPU.
    here = asked.ray_address is None
    cpu = asked.cpu or (here and not torch.cuda.is_available())
    workers = asked.workers
    if here and workers is None:
        workers = 1 if cpu else torch.cuda.device_count()
    with store.locked(asked.folder):
        begun = store.exists(asked.folder)
        plan = _continued(asked) if begun else _plan(asked, workers or 1)
        if begun and (done := _nothing_left(asked)):
            return done
        found = None if begun else _pairs(asked, plan)
        with crew(plan, cpu, workers, asked.ray_address) as those:
            if found is not None:
                if "batch" not in asked.options:
                    plan = replace(plan, batch=those.fastest_batch())
                pairs, excluded, usable = found
                about = {"pairs": _origin(asked), "usable pairs": str(usable), **versions()}
                store.create(asked.folder, plan, pairs, excluded, about)
            return _measure(asked, those)


def _nothing_left(asked: Asked) -> Done | None:
    """Where the run stands, unless there is something to measure."""
    kept = store.open_run(asked.folder)
    try:
        failed, pairs = kept.failed(), len(kept.pairs)
        if kept.waiting() or (failed and asked.retry_failed):
            return None
        return Done(pairs, pairs - failed, failed, 0)
    finally:
        kept.close()


def _measure(asked: Asked, those: Crew) -> Done:
    """Measure what waits, and keep every result as it comes."""
    kept = store.open_run(asked.folder)
    try:
        if asked.retry_failed:
            kept.forget_failures()
        pairs, waiting = kept.pairs, kept.waiting()
        keep = kept_numbers(pairs, kept.plan.kept_per_bin)
        batch = kept.plan.batch
        tasks = [Task(number, pairs[number], number in keep, batch) for number in waiting]
        failed, row, metric = kept.failed(), 0, kept.metric()
        # smoothing 0: the estimate is the mean pace of this session, not that of the last seconds.
        with tqdm(
            total=len(pairs), initial=len(pairs) - len(tasks), unit="pair", smoothing=0
        ) as bar:
            for result in those.results(tasks):
                metric = same_metric(metric, result)
                kept.add(result)
                failed += result.failure is not None
                row = 0 if result.failure is None else row + 1
                if row == MOST_FAILED:
                    raise ValueError(
                        f"{row} pairs in a row failed, the last with: {result.failure} Mend that, "
                        "then go on with --retry-failed."
                    )
                bar.set_postfix_str(f"{failed} failed", refresh=False)
                bar.update()
        left = len(kept.waiting())
        return Done(len(pairs), len(pairs) - left - failed, failed, left)
    finally:
        kept.close()


def same_metric(metric: str | None, result: Result) -> str | None:
    """What measures this run. Raises ValueError when a result was measured by something else."""
    for path in result.paths:
        if metric not in (None, path.metric):
            raise ValueError(
                f"backbone: this run was measured by {metric}, now it is {path.metric}. Put the "
                "file back that was in models/lpips, or use another folder."
            )
        metric = path.metric
    return metric


def kept_numbers(pairs: Mapping[int, Pair], per_bin: int) -> set[int]:
    """The first pairs of each bin: chosen before anything is measured, so that none is picked."""
    found: dict[float, list[int]] = {}
    for number, pair in pairs.items():
        found.setdefault(pair.bin, []).append(number)
    return {number for own in found.values() for number in own[:per_bin]}


def _plan(asked: Asked, workers: int) -> Plan:
    """The plan of a new run, its batch still open."""
    name = asked.options.get("checkpoint", SMALL)
    _ensure_models(name)
    threads = max(1, torch.get_num_threads() // workers)
    base = replace(defaults(name), threads=threads, digest=checkpoint_digest(name))
    return replace(base, **asked.options)


def _continued(asked: Asked) -> Plan:
    """The plan of the run that is there, after a look at what was asked."""
    kept = store.open_run(asked.folder)
    try:
        wrong = replace(kept.plan, **asked.options).differences(kept.plan)
        if wrong:
            raise ValueError(
                f"{asked.folder} holds a run with other settings (asked: {'; '.join(wrong)}). "
                "Leave these options out to go on with it, or use another folder."
            )
        _ensure_models(kept.plan.checkpoint)
        if checkpoint_digest(kept.plan.checkpoint) != kept.plan.digest:
            raise ValueError(
                f"checkpoint: {kept.plan.checkpoint} is not the file that {asked.folder} was begun "
                "with. Put that one back, or use another folder."
            )
        now = versions()
        if changed := [f"{n} {v}" for n, v in now.items() if kept.environment.get(n, v) != v]:
            raise ValueError(
                f"{asked.folder} was begun with other versions than {', '.join(changed)}. Put "
                "those back, or use another folder."
            )
        if asked.files and _pairs(asked, kept.plan)[0] != list(kept.pairs.values()):
            raise ValueError(
                f"{asked.folder} holds a run with other pairs. Leave --pairs out to go on with "
                "it, or use another folder."
            )
        return kept.plan
    finally:
        kept.close()


def _pairs(asked: Asked, plan: Plan) -> tuple[list[Pair], list[Excluded], int]:
    """The pairs to measure, the rows left out, and how many pairs there were to choose from."""
    if asked.captions and not asked.files:
        raise ValueError("captions: expected with --pairs, whose sentence numbers it explains.")
    if asked.files:
        found, excluded = prompt_pairs.read(asked.files, asked.captions)
    elif plan.checkpoint == SMALL:
        found, excluded = scene_pairs.generate(plan.per_bin, plan.choice_seed), []
    else:
        raise ValueError(
            "pairs: expected a file of prompt pairs (--pairs). The small checkpoint alone has a "
            "generator of its own."
        )
    chosen = prompt_pairs.choose(found, plan.per_bin, plan.choice_seed)
    if not chosen:
        raise ValueError(f"pairs: no usable pair in {', '.join(map(str, asked.files))}.")
    return chosen, excluded, len(found)


def _ensure_models(name: str) -> None:
    """Put in place what is the project's own."""
    lpips_weights.ensure(BASE / "models" / "lpips")
    if name == SMALL:
        checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)


def checkpoint_digest(name: str) -> str:
    """The digest of a checkpoint by its name in ComfyUI's models; "" where only ComfyUI knows."""
    homes = [base / "models" / "checkpoints" for base in (BASE, locate().comfyui)]
    path = next((home / name for home in homes if (home / name).is_file()), None)
    return "" if path is None else file_digest(path)


def _origin(asked: Asked) -> str:
    return ", ".join(f"{file.name} ({file_digest(file)})" for file in asked.files) or SCENES


def versions() -> dict[str, str]:
    """What a run's numbers depend on beside its plan, by name."""
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
