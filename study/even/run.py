"""Every way on every pair, one Parquet file a pair, so that a run can stop and go on."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from ..prompts.pairs import Pair
from .catalogue import SHOWN, Catalogue
from .engine import Engine
from .frames import Film, Frame, Remembered, Render
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


def waiting(plan: Plan, folder: Path) -> list[int]:
    """The numbers of the pairs that are not measured yet."""
    return [k for k in range(plan.pairs) if not part(folder, k).exists()]


def part(folder: Path, number: int) -> Path:
    return folder / f"pair-{number:03d}.parquet"


def measured(plan: Plan, folder: Path) -> pd.DataFrame:
    """All rows there are, one for each pair and way."""
    done = [part(folder, k) for k in range(plan.pairs) if part(folder, k).exists()]
    return pd.concat([pd.read_parquet(file) for file in done], ignore_index=True)


def run(plan: Plan, folder: Path, seconds: float, threads: int = 1) -> int:
    """Measure pairs until all are done or the time is over; returns how many still wait."""
    begin(plan, folder)
    todo = waiting(plan, folder)
    if not todo:
        return 0
    engine, pairs = Engine(threads), choose(plan.pairs, plan.seed)
    start, slowest = time.monotonic(), 0.0
    for k in todo:
        began = time.monotonic()
        if began - start + slowest > seconds:  # it would not be done in time
            break
        rows = list(measure(engine, plan, k, pairs[k]))
        unfinished = part(folder, k).with_suffix(".part")
        pd.DataFrame(rows).to_parquet(unfinished, index=False)
        os.replace(unfinished, part(folder, k))  # there as a whole or not at all
        slowest = max(slowest, time.monotonic() - began)
        print(f"pair {k + 1} of {plan.pairs}: {time.monotonic() - began:.0f} s", flush=True)
    return len(waiting(plan, folder))


def measure(engine: Engine, plan: Plan, number: int, pair: Pair) -> Iterator[dict[str, Any]]:
    """A row for each way."""
    with torch.inference_mode():
        render = Remembered(engine.renderer(pair.caption_a, pair.caption_b))
        for name, way in Catalogue(engine, plan.frames).ways(number).items():
            clock = Clock(render)
            start = time.perf_counter()
            film = way.film(clock)
            outside = time.perf_counter() - start - clock.seconds
            yield {
                "pair": number,
                **asdict(pair),
                "way": name,
                "group": way.group,
                "setting": way.setting,
                **evenness(engine.lpips(film.frames)),
                **quality(engine.judge, film.images),
                "renders": film.renders,
                "rounds": film.rounds,
                "outside": outside,
                **_frames(engine, film),
                "strip": png(film.images) if name in SHOWN else None,
            }


def _frames(engine: Engine, film: Film) -> dict[str, list[float]]:
    return {
        "times": [frame.t for frame in film.frames],
        "start_steps": [frame.start_step for frame in film.frames],
        "distances": engine.lpips(film.frames),
    }


class Clock:
    """A renderer that counts its seconds."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.seconds = 0.0

    def __call__(self, *arguments: Any) -> list[Frame]:
        start = time.perf_counter()
        done = self._render(*arguments)
        self.seconds += time.perf_counter() - start
        return done


def png(images: Tensor) -> bytes:
    """A film [F, H, W, 3] side by side, as a PNG file."""
    row = torch.cat(list(images), dim=1)
    picture = Image.fromarray((row * 255).round().clamp(0, 255).to(torch.uint8).numpy())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
