"""The results of a run as one tidy table: read from its store, or from its Parquet file."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .. import parquet
from . import store
from .pairs import Excluded
from .plan import OPTIMAL, Plan

FILE = "measurements.parquet"


@dataclass(frozen=True, eq=False)
class Measurements:
    """table: a row for each path, that is, for each pair, coupling and seed:

    pair, caption_a, caption_b, similarity, bin; coupling, seed; cost, relative_cost (cost divided
    by that of the optimal coupling; NaN where that is 0); ppl (mean of the steps), sum, pdv (their
    variance), largest, steps (LPIPS of consecutive images); metric, seconds (of the whole pair),
    device. failures: reason by pair. waiting: pairs without a result yet.
    """

    plan: Plan
    environment: dict[str, str]
    table: pd.DataFrame
    failures: dict[int, str]
    excluded: tuple[Excluded, ...]
    waiting: int

    @property
    def pairs(self) -> int:
        """All pairs of the run."""
        return self.measured + len(self.failures) + self.waiting

    @property
    def measured(self) -> int:
        return len(set(self.table["pair"]))

    @property
    def excluded_reasons(self) -> list[tuple[str, int]]:
        """The reasons why rows were left out, with their numbers, the most frequent first."""
        return Counter(row.reason for row in self.excluded).most_common()

    @property
    def images_per_second(self) -> float:
        """The rate of one worker, from the mean time of a pair; NaN without any pair."""
        seconds = self.table.drop_duplicates("pair")["seconds"].to_numpy(float)
        return self.plan.images_per_pair / float(seconds.mean()) if len(seconds) else np.nan


def load(folder: Path) -> Measurements:
    """Load a run, or its exported file, from a folder. Raises ValueError without either."""
    if store.exists(folder) or not (folder / FILE).is_file():
        return from_store(folder)
    return from_parquet(folder / FILE)


def from_store(folder: Path) -> Measurements:
    """Read a run. Raises ValueError if there is none."""
    kept = store.open_run(folder)
    try:
        kept.freeze()  # another process may add results while this one reads
        pairs, results = kept.pairs, kept.results()
        rows = []
        for result in results:
            pair = pairs[result.pair]
            about = (result.pair, pair.caption_a, pair.caption_b, pair.similarity, pair.bin)
            least = next((path.cost for path in result.paths if path.coupling == OPTIMAL), np.nan)
            for path in result.paths:
                steps = np.array(path.distances)
                relative = path.cost / least if least else np.nan
                rows.append(
                    (
                        *about,
                        path.coupling,
                        path.seed,
                        path.cost,
                        relative,
                        steps.mean(),
                        steps.sum(),
                        steps.var(),
                        steps.max(),
                        path.distances,
                        path.metric,
                        result.seconds,
                        result.device,
                    )
                )
        failures = {r.pair: r.failure for r in results if r.failure is not None}
        waiting = len(kept.waiting())
        environment, excluded = kept.environment, tuple(kept.excluded)
        return Measurements(kept.plan, environment, _table(rows), failures, excluded, waiting)
    finally:
        kept.close()


_COLUMNS = {
    **{"pair": "int64", "caption_a": "str", "caption_b": "str", "similarity": "float64"},
    **{"bin": "float64", "coupling": "str", "seed": "int64", "cost": "float64"},
    **{"relative_cost": "float64", "ppl": "float64", "sum": "float64", "pdv": "float64"},
    **{"largest": "float64", "steps": "object", "metric": "str", "seconds": "float64"},
    "device": "str",
}


def _table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def export(measurements: Measurements, path: Path) -> None:
    """Write the table as Parquet, with plan, failures and exclusions in the file's metadata."""
    about = {
        "plan": asdict(measurements.plan),
        "environment": measurements.environment,
        "failures": {str(pair): reason for pair, reason in measurements.failures.items()},
        "excluded": [asdict(row) for row in measurements.excluded],
        "waiting": measurements.waiting,
    }
    parquet.write(measurements.table, about, path)


def from_parquet(path: Path) -> Measurements:
    """Read what `export` wrote. Raises ValueError for another file."""
    command = "python -m study export"
    table, about = parquet.read(path, command)
    try:
        return Measurements(
            Plan(**about["plan"]),
            about["environment"],
            table,
            {int(pair): reason for pair, reason in about["failures"].items()},
            tuple(Excluded(**row) for row in about["excluded"]),
            about["waiting"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} was not written by `{command}` ({error}).") from error
