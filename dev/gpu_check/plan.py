"""All measurements, the most important ones first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch

from dev.families.tiny import SDXL

from . import films, perceptual, searches
from .budget import Cells, Measurement
from .machine import PROMPTS, Machine
from .sizes import FULL, SD15, Film, evaluation

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
NO_CARD, NO_HALVES = "needs a card", "needs a model of true size"
NO_DYNAMIC = "needs a ComfyUI with dynamic VRAM"
# Seconds to draw a model's weights and to load it, and to start a process with ComfyUI in it.
BUILD, PROCESS = {SD15: 3.0, SDXL: 8.0}, 25.0
# A step of training costs as much as this many evaluations of its pictures; LPIPS of a frame as
# much as this part of one.
BACKWARD, LPIPS = 4.0, 0.2
DYNAMIC = ", under dynamic VRAM"
Run = Callable[..., Cells]


def plan(machine: Machine, apart: Callable[[str], Cells], cpu: bool) -> list[Measurement]:
    """Every measurement. apart: runs one of `under_dynamic_vram` in a process of its own."""
    sizes = machine.sizes
    small, large, short, long = sizes.small, sizes.large, sizes.short, sizes.long
    card = NO_CARD if cpu else ""
    halves = card or ("" if sizes is FULL else NO_HALVES)
    dynamic = card or ("" if find_spec("comfy_aimdo") else NO_DYNAMIC)
    return [
        share(machine, SD15, small, short),
        share(machine, SDXL, large, short),
        text_inversion(machine, searches.text_inversion, " (left), as many steps of KSampler"),
        text_inversion(
            *(machine, searches.partial_offload, ", half of the model on the card (left), all"),
            missing=halves,
        ),
        *(
            Measurement(one.name, partial(apart, one.name), dynamic, one.work, PROCESS)
            for one in under_dynamic_vram(machine)
        ),
        *(precision(machine, dtype) for dtype in DTYPES),
        fitting(machine, SD15, small),
        fitting(machine, SDXL, large),
        morph_sampler(machine, SD15, small),
        morph_sampler(machine, SDXL, large),
        *(lpips(machine, backbone, small) for backbone in sizes.backbones),
        lpips(machine, sizes.backbones[0], large),
        inversion(machine),
        density_path(machine),
        share(machine, SD15, small, long),
        share(machine, SD15, large, short),
        share(machine, SDXL, small, short),
        share(machine, SDXL, large, long),
        share(machine, SD15, large, long),
        share(machine, SDXL, small, long),
        fitting(machine, SD15, large),
        fitting(machine, SDXL, small),
    ]


def under_dynamic_vram(machine: Machine) -> list[Measurement]:
    """What is measured under dynamic VRAM, for a machine that has it switched on."""
    sizes = machine.sizes
    return [
        share(machine, SD15, sizes.small, sizes.short, DYNAMIC),
        text_inversion(
            *(machine, searches.dynamic_text_inversion, f"{DYNAMIC} (left), without it")
        ),
    ]


def share(machine: Machine, name: str, side: int, film: Film, more: str = "") -> Measurement:
    what = f"{name}, {film.frames} frames of {side}×{side}, {film.steps} steps{more}"
    told = f"{what}: Morph Schedule and KSampler (left), KSampler alone"
    work = 2 * film.frames * film.steps * PROMPTS * evaluation(name, side)
    return _of(machine, told, films.share, (name, side, film), work, BUILD[name])


def fitting(machine: Machine, name: str, side: int) -> Measurement:
    what = f"{name}, {side}×{side}: frames at once by 'what fits' (left), the fastest by hand"
    # What fits, all, and smaller numbers, one step each.
    work = 2.5 * machine.sizes.most * PROMPTS * evaluation(name, side)
    return _of(machine, what, films.fitting, (name, side), work, BUILD[name])


def morph_sampler(machine: Machine, name: str, side: int) -> Measurement:
    film = machine.sizes.short
    what = f"{name}, {film.frames} frames of {side}×{side}, {film.steps} steps"
    told = f"{what}: Morph Sampler (left), Morph Schedule and KSampler"
    work = 3 * film.frames * film.steps * PROMPTS * evaluation(name, side)
    return _of(machine, told, films.morph_sampler, (name, side, film), work, BUILD[name])


def precision(machine: Machine, dtype: torch.dtype) -> Measurement:
    side, film = machine.sizes.small, machine.sizes.single
    name = str(dtype).removeprefix("torch.")
    what = f"{SD15} in {name}, {film.frames} frames of {side}×{side}: in one batch (left), singly"
    work = 2 * film.frames * film.steps * PROMPTS * evaluation(SD15, side)
    work *= dtype.itemsize / 2
    return _of(machine, what, films.precision, (SD15, side, dtype), work)


def text_inversion(machine: Machine, run: Run, how: str, missing: str = "") -> Measurement:
    side, steps = machine.sizes.small, machine.sizes.fit
    what = f"Text Inversion, {SD15} at {side}×{side}, {steps} steps{how}"
    work = 2 * steps * searches.DRAWS * BACKWARD * evaluation(SD15, side)
    return _of(machine, what, run, (SD15, side), work, missing=missing)


def lpips(machine: Machine, backbone: str, side: int) -> Measurement:
    frames = machine.sizes.measured
    what = f"LPIPS {backbone} of {frames} frames of {side}×{side}"
    told = f"{what} (left), the lpips package pair by pair"
    work = 5 * frames * LPIPS * (side / machine.sizes.small) ** 2
    return _of(machine, told, perceptual.lpips, (backbone, side), work)


def inversion(machine: Machine) -> Measurement:
    sizes = machine.sizes
    what = f"Invert Image, {SD15}, {sizes.pictures} pictures of {sizes.small}×{sizes.small}"
    told = f"{what} (left), KSampler on as many"
    work = 2 * sizes.pictures * (2 * sizes.inversion + 2) * evaluation(SD15, sizes.small)
    return _of(machine, told, searches.inversion, (SD15, sizes.small), work)


def density_path(machine: Machine) -> Measurement:
    sizes = machine.sizes
    what = f"Density Path, {SD15}, {sizes.levels} levels at {sizes.small}×{sizes.small}"
    told = f"{what} (left), KSampler on as many pictures"
    points = 2**sizes.levels - 1
    work = 4 * points * sizes.iterations * PROMPTS * evaluation(SD15, sizes.small)
    return _of(machine, told, searches.density_path, (SD15, sizes.small), work)


def _of(
    machine: Machine,
    name: str,
    run: Run,
    arguments: tuple[Any, ...],
    work: float,
    fixed: float = BUILD[SD15],
    missing: str = "",
) -> Measurement:
    """A measurement that begins with an empty card, in inference mode as ComfyUI's nodes do."""

    def begin() -> Cells:
        with torch.inference_mode():
            machine.clean()
            return run(machine, *arguments)

    return Measurement(name, begin, missing, work, fixed)
