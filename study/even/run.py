"""Every way on every pair, one Parquet file a pair, so that a run can stop and go on."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from ..prompts.pairs import Pair
from .catalogue import GROUPS, SHOWN, Catalogue, on
from .engine import Engine
from .frames import Frame, Remembered, Render
from .pairs import MEASURED, choose
from .quality import evenness, quality

PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What is measured. Raises ValueError for fewer than two pairs or too few frames."""

    pairs: int = 40
    frames: int = 24
    seed: int = MEASURED

    def __post_init__(self) -> None:
        if self.pairs < 2 or self.frames < 12:
            raise ValueError(
                "pairs and frames: expected at least 2 pairs and 12 frames, got "
                f"{self.pairs} and {self.frames}."
            )


def begin(plan: Plan, folder: Path) -> None:
    """Make a run's folder, or find that it holds a run of the same plan; else ValueError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / PLAN
    wanted = asdict(plan)
    if not file.exists():
        file.write_text(json.dumps(wanted))
    elif (found := json.loads(file.read_text())) != wanted:
        raise ValueError(f"folder: {folder} holds a run of {found}, not of {wanted}.")


def parts(plan: Plan) -> list[tuple[str, int]]:
    """What is measured piece by piece, in order: a group of ways on a pair."""
    return [(group, k) for group in GROUPS for k in range(plan.pairs) if on(k, group)]


def file_of(folder: Path, part: tuple[str, int]) -> Path:
    return folder / f"{part[0]}-{part[1]:03d}.parquet"


def waiting(plan: Plan, folder: Path) -> list[tuple[str, int]]:
    """The parts that are not measured yet."""
    return [part for part in parts(plan) if not file_of(folder, part).exists()]


def measured(plan: Plan, folder: Path) -> pd.DataFrame:
    """All rows there are, one for each pair and way."""
    files = [file_of(folder, part) for part in parts(plan)]
    return pd.concat([pd.read_parquet(file) for file in files if file.exists()], ignore_index=True)


def run(plan: Plan, folder: Path, seconds: float, threads: int = 1) -> int:
    """Measure until all is done or the time is over; returns how many parts still wait."""
    begin(plan, folder)
    todo = waiting(plan, folder)
    if not todo:
        return 0
    start, slowest = time.monotonic(), 0.0
    engine, pairs = Engine(threads), choose(plan.pairs, plan.seed)
    for group, k in todo:
        began = time.monotonic()
        if began - start + slowest > seconds:  # it would not be done in time
            break
        rows = list(measure(engine, plan, group, k, pairs[k]))
        file = file_of(folder, (group, k))
        unfinished = file.with_suffix(".part")
        pd.DataFrame(rows).to_parquet(unfinished, index=False)
        os.replace(unfinished, file)  # there as a whole or not at all
        slowest = max(slowest, time.monotonic() - began)
        print(
            f"{group}, pair {k + 1} of {plan.pairs}: {time.monotonic() - began:.0f} s", flush=True
        )
    return len(waiting(plan, folder))


def measure(
    engine: Engine, plan: Plan, group: str, number: int, pair: Pair
) -> Iterator[dict[str, Any]]:
    """A row for each way of a group."""
    with torch.inference_mode():
        render = Remembered(engine.renderer(pair.caption_a, pair.caption_b))
        for name, way in Catalogue(engine, plan.frames).ways(group).items():
            clock = Clock(render)
            start = time.perf_counter()
            film = way.film(clock)
            outside = time.perf_counter() - start - clock.seconds
            distances = engine.lpips(film.frames)
            yield {
                "pair": number,
                **asdict(pair),
                "way": name,
                "group": group,
                "setting": way.setting,
                **evenness(distances),
                **quality(engine.judge, film.images),
                "renders": film.renders,
                "rounds": film.rounds,
                "outside": outside,
                "times": [frame.t for frame in film.frames],
                "start_steps": [frame.start_step for frame in film.frames],
                "distances": distances,
                "strip": png(film.images) if name in SHOWN else None,
            }


class Clock:
    """A renderer that counts its seconds."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.seconds = 0.0

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]:
        start = time.perf_counter()
        done = self._render(times, start_steps, states, guidance)
        self.seconds += time.perf_counter() - start
        return done


def png(images: Tensor) -> bytes:
    """A film [F, H, W, 3] side by side, as a PNG file."""
    row = torch.cat(list(images), dim=1)
    picture = Image.fromarray((row * 255).round().clamp(0, 255).to(torch.uint8).numpy())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
