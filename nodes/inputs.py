"""The socket types of this pack, their Python types, and inputs that several nodes share.

A conditioning may hold several entries (ConditioningCombine, timestep ranges, areas). A prompt
socket carries a tuple with one object per entry, in their order; entries are paired by position.

GEODESIC_CLOUD      tuple[geometry.cloud.PointCloud, ...]
GEODESIC_COUPLING   tuple[geometry.coupling.Coupling, ...]
GEODESIC_PATH       tuple[geometry.path.Path, ...]
GEODESIC_TIMES      geometry.times.Times
GEODESIC_STEPS      geometry.perceptual.Steps
GEODESIC_NOISE_PATH nodes.noise.path.NoisePath
GEODESIC_IMAGE_PATH nodes.noise.images.ImagePath
GEODESIC_DENSITY    nodes.density.path.DensityPath
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..geometry.coupling import METHODS, OPTIMAL, Coupling
from ..geometry.path import Path, path_of_coupling
from ..geometry.times import ENDINGS, MAX_FRAMES, STOP

Cloud = io.Custom("GEODESIC_CLOUD")
CouplingSocket = io.Custom("GEODESIC_COUPLING")
PathSocket = io.Custom("GEODESIC_PATH")
TimesSocket = io.Custom("GEODESIC_TIMES")
StepsSocket = io.Custom("GEODESIC_STEPS")
NoisePathSocket = io.Custom("GEODESIC_NOISE_PATH")
ImagePathSocket = io.Custom("GEODESIC_IMAGE_PATH")
DensitySocket = io.Custom("GEODESIC_DENSITY")

# ComfyUI's own type for curves, which older versions do not have.
Curve = io.Custom("CURVE")

# Categories.
PROMPT, METRICS = "geodesic/prompt", "geodesic/metrics"
NOISE, DENSITY, RENDER = "geodesic/noise", "geodesic/density", "geodesic/render"

MAX_SEED = 0xFFFFFFFFFFFFFFFF
# 240 frames of SD1.5 in one batch ask for 20 to 39 GB; 8 fit on every card that runs SD1.5.
FRAMES_PER_BATCH = 8

PAIRING_SEED = "Seed of the 'random' pairing. The other methods do not use it."


def path_input(id: str, tooltip: str, *more: Any) -> Any:
    """An input that takes a path, or a coupling, which is a path with one leg.

    more: further types that it takes.
    """
    return io.MultiType.Input(id, types=[PathSocket, CouplingSocket, *more], tooltip=tooltip)


def method_input() -> io.Combo.Input:
    """How the rows of two prompts are paired."""
    return io.Combo.Input(
        "method",
        options=list(METHODS),
        default=OPTIMAL,
        tooltip="How rows are paired. 'optimal transport' moves them the least and gives the "
        "shortest path; 'row order' is the ordinary prompt blend; 'random' is there to compare "
        "with, a long way round.",
    )


def weight_input() -> io.Float.Input:
    """The relative length of a leg in time."""
    return io.Float.Input(
        "weight",
        default=1.0,
        min=0.01,
        max=1000.0,
        step=0.01,
        tooltip="Relative length in time of the leg that ends here.",
    )


def seed_input(tooltip: str = PAIRING_SEED) -> io.Int.Input:
    """A seed that stays as it is after a run."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=MAX_SEED,
        # A seed that changes after each run would change the morph, or render it again in vain.
        control_after_generate=False,
        tooltip=tooltip,
    )


def frames_per_batch_input(optional: bool = False) -> io.Int.Input:
    """How many frames one batch may hold."""
    return io.Int.Input(
        "frames_per_batch",
        default=FRAMES_PER_BATCH,
        min=0,
        max=MAX_FRAMES,
        optional=optional,
        tooltip="The largest number of frames that the sampler works on at once; 0 means all. "
        "Lower it when memory runs out. With a deterministic sampler the frames stay the same.",
    )


def ending_input() -> io.Combo.Input:
    """What comes after the last keyframe."""
    return io.Combo.Input(
        "ending",
        options=list(ENDINGS),
        default=STOP,
        tooltip="'stop' ends at the last prompt, 'ping-pong' goes there and back, 'loop' closes "
        "the path to the first prompt so that the video cycles.",
    )


def fps_input() -> io.Float.Input:
    """Frames per second, for places written in seconds."""
    return io.Float.Input(
        "fps",
        default=24.0,
        min=0.01,
        max=1000.0,
        step=0.01,
        tooltip="Frames per second: places in seconds are counted with it.",
    )


def as_paths(value: Sequence[Path | Coupling]) -> tuple[Path, ...]:
    """The paths that `path_input` received; a coupling becomes a path."""
    return tuple(
        path_of_coupling(entry) if isinstance(entry, Coupling) else entry for entry in value
    )


def check_entries(a: Sequence[Any], b: Sequence[Any], names: tuple[str, str]) -> None:
    """Raise ValueError unless both have the same number of conditioning entries."""
    if len(a) != len(b):
        raise ValueError(
            f"{names[0]} and {names[1]}: expected the same number of conditioning entries, got "
            f"{len(a)} and {len(b)}. Entries are paired by position; combine both prompts in the "
            "same way."
        )
