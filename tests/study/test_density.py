"""The study of paths between images: its statistics, and a small run on the real ComfyUI."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import wilcoxon

from study import __main__ as program
from study import density, density_report
from study.density import ARC, DIFFERENCE, METHODS, PROMPT, TRUE, Plan, StudyResult
from study.density_report import above_chord, p_value, report, values, verdicts

SHIFTS = {DIFFERENCE: -0.02, TRUE: 0.02, ARC: 0.0, PROMPT: 0.0}


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
                    "log_density": [0.0, high, 4.0],
                    "gradient": 1.0,
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
    better, worse, same = verdicts(measured()).splitlines()
    assert "smoother (20 of 20" in better
    assert "shorter (20 of 20" in better
    assert "denser" in better
    assert "less smooth (0 of 20" in worse
    assert "less dense" in worse
    assert same.count("no measurable difference") == 3
    page = report(measured())
    assert "no path is more than\n  0.00 dB below" in page
    assert "nan" not in page


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
    monkeypatch.setattr(density, "Plan", functools.partial(Plan, levels=1))
    arguments = ["--pairs", "2", "--steps", "3", "--frames", "9", "--iterations", "1", "--cpu"]
    monkeypatch.setattr(sys, "argv", ["study", "density", *arguments, "--output", str(tmp_path)])
    program.main()
    page = (tmp_path / "density.md").read_text()
    assert page in capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == list(METHODS)
    assert "nan" not in page
    films = Image.open(tmp_path / "density.jpg")
    assert films.height > 2 * 4 * 128
    kept = density.load(tmp_path / density.FILE).table
    assert len(kept) == 2 * len(METHODS)
    assert {len(steps) for steps in kept["steps"]} == {8}
    assert {len(along) for along in kept["log_density"]} == {9}
    monkeypatch.setattr(density, "run", None)
    monkeypatch.setattr(sys, "argv", ["study", "density", "--report", "--output", str(tmp_path)])
    program.main()
    assert (tmp_path / "density.md").read_text() == page
    assert density_report.report(density.load(tmp_path / density.FILE)) == page
