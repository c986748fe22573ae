"""The socket types of this pack, what travels on them, and inputs that several nodes share.

A conditioning may hold several entries (ConditioningCombine, timestep ranges, areas). A prompt
socket carries a tuple with one object per entry, in their order; entries are paired by position.

GEODESIC_CLOUD      tuple[geometry.cloud.PointCloud, ...]
GEODESIC_COUPLING   tuple[geometry.coupling.Coupling, ...]
GEODESIC_PATH       tuple[geometry.path.Path, ...]
GEODESIC_TIMES      geometry.times.Times
GEODESIC_STEPS      geometry.perceptual.Steps
GEODESIC_NOISE_PATH nodes.noise_path.NoisePath
GEODESIC_DENSITY    nodes.density_path.DensityPath
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..geometry.coupling import METHODS, OPTIMAL, Coupling
from ..geometry.path import Path, path_of_coupling

Cloud = io.Custom("GEODESIC_CLOUD")
CouplingSocket = io.Custom("GEODESIC_COUPLING")
PathSocket = io.Custom("GEODESIC_PATH")
TimesSocket = io.Custom("GEODESIC_TIMES")
StepsSocket = io.Custom("GEODESIC_STEPS")
NoisePathSocket = io.Custom("GEODESIC_NOISE_PATH")
DensitySocket = io.Custom("GEODESIC_DENSITY")

# Categories.
PROMPT, METRICS = "geodesic/prompt", "geodesic/metrics"
NOISE, DENSITY = "geodesic/noise", "geodesic/density"
MAX_SEED = 0xFFFFFFFFFFFFFFFF


def path_input(id: str, tooltip: str) -> Any:
    """An input that takes a path, or a coupling as the path of its one leg."""
    return io.MultiType.Input(id, types=[PathSocket, CouplingSocket], tooltip=tooltip)


def method_input() -> io.Combo.Input:
    return io.Combo.Input(
        "method",
        options=list(METHODS),
        default=OPTIMAL,
        tooltip="How rows are paired. 'optimal transport' moves them the least and gives the "
        "shortest path; 'row order' is the ordinary prompt blend; 'random' shows what a bad "
        "pairing does.",
    )


PAIRING_SEED = "Seed of the 'random' pairing; the other methods ignore it."


def weight_input() -> io.Float.Input:
    return io.Float.Input(
        "weight",
        default=1.0,
        min=0.01,
        max=1000.0,
        step=0.01,
        tooltip="Relative length in time of the leg that ends here.",
    )


def seed_input(tooltip: str = PAIRING_SEED) -> io.Int.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=MAX_SEED,
        # A seed that changed by itself would change a morph, or re-render one it has no part in.
        control_after_generate=False,
        tooltip=tooltip,
    )


def as_paths(value: Sequence[Path | Coupling]) -> tuple[Path, ...]:
    """What `path_input` received, as paths."""
    return tuple(path_of_coupling(one) if isinstance(one, Coupling) else one for one in value)


def check_entries(a: Sequence[Any], b: Sequence[Any], names: tuple[str, str]) -> None:
    """Raise ValueError unless both have the same number of conditioning entries."""
    if len(a) != len(b):
        raise ValueError(
            f"{names[0]} and {names[1]}: expected the same number of conditioning entries, got "
            f"{len(a)} and {len(b)}. Entries are paired by position; combine both prompts alike."
        )
