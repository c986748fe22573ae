"""Times in pairs, so that a machine that slows down slows both sides; peak memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

HAS_CUDA = torch.cuda.is_available()  # called once, because the call takes milliseconds


@dataclass(frozen=True)
class Row:
    """A line of the table. ratio: theirs divided by ours (above 1 we are faster), or see `what`."""

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
    """Median seconds of both, measured alternately, and the median of the ratios.

    Before every measured call there is an unmeasured one of the same kind. Otherwise each would pay
    for the other's threads, which still have to go to sleep.
    """

    def after_warm_up(run: Callable[[], Any]) -> float:
        run()
        return seconds(run)

    pairs = [(after_warm_up(ours), after_warm_up(theirs)) for _ in range(repeats)]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(y / x for x, y in pairs)
    return Row(what, readable(a), readable(b), f"{ratio:.2f}")


def readable(duration: float) -> str:
    return f"{duration:.2f} s" if duration >= 1 else f"{duration * 1000:.2f} ms"


def table(rows: Sequence[Row]) -> str:
    lines = ["| what | ours | theirs | ratio |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.ours} | {row.theirs} | {row.ratio} |" for row in rows]
    return "\n".join(lines)


def peak(device: torch.device, run: Callable[[], Any]) -> int:
    """The peak of bytes in use during a call, minus those in use before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    # Linux: writing 5 there resets the peak of resident memory (VmHWM) to the current value.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def cost(device: torch.device, run: Callable[[], Any]) -> tuple[float, int]:
    """Seconds of one call, and its peak of bytes as in `peak`."""
    taken: list[float] = []
    used = peak(device, lambda: taken.append(seconds(run)))
    return taken[0], used


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024
