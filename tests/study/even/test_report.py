"""A run stops and goes on; its page says of every goal whether it was met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from study.even import pairs, report, run
from study.even.catalogue import (
    BISECTED,
    BLENDING,
    CURVE,
    EQUAL,
    FIRST,
    GOALS,
    IN_TIME,
    LATENT,
    MANY,
    MORE,
    ONE,
    PEERS,
    PLACED,
    RETIMED,
    ROOTS,
    SHARES,
    SHOWN,
    VARIED,
)
from study.even.run import Plan
from study.prompts.scene_pairs import generate, same_scene

LARGEST = {EQUAL: 0.4, PLACED: 0.08, MORE: 0.08}
RENDERS = {PLACED: 10.0, MORE: 20.0}
WAYS = {
    GOALS: (EQUAL, PLACED, MORE, LATENT),
    PEERS: (RETIMED, ROOTS, BISECTED, BLENDING),
    VARIED: (IN_TIME, ONE, MANY),
    CURVE: ("latest step 10", "latest step 19"),
    SHARES: ("share 0.2", "share 0.4"),
}


def table(count: int = 4) -> pd.DataFrame:
    """A run of known numbers; pair k is k hundredths worse."""
    film = run.png(torch.rand(24, 8, 8, 3, generator=torch.Generator().manual_seed(0)))
    rows: list[dict[str, Any]] = []
    for k in range(count):
        for group, ways in WAYS.items():
            for way in ways:
                rows.append(
                    {
                        "pair": k,
                        "caption_a": f"a {k}",
                        "caption_b": f"b {k}",
                        "way": way,
                        "group": group,
                        "setting": float(way[-2:]) if group == CURVE else float("nan"),
                        "largest": LARGEST.get(way, 0.1) + k / 100,
                        "renders": RENDERS.get(way, 24.0),
                        **dict.fromkeys(("sum", "cv", "strays", "rounds"), 0.5),
                        **dict.fromkeys(("confidence", "sharpness", "outside"), 0.9),
                        "strip": film if way in SHOWN else None,
                    }
                )
    return pd.DataFrame(rows)


def test_a_ratio_is_of_means_and_inside_its_interval() -> None:
    """(0.08 + 0.015) / (0.4 + 0.015); against itself it is exactly 1."""
    found, low, high = report.ratio(table(), PLACED, "largest")
    assert found == pytest.approx(0.095 / 0.415)
    assert low <= found <= high
    assert report.ratio(table(), PLACED, "largest", PLACED) == (1.0, 1.0, 1.0)


def test_goals_are_met_or_not() -> None:
    """0.23 is met at 0.25 and not at 0.15; equal CVs are not met at 0.4."""
    lines = report.goals(table()).splitlines()[2:]
    marks = ["not met" not in line for line in lines]
    assert marks == [True, True, False, True, False, False, True]


def test_the_page_and_its_files_are_written(tmp_path: Path) -> None:
    """Strips are of the worst, the median and the best pair; the table has no pictures."""
    report.write(table(), Plan(pairs=4), tmp_path)
    page = (tmp_path / report.PAGE).read_text()
    assert "pairs\n4 for the goals, 4 for peers" in page
    assert "worst pair (3)" in page
    assert "best pair (0)" in page
    assert "nan" not in page
    assert "strip" not in pd.read_parquet(tmp_path / report.TABLE).columns
    assert Image.open(tmp_path / report.STRIPS).size == (24 * 8, 9 * 8 + 2 * 2)
    assert Image.open(tmp_path / report.CURVES).width > 500


def test_pairs_are_of_different_scenes_and_not_the_tuned_ones() -> None:
    """Two wordings of one scene are left out; the choice is the same everywhere."""
    chosen = pairs.choose(40)
    assert len({(p.caption_a, p.caption_b) for p in chosen}) == 40
    assert not any(same_scene(pair) for pair in chosen)
    assert chosen == pairs.choose(40)
    assert not set(chosen) & set(pairs.choose(8, pairs.TUNING))
    assert any(same_scene(pair) for pair in generate(20, 0))
    similarities = [pair.similarity for pair in chosen]
    assert min(similarities) < 1
    assert max(similarities) > 3.5


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are there are not measured again; a group is done before the next begins."""
    asked: list[tuple[str, int]] = []

    def measure(
        _engine: Any, _plan: Plan, group: str, number: int, _pair: Any
    ) -> list[dict[str, Any]]:
        asked.append((group, number))
        return [{"pair": number, "group": group, "way": EQUAL, "distances": [0.5]}]

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.setattr(run, "Engine", lambda _threads: None)
    plan = Plan(pairs=3)
    every = [0, 1, 2]
    groups = {GOALS: every, PEERS: every, CURVE: [0], FIRST: [0], SHARES: [0], VARIED: every}
    whole = [(group, k) for group, numbers in groups.items() for k in numbers]
    assert run.run(plan, tmp_path, seconds=-1) == len(whole)
    run.file_of(tmp_path, (PEERS, 1)).touch()
    assert run.run(plan, tmp_path, seconds=np.inf) == 0
    assert asked == [part for part in whole if part != (PEERS, 1)]
    run.file_of(tmp_path, (PEERS, 1)).unlink()
    assert run.waiting(plan, tmp_path) == [(PEERS, 1)]
    assert len(run.measured(plan, tmp_path)) == len(whole) - 1
    with pytest.raises(ValueError, match="holds a run of"):
        run.run(Plan(pairs=4), tmp_path, seconds=1)


def test_a_page_is_written_of_the_goals_alone(tmp_path: Path) -> None:
    """While all else is waiting, what can be said is said."""
    rows = table()
    report.write(pd.DataFrame(rows[rows["group"] == GOALS]), Plan(pairs=4), tmp_path)
    assert "0 for the curve" in (tmp_path / report.PAGE).read_text()


def test_bad_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 2 pairs and 12 frames, got 1 and 24"):
        Plan(pairs=1)
