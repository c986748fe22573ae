"""Morphs through ComfyUI's sampler: the pack's share, batches that fit, and half precision."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from dev.families.matrix import times
from dev.families.tiny import Family, Pixels
from dev.measure import readable

from .budget import Cells
from .machine import CFG, PROMPTS, Machine, counted, relative, told
from .sizes import Film

AIM, STEPS = 0.02, 20  # the largest share that the pack may take of a run of so many steps
TRIED = 4  # numbers of frames that are tried by hand grow by this factor


def batches(machine: Machine, family: Family, side: int, film: Film) -> list[tuple[Any, Any]]:
    """Prompts and latents of all frames, from Point Cloud to Morph Schedule."""
    path = machine.coupling(family)
    schedule = machine.pack.schedule.nodes.GeodesicSchedule.execute
    along = times(machine.pack, film.frames)
    found = schedule(path, along, machine.latent(family, side), film.per_batch).result
    return list(zip(found[0], found[1], strict=True))


def rendered(machine: Machine, family: Family, side: int, film: Film) -> Tensor:
    """The latents of all frames."""
    parts = batches(machine, family, side, film)
    return torch.cat([machine.sampled(family, *part, film.steps) for part in parts])


def share(machine: Machine, name: str, side: int, film: Film) -> Cells:
    """A morph against the same batches of one plain prompt."""
    family = machine.family(name)
    own: list[float] = []

    def with_pack() -> None:
        start = time.perf_counter()
        parts = batches(machine, family, side, film)
        for positive, _ in parts:
            _ = [entry[0] for entry in positive]  # made when they are read, again by the sampler
        own.append(time.perf_counter() - start)
        for part in parts:
            machine.sampled(family, *part, film.steps)

    def alone() -> None:
        for start in range(0, film.frames, film.per_batch):
            latents = machine.copies(family, side, min(film.per_batch, film.frames - start))
            machine.sampled(family, family.prompt(1), latents, film.steps)

    # Loads the model, and imports what the chart of the coupling needs.
    for part in batches(machine, family, side, Film(film.per_batch, 1, film.per_batch)):
        machine.sampled(family, *part, 1)
    theirs = machine.cost(alone)
    ours = machine.cost(with_pack)
    own_share = own[-1] / (own[-1] + theirs[0] / film.steps * STEPS)
    said = f"the pack's own {readable(own[-1])}: {own_share:.2%} of a run of {STEPS} steps"
    more = f"(aim: below {AIM:.0%}); {ours[0] / theirs[0]:.3f} times as long"
    return told(*ours), told(*theirs), f"{said} {more}"


def fitting(machine: Machine, name: str, side: int) -> Cells:
    """The number of frames at once that Morph Sampler chooses, against all that can be tried."""
    internals = machine.pack.internals
    family, most, steps = machine.family(name), machine.sizes.most, 1

    def run(count: int) -> None:
        latents = machine.copies(family, side, count)
        machine.sampled(family, family.prompt(1), latents, steps)

    run(1)
    shape = machine.latent(family, side)["samples"].shape[1:]
    chosen = internals.fitting_frames(family.model, shape, most)
    powers = {TRIED**k for k in range(10) if TRIED**k < most}
    tried: dict[int, tuple[float, int]] = {}
    for count in sorted({*powers, chosen, most}):
        try:
            tried[count] = machine.cost(lambda count=count: run(count))
        except machine.management.OOM_EXCEPTION:
            machine.management.soft_empty_cache()
            break

    def pace(count: int) -> float:
        return tried[count][0] / count / steps

    def cell(count: int) -> str:
        peak = tried[count][1] / 2**30
        return f"{count}: {readable(pace(count))} a frame and step, {peak:.2f} GB"

    if chosen not in tried:
        raise RuntimeError(f"{chosen} frames were to fit, but memory ran out")
    best = min(tried, key=pace)
    said = f"{pace(best) / pace(chosen):.2f} of the best speed; {max(tried)} of {most} ran"
    return cell(chosen), cell(best), said


def morph_sampler(machine: Machine, name: str, side: int, film: Film) -> Cells:
    """A whole even morph, against a film of as many frames at equal times."""
    family = machine.family(name)
    path, latent = machine.coupling(family), machine.latent(family, side)
    model, evaluations = counted(family)

    def even(frames: int = film.frames) -> None:
        evaluations.clear()
        machine.pack.render.nodes.GeodesicMorphSampler.execute(
            *(model, path, family.prompt(0), latent, Pixels(), frames),
            seed=1,
            steps=film.steps,
            cfg=CFG,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            share=0.5,
            bridge="strong",
            distance="latent",
            ending="stop",
            frames_per_batch=0,
        )

    even(2)
    theirs = machine.cost(lambda: rendered(machine, family, side, film))
    ours = machine.cost(even)
    work = sum(evaluations) / (film.frames * film.steps * PROMPTS)
    mean = sum(evaluations) / len(evaluations) / PROMPTS
    said = f"{theirs[0] / ours[0]:.2f} times as fast with {work:.0%} of the evaluations"
    return told(*ours), told(*theirs), f"{said}, {mean:.1f} frames at once in the mean"


def precision(machine: Machine, name: str, side: int, dtype: torch.dtype) -> Cells:
    """Frames in one batch against the same frames one by one."""
    family, film = machine.fresh(name, dtype), machine.sizes.single
    single = Film(film.frames, film.steps, 1)
    found: dict[int, Tensor] = {}

    def run(which: Film) -> None:
        found[which.per_batch] = rendered(machine, family, side, which)

    rendered(machine, family, side, Film(2, 1, 2))
    ours, theirs = machine.cost(lambda: run(film)), machine.cost(lambda: run(single))
    together, apart = found[film.per_batch], found[1]
    worst = relative(together, apart)
    mean = float((together - apart).abs().mean() / apart.abs().mean())
    other = float((together != apart).float().mean())
    said = f"differ by {worst:.1e} at most, {mean:.1e} in the mean; {other:.0%} of the values"
    return told(*ours), told(*theirs), said
