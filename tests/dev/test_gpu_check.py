"""`python -m dev.gpu_check` at toy sizes, without a card: each row is there and says something."""

from __future__ import annotations

import importlib.metadata
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dev.comfyui.environment import ROOT, locate
from dev.gpu_check import packing
from dev.gpu_check.budget import FAILED, NO_TIME, Budget, Measurement, report
from dev.gpu_check.machine import Machine
from dev.gpu_check.plan import DTYPES, NO_CARD, plan
from dev.gpu_check.sizes import TOY

from ..generations import BOTH

pytestmark = BOTH
TOYS = ("--toy", "--cpu", "--minutes", "30", "--out")
# What the command's own docstring asks of a machine.
NEEDED = ("torch", "torchvision", "numpy", "scipy", "matplotlib", "pillow", "pyyaml")


def toys() -> list[Measurement]:
    def apart(_: str) -> Any:
        raise AssertionError("expected no process where there is no card")

    return plan(Machine(TOY), apart, cpu=True)


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, below its two lines of head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def measure(measurements: Sequence[Measurement], seconds: float) -> tuple[int, list[list[str]]]:
    """The exit code and the table's rows."""
    written: list[str] = []
    code = report(measurements, Budget(seconds), "A card.", written.append)
    assert written[-1].startswith("A card.\n\n|")
    return code, rows(written[-1])


@pytest.mark.comfyui
def test_every_row_is_measured(tmp_path: Path) -> None:
    """In the plan's order, with finite numbers; head and exit code tell what they should."""
    file = tmp_path / "table.md"
    command = [sys.executable, "-m", "dev.gpu_check", *TOYS, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    head, found = text.splitlines()[0], rows(text)
    assert [row[0] for row in found] == [one.name for one in toys()]
    for (what, ours, theirs, said), planned in zip(found, toys(), strict=True):
        if planned.missing:
            assert ours == NO_CARD, what
            continue
        assert not {ours, theirs} & {FAILED, NO_TIME, ""}, what
        numbers = [float(word) for word in re.findall(r"\d+\.?\d*(?:e[+-]\d+)?", said)]
        assert numbers, what
        assert all(math.isfinite(number) for number in numbers), what
        assert not re.search(r"\b(nan|inf)\b", said), what
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        assert sum(f" in {name}, " in row[0] for row in found) == 1
    version = (locate().comfyui / "comfyui_version.py").read_text()
    (core,) = re.findall(r'__version__ = "(.*)"', version)
    for part in ("CPU; ", f"torch {torch.__version__}", f"ComfyUI {core}, "):
        assert part in head
    assert re.search(r"; \d{4}-\d\d-\d\d; ", head)


@pytest.mark.comfyui
def test_a_bare_machine_can_run_it(tmp_path: Path) -> None:
    """The packed folder, on a Python that has only what the docstring names."""
    told = packing.pack(tmp_path / "packed")
    size = float(re.findall(r"([\d.]+) MB", told)[0])
    assert 1 < size < 24  # what a small upload takes
    bare = bare_packages(tmp_path / "bare")
    run = (
        "import sys, runpy\n"
        f"sys.path[:0] = {[str(tmp_path / 'packed'), str(bare)]}\n"
        f"sys.argv[1:] = {[*TOYS, str(tmp_path / 'table.md'), '--only', 'Invert Image']}\n"
        "runpy.run_module('dev.gpu_check', run_name='__main__', alter_sys=True)\n"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("COMFYUI_")}
    # Neither this environment's packages nor its variables.
    command = [sys.executable, "-I", "-S", "-c", run]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "table.md").read_text()
    assert "Not installed, and not used here: av, " in text
    ((what, _, _, said),) = rows(text)
    assert what.startswith("Invert Image")
    assert "of KSampler's rate" in said


def bare_packages(folder: Path) -> Path:
    """A folder with links to `NEEDED` packages and to what these need themselves."""
    folder.mkdir()
    site = Path(torch.__file__).parents[1]
    waiting, done = list(NEEDED), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        found = next(iter(importlib.metadata.distributions(name=name, path=[str(site)])), None)
        if name in done or found is None:  # some are for other versions of Python
            continue
        done.add(name)
        required = [line for line in found.requires or [] if "extra ==" not in line]
        waiting += [re.findall(r"^[\w.-]+", line)[0] for line in required]
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if (site / top).exists() and not (folder / top).exists():
                (folder / top).symlink_to(site / top)
    return folder


def test_a_folder_with_files_is_not_packed_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="--pack: expected a new folder, got"):
        packing.pack(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_time_nothing_is_measured() -> None:
    """And every row says so; that is no failure."""
    code, found = measure(toys(), 0)
    assert code == 0
    expected = [[one.name, one.missing or NO_TIME, "", ""] for one in toys()]
    assert found == expected
    assert [NO_TIME in row for row in found].count(True) > 10


def test_a_failure_is_a_row() -> None:
    """The others are measured, and the exit code tells."""

    def fails() -> Any:
        raise RuntimeError("out of | memory\nat line 3")

    good = Measurement("good", lambda: ("1 s", "2 s", "2.00"))
    code, found = measure([good, Measurement("bad", fails), good], 1000)
    assert code == 1
    assert found[0] == found[2] == ["good", "1 s", "2 s", "2.00"]
    assert found[1] == ["bad", FAILED, "", "RuntimeError: out of / memory"]
    assert measure([good], 1000)[0] == 0


def test_the_speed_of_a_card_is_learnt() -> None:
    """What is done tells how long the next will take; fixed seconds are apart from that."""

    def of(work: float, fixed: float = 0.0) -> Measurement:
        return Measurement("", lambda: ("", "", ""), work=work, fixed=fixed)

    budget = Budget(1000)
    assert budget.holds(of(1e9))  # nothing is known yet
    budget.learn(of(100, fixed=50), 150)
    assert budget.holds(of(800))
    assert not budget.holds(of(1001))
    assert not budget.holds(of(800, fixed=300))
    assert budget.holds(of(0))


def test_true_sizes_need_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from dev.gpu_check.__main__ import main

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="expected a card with CUDA"):
        main([])
