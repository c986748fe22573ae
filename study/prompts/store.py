"""One SQLite file with everything of a run: its plan, its pairs, and the results of each pair.

SQLite, because a result must be stored completely or not at all, even if the process is killed or
the power fails while it is written.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .pairs import Excluded, Pair
from .plan import Plan

FILE, LOCK = "run.sqlite", "run.lock"
PATIENCE = 60  # seconds to wait for another process that reads

_TABLES = """
CREATE TABLE run (plan TEXT NOT NULL, environment TEXT NOT NULL);
CREATE TABLE pairs (
    pair INTEGER PRIMARY KEY, caption_a TEXT NOT NULL, caption_b TEXT NOT NULL,
    similarity REAL NOT NULL);
CREATE TABLE excluded (file TEXT NOT NULL, line INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE results (
    pair INTEGER PRIMARY KEY REFERENCES pairs, failure TEXT,
    seconds REAL NOT NULL, device TEXT NOT NULL);
CREATE TABLE paths (
    pair INTEGER NOT NULL REFERENCES results ON DELETE CASCADE, coupling TEXT NOT NULL,
    seed INTEGER NOT NULL, cost REAL NOT NULL, distances TEXT NOT NULL, metric TEXT NOT NULL,
    PRIMARY KEY (pair, coupling, seed));
CREATE TABLE images (
    pair INTEGER NOT NULL REFERENCES results ON DELETE CASCADE, coupling TEXT NOT NULL,
    seed INTEGER NOT NULL, frame INTEGER NOT NULL, png BLOB NOT NULL,
    PRIMARY KEY (pair, coupling, seed, frame));
"""


@dataclass(frozen=True)
class MeasuredPath:
    """One path. distances: LPIPS of consecutive images; images: PNG files, if they are kept."""

    coupling: str
    seed: int
    cost: float
    distances: tuple[float, ...]
    metric: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Result:
    """The result of a pair: all its paths, or the reason for its failure. seconds: its duration."""

    pair: int
    paths: tuple[MeasuredPath, ...]
    failure: str | None
    seconds: float
    device: str


class Store:
    """The open file of a run. Use `create` or `open_run`, and `close`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.execute("PRAGMA foreign_keys = ON")
        plan, environment = self._db.execute("SELECT plan, environment FROM run").fetchone()
        self.plan = Plan(**json.loads(plan))
        self.environment: dict[str, str] = json.loads(environment)

    def close(self) -> None:
        self._db.close()

    @property
    def pairs(self) -> dict[int, Pair]:
        """All pairs by number, in the order in which they are measured."""
        rows = self._db.execute(
            "SELECT pair, caption_a, caption_b, similarity FROM pairs ORDER BY pair"
        )
        return {number: Pair(*rest) for number, *rest in rows}

    @property
    def excluded(self) -> list[Excluded]:
        return [
            Excluded(*row) for row in self._db.execute("SELECT file, line, reason FROM excluded")
        ]

    def waiting(self) -> list[int]:
        """Numbers of the pairs without a result."""
        rows = self._db.execute(
            "SELECT pair FROM pairs WHERE pair NOT IN (SELECT pair FROM results) ORDER BY pair"
        )
        return [number for (number,) in rows]

    def results(self) -> list[Result]:
        """All results in the order of the pairs, without their images."""
        paths: dict[int, list[MeasuredPath]] = {}
        for pair, coupling, seed, cost, distances, metric in self._db.execute(
            "SELECT pair, coupling, seed, cost, distances, metric FROM paths ORDER BY rowid"
        ):
            path = MeasuredPath(coupling, seed, cost, tuple(json.loads(distances)), metric)
            paths.setdefault(pair, []).append(path)
        rows = self._db.execute("SELECT pair, failure, seconds, device FROM results ORDER BY pair")
        return [Result(pair, tuple(paths.get(pair, ())), *rest) for pair, *rest in rows]

    def failed(self) -> int:
        """How many pairs failed."""
        return self._db.execute(
            "SELECT count(*) FROM results WHERE failure IS NOT NULL"
        ).fetchone()[0]

    def metric(self) -> str | None:
        """The name of the metric of this run; None before there is a result."""
        row = self._db.execute("SELECT metric FROM paths LIMIT 1").fetchone()
        return None if row is None else row[0]

    def freeze(self) -> None:
        """From the next query on this object sees the run as it is at that moment."""
        self._db.execute("BEGIN")

    def images(self, pair: int) -> dict[tuple[str, int], list[bytes]]:
        """The kept images of a pair, by coupling and seed, as PNG files in order."""
        films: dict[tuple[str, int], list[bytes]] = {}
        for coupling, seed, png in self._db.execute(
            "SELECT coupling, seed, png FROM images WHERE pair = ? ORDER BY rowid", (pair,)
        ):
            films.setdefault((coupling, seed), []).append(png)
        return films

    def add(self, result: Result) -> None:
        """Store a result in one transaction. Raises sqlite3.IntegrityError if the pair has one
        already.
        """
        pair = result.pair
        with self._db:
            row = (pair, result.failure, result.seconds, result.device)
            self._db.execute("INSERT INTO results VALUES (?, ?, ?, ?)", row)
            for path in result.paths:
                key = (pair, path.coupling, path.seed)
                values = (path.cost, json.dumps(path.distances), path.metric)
                self._db.execute("INSERT INTO paths VALUES (?, ?, ?, ?, ?, ?)", (*key, *values))
                frames = [(*key, k, png) for k, png in enumerate(path.images)]
                self._db.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?)", frames)

    def forget_failures(self) -> int:
        """Let failed pairs wait again; returns how many there were."""
        with self._db:
            return self._db.execute("DELETE FROM results WHERE failure IS NOT NULL").rowcount


def create(
    folder: Path,
    plan: Plan,
    pairs: Sequence[Pair],
    excluded: Sequence[Excluded],
    environment: Mapping[str, str],
) -> None:
    """Write the file of a new run, completely or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{FILE}.new"
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as db, db:
        db.executescript(_TABLES)
        row = (json.dumps(asdict(plan)), json.dumps(dict(environment)))
        db.execute("INSERT INTO run VALUES (?, ?)", row)
        db.executemany(
            "INSERT INTO pairs VALUES (?, ?, ?, ?)",
            [(k, p.caption_a, p.caption_b, p.similarity) for k, p in enumerate(pairs)],
        )
        db.executemany(
            "INSERT INTO excluded VALUES (?, ?, ?)", [(e.file, e.line, e.reason) for e in excluded]
        )
    unfinished.rename(folder / FILE)


def exists(folder: Path) -> bool:
    return (folder / FILE).is_file()


def open_run(folder: Path) -> Store:
    """Open the run in a folder. Raises ValueError if there is none, or one of another version."""
    if not exists(folder):
        raise ValueError(f"{folder} holds no run: there is no {FILE} in it.")
    try:
        return Store(sqlite3.connect(folder / FILE, timeout=PATIENCE))
    except (sqlite3.DatabaseError, TypeError) as error:
        raise ValueError(f"{folder / FILE} is not a run of this version ({error}).") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run against a second process. Raises ValueError if it is locked already."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another process is working on this run.") from None
        yield
