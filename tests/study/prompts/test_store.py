"""The store of a run: results are complete or absent, unique, and written by one process."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dev.comfyui.environment import ROOT
from study.prompts import store
from study.prompts.pairs import Excluded, Pair
from study.prompts.plan import OPTIMAL, RANDOM, Plan
from study.prompts.store import MeasuredPath, Result

PAIRS = [Pair("a", "b", 1.0), Pair("c", "d", 4.5), Pair("e", "f", 0.0)]
LEFT_OUT = [Excluded("pairs.csv", 3, "missing score")]


def result(pair: int, failure: str | None = None) -> Result:
    paths = (
        MeasuredPath(OPTIMAL, 0, 80.5, (0.1, 1 / 3), "LPIPS alex", (b"one", b"two", b"three")),
        MeasuredPath(RANDOM, 1, 120.25, (0.2, 1e-9), "LPIPS alex"),
    )
    return Result(pair, () if failure else paths, failure, 1.5, "CPU")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store.create(tmp_path, Plan(guidance=1.0), PAIRS, LEFT_OUT, {"torch": "2"})
    return tmp_path


def test_all_that_was_put_in_comes_out(folder: Path) -> None:
    kept = store.open_run(folder)
    assert kept.plan == Plan(guidance=1.0)
    assert list(kept.pairs.values()) == PAIRS
    assert kept.excluded == LEFT_OUT
    assert kept.environment == {"torch": "2"}
    kept.add(result(1))
    kept.add(result(0, "ValueError: too long"))
    kept.close()
    again = store.open_run(folder)
    assert again.waiting() == [2]
    failed, measured = again.results()
    assert failed == result(0, "ValueError: too long")
    # Images are read by pair, so that results of ten thousand pairs fit into memory.
    assert [path.distances for path in measured.paths] == [(0.1, 1 / 3), (0.2, 1e-9)]
    assert again.images(1) == {(OPTIMAL, 0): [b"one", b"two", b"three"]}
    assert again.images(0) == {}


def test_a_pair_is_kept_once(folder: Path) -> None:
    kept = store.open_run(folder)
    kept.add(result(1))
    with pytest.raises(sqlite3.IntegrityError):
        kept.add(result(1))
    assert len(kept.results()) == 1


def test_failures_are_forgotten_and_nothing_else(folder: Path) -> None:
    kept = store.open_run(folder)
    kept.add(result(0, "out of memory"))
    kept.add(result(1))
    assert kept.forget_failures() == 1
    assert kept.waiting() == [0, 2]
    assert [path.coupling for path in kept.results()[0].paths] == [OPTIMAL, RANDOM]


KILLED = """
import os, signal, sys
from pathlib import Path
from study.prompts import store
from tests.study.prompts.test_store import result
kept = store.open_run(Path(sys.argv[1]))
kept.add(result(0))
with kept._db:
    kept._db.execute("INSERT INTO results VALUES (1, NULL, 1.5, 'CPU')")
    # More than SQLite keeps in memory, so that half of it is in the file already.
    big = [(1, "random", 0, k, bytes(1 << 20)) for k in range(20)]
    kept._db.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?)", big)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_while_writing_leaves_no_half_pair(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = store.open_run(folder)
    assert kept.waiting() == [1, 2]
    kept.add(result(1))
    assert [len(one.paths) for one in kept.results()] == [2, 2]


def test_a_half_created_run_is_none(tmp_path: Path) -> None:
    """A file of an attempt that was killed is written anew, not taken for a run."""
    (tmp_path / f"{store.FILE}.new").write_bytes(b"half a file")
    assert not store.exists(tmp_path)
    store.create(tmp_path, Plan(), PAIRS, [], {})
    assert store.open_run(tmp_path).waiting() == [0, 1, 2]
    assert os.listdir(tmp_path) == [store.FILE]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        store.locked(tmp_path),
        pytest.raises(ValueError, match="another process is working on this run"),
        store.locked(tmp_path),
    ):
        pass
    with store.locked(tmp_path):  # free again
        pass


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no run: there is no run\.sqlite"):
        store.open_run(tmp_path)
    (tmp_path / store.FILE).write_text("something else, long enough to be looked at" * 30)
    with pytest.raises(ValueError, match="not a run of this version"):
        store.open_run(tmp_path)
