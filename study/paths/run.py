"""Experiments pair by pair, one Parquet file each, so that a run can stop and go on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from dev.comfyui.environment import PACK, ROOT
from dev.workflows.settings import SMALL, SMALL_MODELS

from ..even.engine import Engine, Settings
from ..prompts.pairs import Pair
from .experiments import EXPERIMENTS, STEPS, Job
from .pairs import scenes

PLAN = "plan.json"
Part = tuple[str, int]  # experiment, pair


@dataclass(frozen=True)
class Plan:
    """What a run's numbers depend on, stored with them.

    pairs: captions and similarity; none means the scenes' own. count: pairs of every experiment at
    most; 0 means what it asks for. threads: of each worker on a CPU.
    """

    checkpoint: str = SMALL
    size: int = 64
    steps: int = STEPS
    guidance: float = 4.0
    scheduler: str = "karras"
    pairs: tuple[tuple[str, str, float], ...] = ()
    count: int = 0

    def engine(self, threads: int) -> Engine:
        settings = Settings(steps=self.steps, guidance=self.guidance, scheduler=self.scheduler)
        return Engine(threads, self.checkpoint, settings, self.size)

    def chosen(self) -> Sequence[Pair]:
        return [Pair(*given) for given in self.pairs] if self.pairs else scenes()

    def parts(self, experiments: Sequence[str]) -> list[Part]:
        """What is measured piece by piece, in order."""
        available = len(self.chosen())
        return [
            (name, k)
            for name in experiments
            for k in range(min(self.count or EXPERIMENTS[name].pairs, available))
        ]


def begin(plan: Plan, folder: Path) -> None:
    """Make a run's folder, or find that it holds a run of the same plan; else ValueError."""
    folder.mkdir(parents=True, exist_ok=True)
    file, wanted = folder / PLAN, json.loads(json.dumps(asdict(plan)))
    if not file.exists():
        file.write_text(json.dumps(wanted, indent=1))
    elif (found := json.loads(file.read_text())) != wanted:
        different = [
            f"{key} {found.get(key)}, not {wanted[key]}"
            for key in wanted
            if found.get(key) != wanted[key]
        ]
        raise ValueError(f"folder: {folder} holds another run: {'; '.join(different)}.")


def file_of(folder: Path, part: Part) -> Path:
    return folder / f"{part[0]}-{part[1]:03d}.parquet"


def write_part(table: pd.DataFrame, file: Path) -> None:
    """Write a part's rows; the file is there as a whole or not at all."""
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    table.to_parquet(unfinished, index=False)
    os.replace(unfinished, file)


def measured(plan: Plan, folder: Path, name: str) -> pd.DataFrame:
    """All rows there are of an experiment; empty before it began."""
    files = [file_of(folder, part) for part in plan.parts([name])]
    read = [pd.read_parquet(file) for file in files if file.exists()]
    tables = [table for table in read if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


class Measurer:
    """A worker: an engine that measures parts and writes their files."""

    def __init__(self, plan: Plan, folder: Path, threads: int = 1) -> None:
        self.plan, self.folder = plan, folder
        self.engine, self.pairs = plan.engine(threads), plan.chosen()

    def measure(self, part: Part) -> str:
        """Measure a part; returns a line about it."""
        began = time.monotonic()
        name, number = part
        pair = self.pairs[number]
        with torch.inference_mode():
            rows = list(EXPERIMENTS[name].rows(Job(self.engine, pair, number)))
        table = pd.DataFrame([{"pair": number, **asdict(pair), **row} for row in rows])
        write_part(table, file_of(self.folder, part))
        return f"{name}, pair {number + 1}: {time.monotonic() - began:.0f} s"


class Workers(Protocol):
    def results(self, parts: Sequence[Part]) -> Iterator[str]:
        """Measure parts; a line about each as it is done."""
        ...


class Alone:
    """This process as the only worker."""

    def __init__(self, measurer: Measurer) -> None:
        self.measurer = measurer

    def results(self, parts: Sequence[Part]) -> Iterator[str]:
        return map(self.measurer.measure, parts)


@contextmanager
def workers(plan: Plan, folder: Path, count: int, threads: int) -> Iterator[Workers]:
    """One worker in this process, or several by Ray. Raises ValueError if Ray is missing."""
    if count == 1:
        yield Alone(Measurer(plan, folder, threads))
        return
    try:
        import ray
        from ray.util import ActorPool
    except ImportError as error:
        raise ValueError(
            f"workers: {count} need Ray, which is not installed; install it (pip install ray), or "
            "give --workers 1."
        ) from error
    small = plan.checkpoint in SMALL_MODELS.values()
    needs: dict[str, Any] = {"num_cpus": threads, "num_gpus": 0 if small else 1}
    path = f"{ROOT}:{PACK.parent}"
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    try:
        remote: Any = ray.remote(**needs)(Measurer)
        pool = ActorPool([remote.remote(plan, folder.resolve(), threads) for _ in range(count)])

        class ByRay:
            def results(self, parts: Sequence[Part]) -> Iterator[str]:
                measure: Any = lambda actor, part: actor.measure.remote(part)  # noqa: E731
                return pool.map_unordered(measure, list(parts))  # type: ignore[return-value]

        yield ByRay()
    finally:
        ray.shutdown()


def run(
    plan: Plan,
    folder: Path,
    experiments: Sequence[str],
    seconds: float,
    count: int = 1,
    threads: int = 1,
) -> int:
    """Measure until all is done or the time is over; returns how many parts still wait.

    The time is looked at between two parts, so a run ends a part later at most.
    """
    begin(plan, folder)
    start = time.monotonic()
    parts = plan.parts(experiments)
    todo = [part for part in parts if not file_of(folder, part).exists()]
    if not todo:
        return 0
    with workers(plan, folder, count, threads) as crew:
        for done, line in enumerate(crew.results(todo), start=1):
            spent = time.monotonic() - start
            left = spent / done * (len(todo) - done) / 3600
            print(f"{line} ({done} of {len(todo)}; about {left:.1f} hours more)", flush=True)
            if spent > seconds:
                break
    return sum(not file_of(folder, part).exists() for part in parts)
