"""Timing in pairs, so that a machine that slows down slows both sides; memory at its peak."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

HAS_CUDA = torch.cuda.is_available()  # asked once: the question itself takes milliseconds


@dataclass(frozen=True)
class Row:
    """One line of the table. ratio: theirs over ours (above 1 we are faster), else as named."""

    what: str
    ours: str
    theirs: str
    ratio: str


def seconds(run: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, with the GPU's work included."""
    start = time.perf_counter()
    run()
    if HAS_CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def paired(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int = 7) -> Row:
    """Median seconds of both, measured in turn, and the median of the ratios.

    Every measured call follows an unmeasured one of its own kind: otherwise each would pay for
    putting the other's threads to sleep.
    """

    def settled(run: Callable[[], Any]) -> float:
        run()
        return seconds(run)

    pairs = [(settled(ours), settled(theirs)) for _ in range(repeats)]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(y / x for x, y in pairs)
    return Row(what, readable(a), readable(b), f"{ratio:.2f}")


def readable(duration: float) -> str:
    return f"{duration:.2f} s" if duration >= 1 else f"{duration * 1000:.2f} ms"


def table(rows: list[Row]) -> str:
    lines = ["| what | ours | theirs | ratio |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.ours} | {row.theirs} | {row.ratio} |" for row in rows]
    return "\n".join(lines)


def peak(device: torch.device, run: Callable[[], Any]) -> int:
    """Bytes in use at the peak of a call beyond those in use before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    # Linux: writing 5 there sets the high-water mark of resident memory to what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024
