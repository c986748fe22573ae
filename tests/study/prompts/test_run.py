"""Runs on the real ComfyUI: from the command line, killed and taken up, by one worker and two."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dev.comfyui.environment import BASE, ROOT
from dev.workflows.settings import SMALL
from scenes import checkpoint
from study import __main__ as program
from study.prompts import cli, scene_pairs, store
from study.prompts import run as runs
from study.prompts.measurements import from_store
from study.prompts.pairs import BINS, Pair, write
from study.prompts.plan import Plan, defaults
from study.prompts.run import (
    RunRequest,
    RunState,
    checkpoint_digest,
    kept_numbers,
    run,
    same_metric,
)
from study.prompts.store import MeasuredPath, Result
from study.prompts.studio import Studio, Task

from .quick_runs import FLAGS, THREE, begin, measured

pytestmark = pytest.mark.usefixtures("threads", "one_studio")


def command(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    program.main()


@pytest.mark.comfyui
def test_ten_pairs_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pairs, a run, and all outputs from its results."""
    pairs, folder, output = tmp_path / "pairs.csv", tmp_path / "run", tmp_path / "output"
    command(["pairs", str(pairs), "--per-bin", "1"], monkeypatch)
    with pairs.open("a") as file:
        file.write("a red star,a red star,5,x\na red star,a blue star,,x\n")
    command(["run", str(folder), "--pairs", str(pairs), *FLAGS], monkeypatch)
    assert "10 pairs: 10 measured, 0 failed, 0 waiting" in capsys.readouterr().out
    for name in ("export", "figures"):
        command([name, str(folder), "--output", str(output)], monkeypatch)
    for name in ("table", "verdict"):
        command([name, str(folder)], monkeypatch)
    told = capsys.readouterr().out
    assert "| 0–0.5 | 1 |" in told
    assert "| 4.5–5 | 0 |" in told  # one scene in two wordings
    assert told.count("**") >= 4 * 2
    command(["report", str(folder), "--output", str(output)], monkeypatch)
    page = (output / "report.md").read_text()
    assert "10 of 10 pairs" in page
    assert "- identical captions: 1 row of the file" in page
    assert "- missing score: 1 row of the file" in page
    for name in ("boxes.png", "examples.jpg"):
        assert f"({name})" in page
        Image.open(output / name).verify()
    table = from_store(folder).table
    assert len(table) == 10 * 3
    assert min(table["relative_cost"]) >= 1 - 1e-12
    assert set(table["bin"]) == set(BINS)
    # Without the run, the exported file is enough.
    command(["verdict", str(output)], monkeypatch)
    assert capsys.readouterr().out.splitlines()[-4:] == told.splitlines()[-4:]


@pytest.mark.comfyui
def test_paths_of_a_pair_share_their_ends(tmp_path: Path) -> None:
    begin(tmp_path / "run", THREE[:1])
    kept = store.open_run(tmp_path / "run")
    films = kept.images(0)
    assert {len(film) for film in films.values()} == {3}
    assert len({film[0] for film in films.values()}) == 1
    assert len({film[-1] for film in films.values()}) == 1
    assert len({film[1] for film in films.values()}) > 1


@pytest.mark.comfyui
def test_killed_and_taken_up(tmp_path: Path) -> None:
    """kill -9 in the middle: the same command continues it, nothing is repeated or lost."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin(whole, THREE)
    pairs = str(whole.with_suffix(".csv"))
    arguments = ["run", str(killed), "--pairs", pairs, "--per-bin", "1", *FLAGS]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    before, took = measured(killed), seconds(killed)
    assert len(before) == 2 * 3  # two pairs by three couplings
    done = begin(killed)
    assert (done.measured, done.waiting) == (3, 0)
    assert measured(killed)[: len(before)] == before
    assert seconds(killed)[: len(took)] == took  # not measured a second time
    assert measured(killed) == measured(whole)
    # And once more there is nothing to do.
    assert begin(killed) == done


KILLED = """
import os, signal
from study import __main__ as program
from study.prompts.studio import Studio

measure, begun = Studio.measure, []

def die(self, task):
    begun.append(task)
    found = measure(self, task)
    if len(begun) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

Studio.measure = die
program.main()
"""


def seconds(folder: Path) -> list[float]:
    """The seconds of each pair: two measurements of a pair never take exactly the same time."""
    return [one.seconds for one in store.open_run(folder).results()]


def pairs_of(folder: Path) -> list[Pair]:
    return list(store.open_run(folder).pairs.values())


def test_every_pair_has_random_couplings_of_its_own() -> None:
    plan = Plan(random_seeds=2)
    seeds = [seed for number in range(5) for name, seed in plan.paths(number) if name == "random"]
    assert len(set(seeds)) == 10
    assert Plan(frames=11).images_per_pair == 29


@pytest.mark.comfyui
def test_a_failing_pair_does_not_stop_the_rest(tmp_path: Path) -> None:
    """17 and 18 chunks of 77 rows would need 306: refused, recorded, counted; can be retried."""
    long = [" ".join(["star"] * 75 * chunks) for chunks in (17, 18)]
    pairs = [Pair(long[0], long[1], 0.2), Pair("a red star", "a blue (star)", 3.0)]
    folder = tmp_path / "run"
    done = begin(folder, pairs)
    assert (done.measured, done.failed, done.waiting) == (1, 1, 0)
    (reason,) = from_store(folder).failures.values()
    first = seconds(folder)
    assert reason.startswith("ValueError: ")
    assert "rows" in reason
    assert begin(folder, pairs).failed == 1
    assert seconds(folder) == first  # not tried again by itself
    assert begin(folder, pairs, retry_failed=True).failed == 1
    repeated = [now != then for now, then in zip(seconds(folder), first, strict=True)]
    assert repeated == [pair.caption_a == long[0] for pair in pairs_of(folder)]


@pytest.mark.comfyui
def test_prompts_of_different_length_are_measured(tmp_path: Path) -> None:
    """77 rows and 154: ends and middle have different numbers of rows, and go apart."""
    long = Pair("a red star", " ".join(["a blue heart on white"] * 20), 1.0)
    assert begin(tmp_path / "run", [long]).measured == 1


@pytest.mark.comfyui
def test_a_run_keeps_its_settings(tmp_path: Path) -> None:
    """Another setting, pair file or checkpoint is an error that names it; no options continue."""
    folder = tmp_path / "run"
    begin(folder, THREE[:1])
    with pytest.raises(ValueError, match=r"other settings \(given: guidance 4.0, not 1.0\)"):
        begin(folder, options={"guidance": 4.0})
    with pytest.raises(ValueError, match="holds a run with other pairs"):
        begin(folder, THREE[1:])
    with sqlite3.connect(folder / store.FILE) as db:
        plan = db.execute("SELECT plan FROM run").fetchone()[0]
        digest = checkpoint_digest(SMALL)
        db.execute("UPDATE run SET plan = ?", (plan.replace(digest, "0" * 16),))
    with pytest.raises(ValueError, match="is not the file that"):
        run(RunRequest(folder, {}, cpu=True))
    with sqlite3.connect(folder / store.FILE) as db:
        db.execute("UPDATE run SET plan = ?", (plan,))
        db.execute("""UPDATE run SET environment = '{"torch": "1.0"}'""")
    with pytest.raises(ValueError, match=r"begun with other versions than torch 2"):
        run(RunRequest(folder, {}, cpu=True))


def test_one_metric_a_run() -> None:
    """A run is not continued after other weights were put into models/lpips."""
    path = MeasuredPath("random", 1, 1.0, (0.1,), "LPIPS alex")
    one = Result(0, (path,), None, 1.0, "CPU")
    assert same_metric(None, one) == "LPIPS alex"
    assert same_metric("LPIPS alex", Result(1, (), "failed", 1.0, "CPU")) == "LPIPS alex"
    with pytest.raises(ValueError, match="was measured by LPIPS vgg, now it is LPIPS alex"):
        same_metric("LPIPS vgg", one)


@pytest.mark.comfyui
def test_a_broken_machine_does_not_use_up_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in which everything fails stops; failed pairs can be tried again."""

    def broken(_self: Studio, _task: Task) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access")

    folder = tmp_path / "run"
    monkeypatch.setattr(Studio, "measure", broken)
    monkeypatch.setattr(runs, "MOST_FAILED", 2)
    with pytest.raises(ValueError, match=r"2 pairs in a row failed.*illegal memory access"):
        begin(folder, THREE)
    assert len(store.open_run(folder).waiting()) == 1
    monkeypatch.undo()
    assert begin(folder, THREE, retry_failed=True).measured == 3


@pytest.mark.comfyui
def test_bad_settings_are_named(tmp_path: Path) -> None:
    bad: dict[str, Any] = {"frames": 1, "steps": 0, "random_seeds": 0, "batch": 0, "size": 65}
    bad |= {"kept_per_bin": -1, "guidance": -1.0, "sampler": "eulr", "scheduler": "none"}
    for name, value in bad.items():
        with pytest.raises(ValueError, match=name.replace("_", "-")):
            begin(tmp_path / name, options={name: value})
    with pytest.raises(ValueError, match=r"expected a deterministic one .* got 'euler_anc"):
        begin(tmp_path / "stochastic", options={"sampler": "euler_ancestral"})
    with pytest.raises(ValueError, match="workers: expected at least 1, got 0"):
        begin(tmp_path / "workers", workers=0)
    with pytest.raises(ValueError, match="captions: expected with --pairs"):
        begin(tmp_path / "captions", captions=tmp_path / "dataset_coco.json")
    empty = tmp_path / "empty.csv"
    write([], empty, "test")
    with pytest.raises(ValueError, match="no usable pair"):
        begin(tmp_path / "empty", files=[empty])


def test_images_kept_are_those_of_the_first_pairs() -> None:
    pairs = dict(enumerate(scene_pairs.generate(3, 0)))
    kept = kept_numbers(pairs, 2)
    assert len(kept) == 20
    for edge in BINS:
        own = [number for number, pair in pairs.items() if pair.bin == edge]
        assert [number for number in own if number in kept] == own[:2]
    assert kept_numbers(pairs, 0) == set()


@pytest.mark.comfyui
def test_a_checkpoint_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file anywhere is used with SD1.5's settings, and needs pairs of its own."""
    assert defaults("sd15.safetensors") == Plan(
        "sd15.safetensors", size=512, steps=20, guidance=7.0
    )
    models = BASE / "models" / "checkpoints"
    mine = tmp_path / f"{tmp_path.name}.safetensors"
    mine.symlink_to(checkpoint.ensure(models / SMALL))
    pairs = tmp_path / "pairs.csv"
    write([Pair("a red star", "a blue star", 3.0)], pairs, "test")
    arguments = ["run", str(tmp_path / "run"), "--checkpoint", str(mine), *FLAGS]
    try:
        with pytest.raises(ValueError, match=r"expected a file of prompt pairs \(--pairs\)"):
            command(arguments, monkeypatch)
        command([*arguments, "--pairs", str(pairs), "--size", "64"], monkeypatch)
    finally:
        (models / mine.name).unlink(missing_ok=True)
    assert "1 measured" in capsys.readouterr().out
    assert store.open_run(tmp_path / "run").plan.checkpoint == mine.name
    with pytest.raises(ValueError, match="checkpoint: absent is neither a file nor a name"):
        command(["run", str(tmp_path / "other"), "--checkpoint", "absent"], monkeypatch)


def test_other_errors_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is not finished, or in which everything failed, ends with status 1."""
    monkeypatch.setattr(cli, "run", lambda _: RunState(pairs=3, measured=1, failed=0, waiting=2))
    with pytest.raises(SystemExit, match="1"):
        command(["run", str(tmp_path)], monkeypatch)

    def stopped(_: RunRequest) -> RunState:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", stopped)
    with pytest.raises(SystemExit, match="continue with the same command"):
        command(["run", str(tmp_path)], monkeypatch)
