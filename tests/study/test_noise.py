"""The noise study: its statistics, and a small run on the real ComfyUI."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm
from scipy.stats import wilcoxon

from scenes.classifier import HEADS
from scenes.language import COLORS
from study import __main__ as program
from study import noise, noise_report
from study.noise import MethodResult


def features(seed: int, count: int = 400, width: int = 12) -> list[np.ndarray]:
    """Normal features with a covariance of their own."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(width, width)) / np.sqrt(width)
    return list(rng.normal(size=(count, width)) @ mix + rng.normal(size=width))


def test_the_distance_is_fid() -> None:
    """‖μ−ν‖² + tr(A + B − 2 (AB)^½), by scipy; 0 for one set; symmetric; finite for few images."""
    x, y = features(1), features(2)
    a, b = np.cov(np.array(x).T, bias=True), np.cov(np.array(y).T, bias=True)
    gap = np.square(np.mean(x, axis=0) - np.mean(y, axis=0)).sum()
    expected = gap + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert noise_report.frechet(x, y) == pytest.approx(expected, rel=1e-9)
    assert noise_report.frechet(x, y) == pytest.approx(noise_report.frechet(y, x))
    assert noise_report.frechet(x, x) == pytest.approx(0, abs=1e-9)
    few = [np.append(f, np.zeros(200)) for f in features(3, count=6)]
    assert np.isfinite(noise_report.frechet(few, few[:4]))


def test_a_shift_is_measured_and_chance_is_not() -> None:
    """The bootstrap interval lies above 0 for a shifted set, around 0 for another draw."""
    target, one = features(4), features(4)
    shifted = [f + 1.0 for f in one]
    low, high = noise_report.nearer(
        MethodResult(features=one), MethodResult(features=shifted), target, 1
    )
    assert 0 < low < high
    rng = np.random.default_rng(5)
    mixed = [one[k] for k in rng.permutation(len(one))]
    low, high = noise_report.nearer(
        MethodResult(features=one), MethodResult(features=mixed), target, 4
    )
    assert low < 0 < high


def test_accuracy_has_wilsons_interval() -> None:
    """18 of 20 is 70 to 97 %."""
    found = noise_report.accuracy(MethodResult(right=[True] * 18 + [False] * 2))
    assert found == pytest.approx((0.9, 0.699, 0.972), abs=1e-3)


def test_methods_are_compared_path_by_path() -> None:
    """Three images of a path count together; p is scipy's; equal methods can't be told apart."""
    one = MethodResult(right=[True, True, True] * 9 + [False, True, False])
    other = MethodResult(right=[True, False, False] * 9 + [True, True, False])
    first, second, p = noise_report.better(one, other, 3)
    assert (first, second) == (9, 1)
    assert p == pytest.approx(float(np.asarray(wilcoxon([2] * 9 + [-1]))[1]))
    assert noise_report.better(one, one, 3) == (0, 0, 1.0)


def test_verdicts_are_as_the_numbers_say() -> None:
    """Yes, the reverse, or not measurable."""
    assert noise_report.verdict(5, True) == "**yes**"
    assert noise_report.verdict(-5, True) == "**no, the reverse**"
    assert noise_report.verdict(5, False) == "not measurable"


def test_pictures_of_a_class_differ_in_what_it_does_not_say() -> None:
    """Colour and shape stay; one seed gives the same pictures."""
    pictures = [noise.picture("red", "star", Random(k)) for k in range(8)]
    corners = {tuple(np.round(p[:, 0, 0].numpy(), 2)) for p in pictures}
    assert len(corners) > 2
    assert np.array_equal(noise.picture("red", "star", Random(3)), pictures[3])


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"classes": 0}, "classes"),
        ({"classes": 61}, "classes"),
        ({"images": 4}, "images"),
        ({"images": 21}, "images"),
        ({"steps": 0}, "steps"),
    ],
)
def test_plans_that_can_not_be_carried_out_are_refused(wrong: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected"):
        noise.Plan(**wrong)


@pytest.mark.comfyui
def test_one_command_writes_one_table_and_one_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m study noise` with one class and few steps; NAO is cut short to save a minute."""
    from dev.comfyui.in_process import import_comfyui, pack_nodes

    import_comfyui(cpu=True)
    nao: Any = pack_nodes().noise.mixed.nao
    for name in ("path", "centroid"):
        monkeypatch.setattr(nao, name, functools.partial(getattr(nao, name), max_steps=3))
    arguments = [
        "study",
        "noise",
        "--classes",
        "1",
        "--images",
        "10",
        "--steps",
        "3",
        "--cpu",
        "--output",
    ]
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path)])
    program.main()
    page = (tmp_path / "noise.md").read_text()
    for method in ("COG", noise.PUBLISHED, "SLERP", "LERP", "NAO"):
        assert f"| interpolation | {method} | 15 |" in page
    for method in ("COG", noise.PUBLISHED, "Euclidean", "standardised", "mode norm", "NAO"):
        assert f"| centroid | {method} | {len(noise.GROUPS)} |" in page
    assert f"|  | {noise.IMAGES} | 10 | 100.0 % |" in page
    assert "nan" not in page
    assert Image.open(tmp_path / "noise.png").width > 600
    # The raw data: a row for each image, from which the same page comes without a model.
    kept = noise.load(tmp_path / noise.FILE)
    assert len(kept.table) == 10 + 5 * 15 + 6 * len(noise.GROUPS) + 10
    assert set(kept.table["kind"].str.split().str[0]) <= set(COLORS)
    assert len(kept.methods[noise.PATHS, "NAO"].seconds) == 5
    assert len(kept.methods[noise.CENTROIDS, "COG"].norms) == len(noise.GROUPS)
    (tmp_path / "noise.md").unlink()
    monkeypatch.setattr(noise, "run", None)
    monkeypatch.setattr(sys, "argv", ["study", "noise", "--report", "--output", str(tmp_path)])
    program.main()
    assert (tmp_path / "noise.md").read_text() == page


def test_what_the_study_did_not_write_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / noise.FILE)
    for file in (tmp_path / noise.FILE, tmp_path / "absent.parquet"):
        with pytest.raises(ValueError, match="was not written by `python -m study noise`"):
            noise.load(file)


def test_the_papers_cog_is_ours_for_independent_noises() -> None:
    """Unit variance for seeds; too loud by the correlation for correlated ones."""
    draws = torch.randn(3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    for task, ends in ((noise.PATHS, draws[:2]), (noise.CENTROIDS, draws)):
        assert noise.unit_norms(noise.as_published(task, ends)) == pytest.approx(
            [1.0] * (3 if task == noise.PATHS else 1), abs=0.02
        )
    alike = torch.stack([draws[0], 0.6 * draws[0] + 0.8 * draws[1]])
    louder = noise.unit_norms(noise.as_published(noise.PATHS, alike))
    assert louder[1] == pytest.approx(1.6**0.5, abs=0.02)


def test_the_judge_knows_what_the_study_asks() -> None:
    """The heads that decide whether an image is right."""
    assert "one" in HEADS["layout"]
    assert {"color", "shape"} <= HEADS.keys()
