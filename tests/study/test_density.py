"""The study of paths between images: its statistics, and a small run on the real ComfyUI."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import wilcoxon

from study import __main__ as program
from study import density, density_report
from study.density import (
    ARC,
    BOTH_WAYS,
    DIFFERENCE,
    METHODS,
    PLACED,
    PROMPT,
    RETIMED,
    TANGENTIAL,
    TRUE,
    Plan,
    StudyResult,
)
from study.density_report import above_chord, p_value, report, values, verdicts

SHIFTS = {DIFFERENCE: -0.02, BOTH_WAYS: -0.02, TRUE: 0.02, TANGENTIAL: 0.0, ARC: 0.0}
SHIFTS |= {RETIMED: -0.01, PROMPT: 0.0, PLACED: -0.03}


def measured(pairs: int = 20) -> StudyResult:
    """Paths whose steps are all shifted by a known amount, and whose density falls with it."""
    rows = []
    for number, (path, shift) in enumerate(SHIFTS.items()):
        rng = np.random.default_rng(number)
        for pair in range(pairs):
            step, high = 0.05 + shift + 0.002 * rng.normal(), 10 - 100 * shift + rng.normal()
            rows.append(
                {
                    "pair": pair,
                    "caption_a": "a",
                    "caption_b": "b",
                    "path": path,
                    "steps": [step, step],
                    "metric": "LPIPS alex",
                    "pixels": [2 * step, step],
                    "lengths": [10.0, 8.0 + pair / 10] if path == TANGENTIAL else [],
                    "log_density": [] if path == PLACED else [0.0, high, 4.0],
                    "gradient": float("nan") if path == PLACED else 1.0,
                    "ends": float("nan") if path == PROMPT else 58.0,
                    "inversion": 58.0,
                }
            )
    return StudyResult(Plan(pairs), "CPU", {}, pd.DataFrame(rows), [])


def test_p_is_wilcoxons() -> None:
    one, other = (values(measured(), path, "ppl") for path in (ARC, TRUE))
    assert p_value(one, other) == pytest.approx(float(np.asarray(wilcoxon(one, other))[1]))
    assert p_value(one, one) == 1.0


def test_the_density_counts_above_the_chord() -> None:
    """A straight line has none, whatever its slope; a hump has its mean height."""
    assert above_chord([3.0, 1.0, -1.0]) == pytest.approx(0)
    assert above_chord([0.0, 6.0, 0.0]) == pytest.approx(2)


def test_verdicts_say_what_is_measurable() -> None:
    """A clear gain, a clear loss, and none; smaller PPL is better, larger density is."""
    better, _, worse, same, _, _, placed = verdicts(measured()).splitlines()
    assert "smoother (20 of 20" in better
    assert "shorter (20 of 20" in better
    assert "denser" in better
    assert "less smooth (0 of 20" in worse
    assert "less dense" in worse
    assert same.count("no measurable difference") == 3
    assert "smoother (20 of 20" in placed
    assert "dense" not in placed
    page = report(measured())
    assert "no path is more than\n  0.00 dB below" in page
    assert "nan" not in page


def test_the_tangential_path_is_judged_by_its_own_metric() -> None:
    said = density_report.tangential(measured(21))
    assert "shorter than the great arc in 20 of 21 pairs" in said
    assert "0.90 times as long in the median (0.80 to 1.00)" in said


def test_placement_is_judged_by_pixels_too() -> None:
    said = density_report.placement(measured())
    assert f"*{RETIMED}* against *{ARC}*, largest step in pixels: smaller in 20 of 20" in said
    assert f"*{PLACED}* against *{RETIMED}*, largest step: smaller in 20 of 20" in said


def test_paths_can_be_measured_again_alone() -> None:
    """The others are kept as they were, in a run of the same settings only."""
    old = measured()
    new = replace(old, table=old.table[old.table["path"] == TANGENTIAL].assign(gradient=7.0))
    both = density.joined(new, replace(old, table=old.table.drop(columns=["pixels", "lengths"])))
    assert len(both.table) == len(old.table)
    assert set(both.table.loc[both.table["gradient"] == 7, "path"]) == {TANGENTIAL}
    assert values(both, ARC, "ppl") == values(old, ARC, "ppl")
    assert np.isnan(values(both, ARC, "largest in pixels")).all()
    longer = replace(new, plan=replace(new.plan, tangential_iterations=99))
    assert density.joined(longer, old).plan.tangential_iterations == 99
    with pytest.raises(ValueError, match="methods: expected a run like the one that is kept"):
        density.joined(replace(new, plan=replace(new.plan, steps=5)), old)
    with pytest.raises(ValueError, match=r"methods: expected some of .*, got 'nearest'"):
        density.run(Plan(), methods=["nearest"])


def test_two_workers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share the pairs; rows and films come back in the order of one alone."""

    def compare(_plan: Plan, _cpu: bool, _methods: object, pairs: range, _threads: int = 0) -> Any:
        rows = [{"pair": k, "path": path} for k in pairs for path in (ARC, TRUE)]
        return rows, {k: {ARC: torch.tensor(k)} for k in pairs}

    monkeypatch.setattr(density, "_compare", compare)
    # Threads see the function that stands in; processes would import the real one.
    threads = lambda workers, _context: ThreadPoolExecutor(workers)  # noqa: E731
    monkeypatch.setattr(density, "ProcessPoolExecutor", threads)
    alone, shared = (density.run(Plan(5), cpu=True, workers=n) for n in (1, 2))
    pd.testing.assert_frame_equal(alone.table, shared.table)
    assert alone.films == shared.films
    assert [int(film[ARC]) for film in shared.films] == [0, 1, 2, 3, 4]


def test_parquet_holds_all_but_the_films(tmp_path: Path) -> None:
    """The page from the file is the page of the run."""
    density.save(measured(), tmp_path / density.FILE)
    assert report(density.load(tmp_path / density.FILE)) == report(measured())
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / density.FILE)
    with pytest.raises(ValueError, match="was not written by `python -m study density`"):
        density.load(tmp_path / density.FILE)


def test_psnr_is_that_of_images() -> None:
    image = torch.zeros(1, 3, 8, 8)
    assert density.psnr(image, image + 0.1) == pytest.approx(20)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs: expected at least 2, got 1"):
        Plan(1)


@pytest.mark.comfyui
def test_a_small_run_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two pairs through the real ComfyUI: a page with every path, and films of all of them.

    Nine frames are more than a batch of Density Path holds by default; all are measured.
    """
    arguments = ["--pairs", "2", "--steps", "3", "--frames", "9", "--levels", "1", "--cpu"]
    arguments += ["--iterations", "1", "--tangential-iterations", "1"]
    monkeypatch.setattr(sys, "argv", ["study", "density", *arguments, "--output", str(tmp_path)])
    program.main()
    page = (tmp_path / "density.md").read_text()
    assert page in capsys.readouterr().out
    first_table = page[: page.index("- *PPL*")]
    rows = [line for line in first_table.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == list(METHODS)
    assert "nan" not in page
    films = Image.open(tmp_path / "density.jpg")
    assert films.height > 2 * 4 * 128
    kept = density.load(tmp_path / density.FILE).table
    assert len(kept) == 2 * len(METHODS)
    assert {len(steps) for steps in kept["steps"]} == {8}
    assert {len(along) for along in kept["log_density"]} == {0, 9}  # 0: Morph Sampler
    assert {len(steps) for steps in kept["pixels"]} == {8}
    for arc, found in kept.loc[kept["path"] == TANGENTIAL, "lengths"]:
        assert found <= arc
    again = ["--methods", RETIMED, "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["study", "density", *arguments, *again])
    program.main()
    assert (tmp_path / "density.md").read_text() == page
    monkeypatch.setattr(density, "run", None)
    monkeypatch.setattr(sys, "argv", ["study", "density", "--report", "--output", str(tmp_path)])
    program.main()
    assert (tmp_path / "density.md").read_text() == page
    assert density_report.report(density.load(tmp_path / density.FILE)) == page
