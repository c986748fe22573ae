"""Runs of a few pairs in a few seconds, and what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.prompts import store
from study.prompts.pairs import Pair, write
from study.prompts.run import RunRequest, RunState, run

# Threads too: other tests may have left this process another number, and rounding follows it.
QUICK: dict[str, Any] = {"frames": 3, "steps": 2, "guidance": 1.0, "batch": 4, "threads": 1}
FLAGS = ["--frames", "3", "--steps", "2", "--guidance", "1", "--batch", "4", "--threads", "1"]
FLAGS += ["--cpu"]

THREE = [
    Pair("a red star on white", "a blue star on white", 4.0),
    Pair("a green ring", "a large yellow heart on black", 0.7),
    Pair("a circle left of a square, red and blue", "a square right of a circle", 2.2),
]


def begin(folder: Path, pairs: Sequence[Pair] = (), **others: Any) -> RunState:
    """A quick run, of these pairs or of ten of the scene language."""
    if pairs:
        file = folder.with_suffix(".csv")
        write(pairs, file, "test")
        others["files"] = [file]
    options = {**QUICK, "per_bin": 1, **others.pop("options", {})}
    return run(RunRequest(folder, options, cpu=True, **others))


def measured(folder: Path) -> list[tuple[Any, ...]]:
    """All numbers of a run, every digit."""
    return [
        (one.pair, path.coupling, path.seed, path.cost, path.distances)
        for one in store.open_run(folder).results()
        for path in one.paths
    ]
