"""A run goes on where it stopped, and its pages are of what was measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from study import __main__ as program
from study.paths import cli, experiments, kept, report, run
from study.paths.experiments import EXPERIMENTS, Experiment, Job
from study.paths.pairs import MOST, row_order_is_optimal, scenes
from study.paths.run import Plan
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER
from study.prompts.scene_pairs import same_scene


def test_pairs_have_something_to_compare() -> None:
    """Different scenes, row order optimal with neither model, all similarities in every prefix."""
    pairs = scenes()
    assert len(set(pairs)) == MOST
    assert not any(map(same_scene, pairs))
    for pair in pairs[:5]:
        assert not any(row_order_is_optimal(pair, model) for model in ("written", "reader"))
    whole = pd.Series([pair.similarity for pair in pairs])
    for count in (10, 12, 40):
        part = whole[:count]
        assert abs(part.mean() - whole.mean()) < 0.2
        assert part.max() - part.min() > 0.8 * (whole.max() - whole.min())


def made_up(job: Job) -> Iterator[dict[str, Any]]:
    """Films of known ratios: row order twice, random four times the steps of optimal transport."""
    for seed in (1, 2):
        for k, path in enumerate((OPTIMAL, ROW_ORDER, f"{RANDOM} 1")):
            size = 4**k * (job.number + seed) / 1000
            yield {"path": path, "noise_seed": seed, "steps": [size, 2 * size]}


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments without a model: what is tested here is the run."""
    monkeypatch.setattr(Plan, "engine", lambda *_: None)
    monkeypatch.setitem(EXPERIMENTS, "seeds", Experiment(12, made_up))


def paths(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["study", "paths", *map(str, options)])
    program.main()


@pytest.mark.usefixtures("no_engine")
def test_a_run_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time is over after one pair; then the rest is measured, and nothing twice."""
    folder = tmp_path / "run"
    elsewhere = ("--output", tmp_path / "results")
    paths(monkeypatch, "seeds", "--folder", folder, "--seconds", 0, *elsewhere)
    assert "11 of 12 parts are waiting; the same command goes on." in capsys.readouterr().out
    (done,) = folder.glob("*.parquet")
    first = done.stat().st_mtime_ns
    paths(monkeypatch, "seeds", "--folder", folder, *elsewhere)
    assert done.stat().st_mtime_ns == first
    assert len(list(folder.glob("*.parquet"))) == 12

    paths(monkeypatch, "report", "--folder", folder, "--output", tmp_path)
    page = (tmp_path / report.PAGE).read_text()
    assert "Pairs: 12 (written)." in page
    rows = [line for line in page.splitlines() if "√LPIPS length" in line]
    assert [row.split("|")[2].strip() for row in rows] == [
        "row order / optimal transport",
        "random / optimal transport",
        "random / row order",
    ]
    assert [row.split("|")[4].split("(")[0].strip(" *") for row in rows] == ["2.00", "4.00", "2.00"]
    assert (tmp_path / report.FIGURE).is_file()

    # Without the run's folder the page is written again from the Parquet file beside it.
    paths(monkeypatch, "report", "--folder", tmp_path / "nothing", "--output", tmp_path)
    assert (tmp_path / report.PAGE).read_text() == page


@pytest.mark.usefixtures("no_engine")
def test_a_run_goes_on_from_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new folder begins with the kept pairs of its plan; other models' rows stay beside it."""
    results = tmp_path / "results"
    paths(monkeypatch, "seeds", "--folder", tmp_path / "a", "--seconds", 0, "--output", results)
    other = ("--text-model", "reader", "--folder", tmp_path / "b", "--output", results)
    paths(monkeypatch, "seeds", *other)
    for folder in ("a", "b"):
        paths(monkeypatch, "report", "--folder", tmp_path / folder, "--output", results)
    page = (results / report.PAGE).read_text()
    assert (
        "Pairs: 12 (reader), 1 (written).\n\nToo few for a table, which needs 8 of the 12" in page
    )
    assert "ratio |" not in page
    before, plans = kept.read("seeds", results)
    assert plans["written"] == Plan() != plans["reader"]

    capsys.readouterr()
    paths(monkeypatch, "seeds", "--folder", tmp_path / "new", "--output", results)
    said = capsys.readouterr().out
    assert f"1 parts are taken over from {results}." in said
    assert "seeds, pair 1:" not in said
    assert "seeds, pair 2:" in said
    paths(monkeypatch, "report", "--folder", tmp_path / "new", "--output", results)
    after, _ = kept.read("seeds", results)
    page = (results / report.PAGE).read_text()
    assert "Pairs: 12 (reader), 12 (written)." in page
    assert "ratio |" in page
    same = pd.DataFrame(after[(after["model"] == "reader") | (after["pair"] == 0)])
    pd.testing.assert_frame_equal(same.reset_index(drop=True), before)

    # Of another plan nothing is taken, nor where all is to be measured anew.
    for folder, option in (("c", ("--steps", 3)), ("d", ("--anew",))):
        paths(monkeypatch, "seeds", *option, "--folder", tmp_path / folder, "--output", results)
        said = capsys.readouterr().out
        assert "taken over" not in said
        assert "seeds, pair 1:" in said


@pytest.mark.usefixtures("no_engine")
def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    run.run(Plan(), tmp_path, ["seeds"], 0)
    with pytest.raises(ValueError, match=r"holds another run: steps 8, not 20"):
        run.run(Plan(steps=20), tmp_path, ["seeds"], 0)


def test_a_checkpoint_needs_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "checkpoint_name", lambda name: name)
    with pytest.raises(ValueError, match="pairs: expected files of scored captions"):
        paths(monkeypatch, "seeds", "--checkpoint", "sd15.safetensors", "--folder", tmp_path)


def test_nothing_measured_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="nothing was measured yet"):
        paths(monkeypatch, "report", "--folder", tmp_path, "--output", tmp_path / "out")


@pytest.mark.comfyui
def test_every_experiment_runs_on_the_real_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pair, two steps, few frames; the page has a section for each."""
    monkeypatch.setattr(experiments, "NOISE_SEEDS", (42, 43))
    monkeypatch.setattr(experiments, "DRAWS", 2)
    monkeypatch.setattr(experiments, "LENGTHS", (5,))
    for name in ("FRAMES", "CONTENT_FRAMES", "PACE_FRAMES", "MEASURE_FRAMES"):
        monkeypatch.setattr(experiments, name, 5)
    for name, value in {"GUIDANCES": (4.0,), "SAMPLERS": ("euler",), "STEP_COUNTS": (2,)}.items():
        monkeypatch.setattr(experiments, name, value)
        monkeypatch.setattr(report, name, value)
    monkeypatch.setattr(report, "FEWEST", 1)
    plan = Plan(steps=2, count=1)
    assert run.run(plan, tmp_path / "run", list(EXPERIMENTS), float("inf")) == 0
    written = list(report.write([tmp_path / "run"], tmp_path))
    assert len(written) == len(EXPERIMENTS) + 2
    page = (tmp_path / report.PAGE).read_text()
    assert page.count("\nPairs: 1 (written).") == len(EXPERIMENTS)
    seeds = run.measured(plan, tmp_path / "run", "seeds")
    assert len(seeds) == 2 * (2 + 2)
    # The noise seed changes the film, and so does the coupling.
    assert len({tuple(steps) for steps in seeds["steps"]}) == len(seeds)
