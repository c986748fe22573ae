"""Measurements one after the other, each by itself, until the time is up."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dev.measure import Row, table

NO_TIME, FAILED = "left out: no time", "failed"
# The cells of a row beside its name: ours, theirs, and what they say.
Cells = tuple[str, str, str]


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    run: measures, and returns the row's cells. missing: what this machine lacks for it; empty where
    it can run. work: how much it computes, in evaluations of SD1.5 for a picture of 512×512.
    fixed: seconds that it takes besides.
    """

    name: str
    run: Callable[[], Cells]
    missing: str = ""
    work: float = 0.0
    fixed: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """A row, and whether its measurement failed."""

    row: Row
    failed: bool = False


class Budget:
    """How many seconds are left, and what a measurement will take of them.

    The speed of the card is learnt from the measurements that are done; the first one is begun
    without knowing it.
    """

    def __init__(self, seconds: float) -> None:
        self.start = time.monotonic()
        self.seconds = seconds
        self.work, self.spent = 0.0, 0.0

    @property
    def used(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.start

    def holds(self, measurement: Measurement) -> bool:
        """Whether a measurement would end in time."""
        pace = self.spent / self.work if self.work else 0.0
        return self.used + measurement.fixed + measurement.work * pace < self.seconds

    def learn(self, measurement: Measurement, seconds: float) -> None:
        """Note what a measurement took."""
        self.work += measurement.work
        self.spent += max(0.0, seconds - measurement.fixed) if measurement.work else 0.0


def outcomes(measurements: Sequence[Measurement], budget: Budget) -> Iterator[Outcome]:
    """A row for every measurement, in order; one that fails does not stop the others."""
    for measurement in measurements:
        if measurement.missing:
            yield Outcome(Row(measurement.name, measurement.missing, "", ""))
        elif not budget.holds(measurement):
            yield Outcome(Row(measurement.name, NO_TIME, "", ""))
        else:
            start = budget.used
            try:
                yield Outcome(Row(measurement.name, *measurement.run()))
            except Exception as error:
                traceback.print_exc()
                text = f"{type(error).__name__}: {error}".splitlines()[0].replace("|", "/")
                yield Outcome(Row(measurement.name, FAILED, "", text), failed=True)
            budget.learn(measurement, budget.used - start)


def report(
    measurements: Sequence[Measurement],
    budget: Budget,
    head: str,
    write: Callable[[str], object],
) -> int:
    """Measure everything; returns 1 if something failed, else 0.

    write: gets head and table anew after every row, so that a crash loses only what was running.
    """
    done: list[Outcome] = []
    for outcome in outcomes(measurements, budget):
        done.append(outcome)
        cells = (outcome.row.what, outcome.row.ours, outcome.row.theirs, outcome.row.ratio)
        print(" | ".join(filter(None, cells)), flush=True)
        write(f"{head}\n\n{table([one.row for one in done])}\n")
    return int(any(one.failed for one in done))
