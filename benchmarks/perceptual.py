"""LPIPS of consecutive frames against the lpips package pair by pair; memory over many frames."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch

from dev.comfyui.lpips_weights import random_weights
from dev.measure import Row, paired, peak
from geodesic_morph.geometry.perceptual import lpips_network, measure

SIZE, FRAMES, MANY = 256, 64, 512


def rows(device: torch.device) -> list[Row]:
    network = lpips_network("alex", random_weights("alex")).to(device)
    return [_speed(network, device), _memory(network, device)]


def _images(count: int) -> torch.Tensor:
    return torch.rand(count, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(1))


def _speed(network: Any, device: torch.device) -> Row:
    images = _images(FRAMES)

    def ours() -> list[float]:
        return list(measure([images], network, "alex", 16, device).distances)

    @torch.no_grad()
    def theirs() -> list[float]:
        frames = images.movedim(-1, 1)
        pairs = pairwise(frame[None].to(device) for frame in frames)
        return [float(network(a, b, normalize=True)) for a, b in pairs]

    difference = max(abs(a - b) for a, b in zip(ours(), theirs(), strict=True))
    what = f"LPIPS of {FRAMES} frames of {SIZE}×{SIZE}, against lpips pair by pair"
    return paired(f"{what} (largest difference {difference:.0e})", ours, theirs, repeats=3)


def _memory(network: Any, device: torch.device) -> Row:
    peaks = []
    for count in (FRAMES, MANY):
        images = _images(count)
        peaks.append(peak(device, partial(measure, [images], network, "", 16, device)))
        del images
    what = f"peak memory of PPL, images apart: {MANY} frames (left), {FRAMES} frames (right)"
    few, many = (f"{peak / 2**20:.0f} MB" for peak in peaks)
    return Row(what, many, few, f"{peaks[1] / peaks[0]:.2f} (1 means constant)")
