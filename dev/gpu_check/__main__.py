"""`python -m dev.gpu_check`: a table of time, memory and agreement on this machine's card.

    python -m dev.gpu_check --out table.md    on the card, in at most 8 minutes
    python -m dev.gpu_check --toy             everything at toy sizes, in a minute: does it run?
    python -m dev.gpu_check --pack FOLDER     all that a bare machine lacks, in a new folder

A bare machine needs Linux on x86-64 and a Python with torch for CUDA, torchvision, numpy, scipy,
matplotlib, Pillow and PyYAML; no network and no ComfyUI. Copy the folder of `--pack` to it, go into
that folder and run the first command there, with the machine's own Python. The folder holds
ComfyUI 0.3.75, or the newer one if COMFYUI_NEXT=1 was set while packing; only the newer one has
dynamic VRAM. Elsewhere COMFYUI_NEXT and COMFYUI_PATH choose the ComfyUI, as in the tests.

Models have the true sizes of SD1.5 and SDXL and random weights, drawn on the card: times and memory
are those of any such model, pictures are noise. The exit code is 1 if a measurement failed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.comfyui.environment import ROOT

from .start import core_version, start

MARK = "cells: "
# A measurement in a process of its own is ended after this many seconds.
PATIENCE = 180


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument(
        "--minutes", type=float, default=8.0, help="what would end later is left out"
    )
    parser.add_argument("--toy", action="store_true", help="toy sizes")
    parser.add_argument("--cpu", action="store_true", help="without the card; toy sizes only")
    parser.add_argument(
        "--only", action="append", help="only rows whose name contains this text; may be repeated"
    )
    parser.add_argument("--pack", type=Path, help="copy what a bare machine lacks, and end")
    parser.add_argument("--apart", help=argparse.SUPPRESS)  # one row, under dynamic VRAM
    options = parser.parse_args(given)
    if options.pack:
        from .packing import pack

        try:
            print(pack(options.pack))
        except ValueError as error:
            sys.exit(str(error))
        return 0
    if options.apart:
        return _apart(options)
    return _everything(options)


def _everything(options: argparse.Namespace) -> int:
    # First the clock: to import torch and ComfyUI takes time as well.
    from .budget import Budget, report

    budget = Budget(60 * options.minutes)
    import torch

    cpu = options.cpu or not torch.cuda.is_available()
    if cpu and not options.toy:
        sys.exit("expected a card with CUDA, got none. Without one only --toy can run.")
    absent = start(cpu)
    from .plan import plan

    def apart(name: str) -> Any:
        machine.clean()
        return _in_own_process(name, options.toy)

    machine = _machine(options)
    measurements = [
        one
        for one in plan(machine, apart, cpu)
        if any(text in one.name for text in options.only or [""])
    ]

    def write(text: str) -> None:
        if options.out:
            options.out.write_text(text, encoding="utf-8")

    head = _head(cpu, absent)
    print(head, flush=True)
    failed = report(measurements, budget, head, write)
    print(f"{budget.used:.0f} seconds")
    return failed


def _apart(options: argparse.Namespace) -> int:
    """Print the cells of one row that is measured under dynamic VRAM."""
    start(cpu=False, dynamic=True)  # before torch is imported
    from .plan import under_dynamic_vram

    machine = _machine(options, dynamic=True)
    (run,) = (one.run for one in under_dynamic_vram(machine) if one.name == options.apart)
    print(MARK + json.dumps(run()))
    return 0


def _in_own_process(name: str, toy: bool) -> Any:
    """The cells of a row under dynamic VRAM, which can't be switched on once torch is imported."""
    command = [sys.executable, "-m", "dev.gpu_check", "--apart", name, *(["--toy"] if toy else [])]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    cells = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not cells:
        sys.stderr.write(done.stderr)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"its process ended with {done.returncode}: {last}")
    return tuple(json.loads(cells[0].removeprefix(MARK)))


def _machine(options: argparse.Namespace, dynamic: bool = False) -> Any:
    import comfy.utils

    from .machine import Machine
    from .sizes import FULL, TOY

    comfy.utils.PROGRESS_BAR_ENABLED = False
    return Machine(TOY if options.toy else FULL, dynamic)


def _head(cpu: bool, absent: Sequence[str]) -> str:
    """What was measured on, in two sentences above the table."""
    import torch

    if cpu:
        card = "CPU"
    else:
        about = torch.cuda.get_device_properties(0)
        card = f"{about.name}, {about.total_memory / 2**30:.0f} GB"
    versions = (
        f"torch {torch.__version__}, ComfyUI {core_version()}, Python {platform.python_version()}"
    )
    told = (
        f"{card}; {datetime.date.today()}; {versions}. Models have random weights, and no dynamic"
    )
    told += " VRAM except where a row says so."
    if absent:
        told += f" Not installed, and not used here: {', '.join(absent)}."
    return told


if __name__ == "__main__":
    sys.exit(main())
