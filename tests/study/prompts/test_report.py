"""Parquet, figures and report of synthetic results, and of the committed ones."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dev.comfyui.environment import ROOT
from study.prompts import evidence, figures, report, store
from study.prompts.measurements import FILE, export, from_parquet, from_store, load
from study.prompts.pairs import Excluded, Pair
from study.prompts.plan import OPTIMAL, RANDOM, ROW_ORDER, Plan
from study.prompts.statistics import by_pair
from study.prompts.store import MeasuredPath, Result
from study.prompts.studio import png

from .tables import EXPECTED, with_one_scene

RESULTS = ROOT / "study" / "results" / "prompts"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of six pairs in two bins: one failed, one of a single cloud, one waiting."""
    import torch

    pairs = [Pair(f"prompt {k}", f"another {k}", 1.0 if k % 2 else 4.2) for k in range(6)]
    left_out = [Excluded("x.csv", k, "identical captions") for k in (3, 9)]
    plan = Plan(frames=3, random_seeds=2, kept_per_bin=1)
    store.create(tmp_path, plan, pairs, left_out, {"pairs": "x.csv"})
    kept = store.open_run(tmp_path)
    image = png(torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)))
    for number in range(4):
        paths = tuple(
            MeasuredPath(
                coupling,
                seed,
                0.0 if number == 1 else 10.0 + seed,
                (0.1 + 0.01 * number * (seed % 3), 0.3),
                "LPIPS alex",
                (image,) * 3 if number < 2 else (),
            )
            for coupling, seed in plan.paths(number)
        )
        kept.add(Result(number, paths, None, 2.0, "CPU"))
    kept.add(Result(4, (), "ValueError: too | long", 0.1, "CPU"))
    kept.close()
    return tmp_path


def test_the_table_is_tidy(run: Path) -> None:
    """A row for each path, and its statistics are those of its steps."""
    found = from_store(run)
    assert (found.pairs, found.measured, found.waiting) == (6, 4, 1)
    assert len(found.table) == 4 * 4
    assert not found.table.duplicated(["pair", "coupling", "seed"]).any()
    first = found.table.iloc[0]
    steps = np.array(first["steps"])
    assert first["ppl"] == pytest.approx(steps.mean())
    assert first["sum"] == pytest.approx(steps.sum())
    assert first["pdv"] == pytest.approx(steps.var())
    assert first["largest"] == pytest.approx(steps.max())
    assert set(found.table["coupling"]) == {OPTIMAL, ROW_ORDER, RANDOM}
    single = found.table.query("pair == 1")
    assert np.isnan(np.asarray(single["relative_cost"], float)).all()
    assert found.images_per_second == pytest.approx(found.plan.images_per_pair / 2.0)


def test_parquet_holds_all_of_it(run: Path, tmp_path: Path) -> None:
    found = from_store(run)
    export(found, tmp_path / "other.parquet")
    again = from_parquet(tmp_path / "other.parquet")
    for field in dataclasses.fields(found):
        if field.name != "table":
            assert getattr(again, field.name) == getattr(found, field.name)
    assert again.table["steps"].map(tuple).tolist() == found.table["steps"].tolist()
    rest = found.table.drop(columns="steps")
    pd.testing.assert_frame_equal(again.table.drop(columns="steps"), rest)
    # Other tools can read it.
    assert len(pd.read_parquet(tmp_path / "other.parquet")) == len(found.table)


def test_what_was_not_exported_here_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / FILE)
    with pytest.raises(ValueError, match="was not written by"):
        load(tmp_path)
    (tmp_path / FILE).write_text("no table")
    with pytest.raises(ValueError, match="was not written by"):
        load(tmp_path)
    with pytest.raises(ValueError, match="holds no run"):
        load(tmp_path / "absent")


def test_the_report_counts_what_is_missing(run: Path) -> None:
    page = report.report(from_store(run), with_examples=True)
    assert "4 of 6 pairs of prompts, 4 couplings each" in page
    assert "- identical captions: 2 rows of the file" in page
    assert "- 1 pair failed: ValueError: too | long" in page
    assert "- 1 pair not yet measured" in page
    assert "- 1 pair without relative cost" in page
    assert "| 1–1.5 | 0 |" in page
    assert "nan" not in page


def test_a_report_of_nothing_is_one_too(tmp_path: Path) -> None:
    store.create(tmp_path, Plan(), [Pair("a", "b", 1)], [], {})
    found = from_store(tmp_path)
    page = report.report(found, with_examples=False)
    assert "0 of 1 pairs" in page
    assert "Nothing was measured yet." in page
    assert "nan" not in page
    assert figures.boxes(found.table).width > 500
    assert figures.examples(tmp_path) is None


def test_figures_are_drawn(run: Path) -> None:
    picture = figures.boxes(from_store(run).table)
    assert len(picture.getcolors(1 << 24) or []) > 20
    examples = figures.examples(run)
    assert examples is not None
    assert isinstance(examples, Image.Image)
    # Two bins have images; each panel holds four couplings.
    assert examples.height > 2 * 4 * figures.SIZE


def test_the_arithmetic_of_ten_thousand_pairs(run: Path) -> None:
    """290,000 renders at the measured rate, for one worker and for eight."""
    found = from_store(run)
    text = report.arithmetic(found)
    hours = 290_000 / found.images_per_second / 3600
    assert "10,000 × (2 + 3 × 9) = 290,000 renders" in text
    assert f"{hours:.1f} hours for one worker, {hours / 8:.1f} for 8" in text


def test_a_run_of_several_seeds_has_a_mixed_model(run: Path) -> None:
    """With two random couplings a pair; with one, the page says that there is nothing to tell."""
    few = from_store(run)
    assert "Only 4 pairs" in evidence.seeds(few)
    many = dataclasses.replace(few, table=EXPECTED)
    assert "between pairs | between seeds" in evidence.seeds(many)
    assert "of each of 120 pairs" in evidence.seeds(many)
    one = EXPECTED[(EXPECTED["coupling"] != RANDOM) | (EXPECTED["seed"] == 1)]
    alone = dataclasses.replace(many, table=pd.DataFrame(one), plan=Plan(random_seeds=1))
    assert "nothing to estimate" in evidence.seeds(alone)


def test_standing_is_of_different_scenes_and_sorted() -> None:
    """A ratio for each of them, by each coupling."""
    ratios = evidence.standing(by_pair(with_one_scene(EXPECTED, 9)).different)
    assert list(ratios) == [ROW_ORDER, RANDOM]
    for own in ratios.values():
        assert len(own) == 120
        assert own == sorted(own)
        assert min(own) > 1


@pytest.mark.parametrize("folder", sorted(RESULTS.glob("*/")), ids=lambda path: path.name)
def test_committed_reports_are_what_their_measurements_say(folder: Path) -> None:
    """The committed page equals the report of the Parquet file in its folder."""
    found = load(folder)
    assert (folder / report.PAGE).read_text() == report.report(found, with_examples=True)
    assert (folder / report.STANDING).read_text() == evidence.standing_file(found)
    assert found.waiting == 0
    assert set(found.table["bin"]) == {0.5 * k for k in range(1, 11)}


def test_the_readme_says_where_its_example_stands() -> None:
    """README's demo prints the standing of its pair as the committed measurements have it."""
    page = (ROOT / "README.md").read_text()
    ratios = json.loads((RESULTS / "guidance-4" / report.STANDING).read_text())["ratios"]
    for name in (ROW_ORDER, RANDOM):
        found = re.search(
            rf"{name}: (\S+) times \(at least as much in (\d+) of (\d+) pairs of the study, "
            r"median (\S+)\)",
            page,
        )
        assert found is not None
        gain = float(found[1])
        assert int(found[2]) == sum(ratio >= gain for ratio in ratios[name])
        assert int(found[3]) == len(ratios[name])
        assert float(found[4]) == pytest.approx(np.median(ratios[name]), abs=0.005)


def test_a_committed_run_has_five_hundred_pairs() -> None:
    assert max(load(folder).measured for folder in RESULTS.glob("*/")) >= 500
