"""The plan of a run: all settings that its numbers depend on, stored with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

from dev.workflows.building_blocks import COUPLINGS
from dev.workflows.settings import SMALL, SMALL_MODELS, SMALL_SETTINGS, Settings

OPTIMAL, ROW_ORDER, RANDOM = COUPLINGS


@dataclass(frozen=True)
class Plan:
    """Settings of a run. A run can only be continued with the same settings.

    checkpoint: a name in ComfyUI's models; digest: the first 16 digits of the file's SHA-256. size:
    width and height in pixels. frames: images of a path at equally spaced times, including both
    ends. seed: of the noise, the same for all images. random_seeds: number of random couplings of
    each pair. per_bin, choice_seed: how pairs are chosen. batch: images rendered at once. threads:
    of a worker on a CPU. kept_per_bin: pairs of each bin, the first chosen, whose images are kept.
    Raises ValueError for settings that cannot be run.
    """

    checkpoint: str = SMALL
    digest: str = ""
    size: int = SMALL_SETTINGS.size
    frames: int = 11
    steps: int = SMALL_SETTINGS.steps
    guidance: float = SMALL_SETTINGS.cfg
    sampler: str = "dpmpp_2m"
    scheduler: str = "karras"
    negative: str = SMALL_SETTINGS.negative
    seed: int = SMALL_SETTINGS.seed
    random_seeds: int = 1
    per_bin: int = 50
    choice_seed: int = 0
    backbone: str = SMALL_SETTINGS.backbone
    batch: int = 1
    threads: int = 1
    kept_per_bin: int = 1

    def __post_init__(self) -> None:
        least = {"frames": 2, "steps": 1, "random_seeds": 1, "batch": 1, "threads": 1, "size": 32}
        least |= {"kept_per_bin": 0, "guidance": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                option = name.replace("_", "-")
                raise ValueError(f"{option}: expected at least {value}, got {getattr(self, name)}.")
        if self.size % 8:
            raise ValueError(f"size: expected a multiple of 8 pixels, got {self.size}.")

    def paths(self, number: int) -> tuple[tuple[str, int], ...]:
        """The couplings of a pair with their seeds, which only "random" uses.

        Every pair has its own seeds: with the same seed all pairs would share one permutation of
        rows.
        """
        first = number * self.random_seeds
        drawn = [(RANDOM, first + k) for k in range(self.random_seeds)]
        return ((OPTIMAL, 0), (ROW_ORDER, 0), *drawn)

    @property
    def couplings(self) -> int:
        """The number of couplings of each pair."""
        return 2 + self.random_seeds

    @property
    def images_per_pair(self) -> int:
        """The number of renders: the two ends are rendered once for all paths of a pair."""
        return 2 + self.couplings * (self.frames - 2)

    def differences(self, other: Plan) -> list[str]:
        """The settings in which two plans differ, in words."""
        return [
            f"{f.name.replace('_', '-')} {getattr(self, f.name)!r}, not {getattr(other, f.name)!r}"
            for f in fields(self)
            if getattr(self, f.name) != getattr(other, f.name)
        ]


def defaults(checkpoint: str) -> Plan:
    """The default plan for a checkpoint: settings of the small one, or of SD1.5."""
    if checkpoint in SMALL_MODELS.values():
        return Plan(checkpoint)
    s = Settings()
    return Plan(checkpoint, size=s.size, steps=s.steps, guidance=s.cfg, negative="")


def file_digest(path: Path) -> str:
    """The first 16 digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
