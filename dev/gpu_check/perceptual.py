"""LPIPS of consecutive frames as Perceptual Path Length measures it, with random weights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

from dev.measure import seconds

from .budget import Cells
from .machine import Machine, told

BATCH = 16


def lpips(machine: Machine, backbone: str, side: int) -> Cells:
    """Frames in batches, against the lpips package pair by pair; memory against what is assumed."""
    frames = machine.sizes.measured
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(frames, side, side, 3, generator=generator)
    machine.random_lpips(backbone)
    measuring = machine.pack.metrics.measuring
    found: dict[str, Any] = {}

    def ours() -> None:
        steps = measuring.measure_on_device([images], backbone, BATCH, False)
        found["ours"] = steps.distances

    def theirs() -> None:
        pairs = pairwise(frame[None].to(metric.device) for frame in images.movedim(-1, 1))
        found["theirs"] = [float(metric.network(a, b, normalize=True)) for a, b in pairs]

    metric = measuring.load_metric(backbone, False, side * side)
    ours()
    taken = machine.cost(ours)
    pair_by_pair = min(seconds(theirs) for _ in range(2))
    batch = measuring.fitting_batch(
        backbone, min(BATCH, frames), side * side, torch.device(metric.device)
    )
    bytes_per_pixel = taken[1] / (side * side * (batch + measuring.HELD))
    differ = max(abs(a - b) for a, b in zip(found["ours"], found["theirs"], strict=True))
    said = (
        f"{pair_by_pair / taken[0]:.2f} times as fast, differ by {differ:.0e}; "
        f"{bytes_per_pixel:.0f} bytes a pixel and frame "
        f"({measuring.BYTES_PER_PIXEL[backbone]} are assumed)"
    )
    return told(*taken), told(pair_by_pair, 0).split(",")[0], said
