"""Noise paths: each method against the plain mix, the authors' own COG, memory over many frames."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, paired, peak, readable, seconds

FRAMES, SD15 = 60, (4, 64, 64)
MANY, SDXL = 240, (4, 128, 128)
VIDEO = (16, 13, 32, 32)


def rows(cpu: bool) -> list[Row]:
    import_comfyui(cpu)
    return [*_times(), _authors(), *_memory()]


def _path(frames: int, method: str) -> Any:
    """A NOISE of this many frames from one seed to another."""
    pack = pack_nodes()
    first = pack.noise.nodes.GeodesicNoiseKeyframe.execute(1, 1.0)[0]
    path = pack.noise.nodes.GeodesicNoiseKeyframe.execute(2, 1.0, None, first)[0]
    times = pack.times.nodes.GeodesicTimes.execute(frames, "linear", "stop", "")[0]
    return pack.noise.nodes.GeodesicNoiseAlong.execute(path, times, method)[0]


def _latent(frames: int, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"samples": torch.zeros(frames, *shape)}


def _times() -> list[Row]:
    """COG and SLERP alternately with LERP, the cheapest mix; NAO once, because it takes seconds."""
    latent = _latent(FRAMES, SD15)
    plain = partial(_path(FRAMES, "LERP").generate_noise, latent)
    what = f"noise path of {FRAMES} frames of SD1.5"
    ratios = [
        paired(f"{what}: {method} against LERP", partial(made.generate_noise, latent), plain, 15)
        for method in ("COG", "SLERP")
        for made in (_path(FRAMES, method),)
    ]
    slow = seconds(partial(_path(FRAMES, "NAO").generate_noise, latent))
    fast = min(seconds(plain) for _ in range(5))
    row = Row(f"{what}: NAO against LERP", readable(slow), readable(fast), f"{fast / slow:.1e}")
    return [*ratios, row]


def _authors() -> Row:
    """COG of the same two noises by PyPI's lolatents."""
    from lolatents.lol_torch import lol_gaussian

    latent = _latent(FRAMES, SD15)
    noise = _path(FRAMES, "COG")
    ends = noise.generate_noise(latent)[[0, -1]].flatten(1)
    t = torch.linspace(0, 1, FRAMES)
    weights = torch.stack([1 - t, t], dim=1)
    return paired(
        f"COG path of {FRAMES} frames of SD1.5, draws included, against lolatents without them",
        partial(noise.generate_noise, latent),
        lambda: lol_gaussian(weights, ends),
        15,
    )


def _memory() -> list[Row]:
    """Sizes large enough to show up beside the memory that the process already holds."""
    return [
        _peak("COG", MANY, SDXL, f"{MANY} frames at 1024×1024"),
        _peak("NAO", 11, VIDEO, "11 frames, each a video latent 16×13×32×32"),
    ]


def _peak(method: str, frames: int, shape: tuple[int, ...], what: str) -> Row:
    latent = _latent(frames, shape)
    noise = _path(frames, method)
    _path(frames, method).generate_noise(_latent(frames, (4, 8, 8)))  # loads libraries first
    used = peak(torch.device("cpu"), partial(noise.generate_noise, latent))
    result = latent["samples"].nbytes
    return Row(
        f"peak memory of {method}, {what} (left), its result (right)",
        f"{used / 2**20:.0f} MB",
        f"{result / 2**20:.0f} MB",
        f"{used / result:.2f} (1 is the minimum)",
    )
