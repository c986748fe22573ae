"""What works on a loaded model itself: Text Inversion, Invert Image, Density Path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dev.families.tiny import Family
from dev.measure import readable, seconds

from .budget import Cells
from .machine import Machine, counted, relative, told

# Draws of noise in a step of Text Inversion, and images that it makes room for.
DRAWS, ROOM = 2, 8
RATE, LEVEL = 0.01, 0.6
GIB = 2**30
# A model before and after: the same up to the rounding of half precision.
SAME = 0.01


def fitted(machine: Machine, family: Family, side: int) -> tuple[tuple[float, int], Tensor]:
    """Seconds and peak bytes of Text Inversion, and the prompt's rows [1, T, D] after it.

    Raises RuntimeError unless all rows are finite and moved, and the model samples as before.
    """
    prompt, latent = family.prompt(1), machine.latent(family, side)
    picture, found = machine.pictures(family, side, 1), []
    execute = machine.pack.density.nodes.GeodesicTextInversion.execute

    def run(steps: int = machine.sizes.fit) -> None:
        found.append(execute(family.model, prompt, picture, steps, RATE, 0)[0][0][0].float())

    # Before the first steps too, as people render before they fit.
    before = machine.sampled(family, prompt, latent, 1)
    run(1)
    taken = machine.cost(run)
    if not bool(torch.isfinite(found[-1]).all()) or torch.equal(found[-1], prompt[0][0]):
        raise RuntimeError("expected finite rows that moved, got others")
    after = machine.sampled(family, prompt, latent, 1)
    if relative(after, before) > SAME:
        raise RuntimeError("expected a model that samples as before Text Inversion, got another")
    return taken, found[-1].cpu()


def text_inversion(machine: Machine, name: str, side: int) -> Cells:
    """The model loaded whole, against as many steps of KSampler on as many pictures."""
    family = machine.family(name)
    ours, _ = fitted(machine, family, side)
    latents = machine.copies(family, side, DRAWS)
    prompt, steps = family.prompt(1), machine.sizes.fit
    theirs = machine.cost(lambda: machine.sampled(family, prompt, latents, steps, cfg=1.0))
    return told(*ours), told(*theirs), f"{ours[0] / theirs[0]:.1f} times as long"


def partial_offload(machine: Machine, name: str, side: int) -> Cells:
    """Half of the model on the card, against all of it."""
    family = machine.family(name)
    theirs, whole = fitted(machine, family, side)
    machine.clean()
    size = family.model.model_size()
    with _room_for_half(machine, family, side):
        ours, part = fitted(machine, family, side)
        loaded = family.model.loaded_size()
    machine.clean()
    if not 0 < loaded < size:
        raise RuntimeError(f"expected a part of {size} bytes on the card, got {loaded}")
    said = f"{loaded / size:.0%} of the model on the card; rows differ by"
    return told(*ours), told(*theirs), f"{said} {relative(part, whole):.1e}"


@contextmanager
def _room_for_half(machine: Machine, family: Family, side: int) -> Iterator[None]:
    """ComfyUI's --reserve-vram at what leaves room for half of the model, and for its work."""
    management, model = machine.management, family.model
    shape = machine.latent(family, side)["samples"].shape
    work = max(0.8 * GIB, model.memory_required([ROOM, *shape[1:]]))
    free = management.get_free_memory(machine.device)
    before = management.EXTRA_RESERVED_VRAM
    management.EXTRA_RESERVED_VRAM = int(free - work - model.model_size() / 2)
    try:
        yield
    finally:
        management.EXTRA_RESERVED_VRAM = before


def dynamic_text_inversion(machine: Machine, name: str, side: int) -> Cells:
    """A model under dynamic VRAM, against the same model without it."""
    family = machine.family(name)
    if not family.model.is_dynamic():
        raise RuntimeError("expected a model under dynamic VRAM, got one without")
    theirs, plain = fitted(machine, machine.fresh(name, None), side)
    machine.clean()
    ours, rows = fitted(machine, family, side)
    return told(*ours), told(*theirs), f"rows differ by {relative(rows, plain):.1e}"


def inversion(machine: Machine, name: str, side: int) -> Cells:
    """Evaluations a second of Invert Image, against KSampler's on as many pictures."""
    family, count, steps = machine.family(name), machine.sizes.pictures, machine.sizes.inversion
    pictures = machine.pictures(family, side, count)
    model, evaluations = counted(family)
    invert = machine.pack.noise.nodes.GeodesicInvert.execute

    def ours(steps: int = steps) -> None:
        evaluations.clear()
        invert(model, family.prompt(1), pictures, steps, 1.0, 1)

    def theirs() -> None:
        evaluations.clear()
        latents = machine.copies(family, side, count)
        machine.sampled(Family(name, model, family.kind), family.prompt(1), latents, 2 * steps, 1.0)

    ours(1)
    return _rates(ours, theirs, evaluations)


def density_path(machine: Machine, name: str, side: int) -> Cells:
    """Evaluations a second of Density Path, against KSampler's on as many pictures."""
    sizes, family = machine.sizes, machine.family(name)
    model, evaluations = counted(family)
    path, prompt = machine.coupling(family), family.prompt(1)
    invert = machine.pack.noise.nodes.GeodesicInvert.execute
    both = machine.pictures(family, side, 2)["samples"].split(1)
    ends = [invert(model, prompt, {"samples": one}, 2, LEVEL, 1)[0] for one in both]

    def ours(iterations: int = sizes.iterations) -> None:
        evaluations.clear()
        settings = (9, 0.002, sizes.levels, iterations, 0.1, "noise difference", 0)
        execute = machine.pack.density.nodes.GeodesicDensityPath.execute
        execute(model, path, family.prompt(0), *ends, *settings)

    def theirs() -> None:
        evaluations.clear()
        latents = machine.copies(family, side, 2**sizes.levels - 1)
        machine.sampled(Family(name, model, family.kind), prompt, latents, sizes.iterations)

    ours(1)
    theirs()
    return _rates(ours, theirs, evaluations)


def _rates(ours: Any, theirs: Any, evaluations: list[int]) -> Cells:
    cells, rates = [], []
    for run in (ours, theirs):
        taken = seconds(run)
        rates.append(sum(evaluations) / taken)
        cells.append(f"{rates[-1]:.1f} evaluations a second ({readable(taken)})")
    return cells[0], cells[1], f"{rates[0] / rates[1]:.2f} of KSampler's rate"
