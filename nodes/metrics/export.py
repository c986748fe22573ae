"""Measured steps, couplings and times as JSON and CSV, for notebooks and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...geometry.coupling import Coupling, relative_cost, total_cost
from ...geometry.perceptual import Steps
from ...geometry.times import Times
from ..output_files import numbered
from ..prompt.tokens import row_labels

# One line for each number of each table; a column that a table does not have stays empty.
COLUMNS = (
    "table",
    "part",
    "prompt",
    "frame",
    "value",
    "source_row",
    "target_row",
    "distance",
    "count",
    "source_word",
    "target_word",
)


@dataclass(frozen=True, eq=False)
class Exported:
    """What was connected. texts: the prompts of the coupling's source and target, where known."""

    steps: Steps | None
    couplings: Sequence[Coupling] | None
    times: Times | None
    texts: tuple[str | None, str | None] = (None, None)

    def as_json(self) -> str:
        """All numbers with their names; infinities and NaN are null."""
        found: dict[str, Any] = {}
        if self.steps is not None:
            found["steps"] = _steps(self.steps)
        if self.couplings is not None:
            found["coupling"] = {
                "cost": total_cost(self.couplings),
                "relative_cost": _finite(relative_cost(self.couplings)),
                "parts": [_part(c, self.texts) for c in self.couplings],
            }
        if self.times is not None:
            found["times"] = {
                "ending": self.times.ending,
                "end": self.times.end,
                "values": list(self.times.values),
            }
        return json.dumps(found, indent=1, allow_nan=False)

    def as_csv(self) -> str:
        """The same as one long table; its column `table` says what a line belongs to."""
        out = io.StringIO()
        writer: csv.DictWriter[str] = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._lines())
        return out.getvalue()

    def _lines(self) -> Iterator[dict[str, Any]]:
        for frame, distance in enumerate(self.steps.distances if self.steps else ()):
            yield {"table": "steps", "frame": frame, "value": distance}
        for part, coupling in enumerate(self.couplings or ()):
            for pair in _pairs(coupling, self.texts):
                yield {"table": "coupling", "part": part, **pair}
        for frame, t in enumerate(self.times.values if self.times else ()):
            yield {"table": "times", "frame": frame, "value": t}


def _steps(steps: Steps) -> dict[str, Any]:
    return {
        "metric": steps.metric,
        "squared": steps.squared,
        "distances": list(steps.distances),
        "closing": _finite(steps.closing),
        "mean": steps.mean,
        "total": steps.total,
        "variance": steps.variance,
        "largest": steps.largest,
        "smoothness": steps.smoothness,
    }


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


def _part(coupling: Coupling, texts: Sequence[str | None]) -> dict[str, Any]:
    return {
        "method": coupling.method,
        "seed": coupling.seed,
        "source_rows": coupling.source.rows,
        "target_rows": coupling.target.rows,
        "pairs": list(_pairs(coupling, texts)),
    }


def _pairs(coupling: Coupling, texts: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    """Each pair once, with how often it occurs; a row of zeros has no number."""
    clouds = coupling.source, coupling.target
    words = [row_labels(t, c.rows, c.width) for t, c in zip(texts, clouds, strict=True)]
    for b in range(coupling.source.batch):
        pairs = (values.tolist() for values in coupling.distinct_pairs(b))
        for pair, distance, count in zip(*pairs, strict=True):
            named = [
                (row if row < cloud.rows else None, word[row] if word and row < len(word) else None)
                for row, cloud, word in zip(pair, clouds, words, strict=True)
            ]
            yield {
                "prompt": b,
                "source_row": named[0][0],
                "target_row": named[1][0],
                "distance": distance,
                "count": count,
                "source_word": named[0][1],
                "target_word": named[1][1],
            }


def save(exported: Exported, filename_prefix: str) -> list[Path]:
    """Write both forms into ComfyUI's output folder, numbered; returns the files.

    Raises ValueError, naming the input, for a prefix that leads outside that folder.
    """
    start = numbered(filename_prefix)
    texts = {"json": exported.as_json(), "csv": exported.as_csv()}
    files = [start.with_name(f"{start.name}.{ending}") for ending in texts]
    for file, text in zip(files, texts.values(), strict=True):
        file.write_text(text, encoding="utf-8")
    return files
