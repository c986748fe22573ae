"""The study of paths between images: its statistics, and a small run on the real ComfyUI."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import wilcoxon

from study import __main__ as program
from study import density
from study.density import ARC, DIFFERENCE, METHODS, PROMPT, TRUE, Measured, Plan, StudyResult


def measured(shift: float, seed: int = 0, count: int = 20) -> Measured:
    rng = np.random.default_rng(seed)
    ppl = (0.05 + shift + 0.002 * rng.normal(size=count)).tolist()
    high = (10 - 100 * shift + rng.normal(size=count)).tolist()
    return Measured(ppl, [0.2] * count, high, [1.0] * count, [58.0] * count)


def test_p_is_wilcoxons() -> None:
    one, other = measured(0.0, 1).ppl, measured(0.01, 2).ppl
    assert density.p_value(one, other) == pytest.approx(float(np.asarray(wilcoxon(one, other))[1]))
    assert density.p_value(one, one) == 1.0


def test_verdicts_say_what_is_measurable() -> None:
    """A clear gain, a clear loss, and none; smaller PPL is better, larger density is."""
    found = StudyResult(
        Plan(20),
        "CPU",
        [58.0] * 20,
        {
            DIFFERENCE: measured(-0.02, 1),
            TRUE: measured(0.02, 2),
            ARC: measured(0.0, 3),
            PROMPT: measured(0.0, 4),
        },
        [],
    )
    better, worse, same = density.verdicts(found).splitlines()
    assert "smoother (20 of 20" in better
    assert "denser" in better
    assert "less smooth (0 of 20" in worse
    assert "less dense" in worse
    assert same.count("no measurable difference") == 2
    page = density.report(found)
    assert "no path is more than\n  0.00 dB below" in page


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
    """Two pairs through the real ComfyUI: a page with every path, and films of all of them."""
    monkeypatch.setattr(density, "Plan", functools.partial(Plan, levels=1))
    arguments = ["--pairs", "2", "--steps", "3", "--frames", "3", "--iterations", "1", "--cpu"]
    monkeypatch.setattr(sys, "argv", ["study", "density", *arguments, "--output", str(tmp_path)])
    program.main()
    page = (tmp_path / "density.md").read_text()
    assert page in capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[1:]] == list(METHODS)
    assert "nan" not in page
    films = Image.open(tmp_path / "density.jpg")
    assert films.height > 2 * 4 * 128
