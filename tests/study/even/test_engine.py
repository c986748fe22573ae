"""The small renderer on the real model: restarts are exact, and the study runs from end to end."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dev.comfyui.environment import BASE
from dev.comfyui.lpips_weights import random_weights
from dev.workflows.settings import SMALL
from study import __main__ as program
from study.even import catalogue, report
from study.even.catalogue import EQUAL, GOALS, PLACED
from study.even.engine import Engine, Settings
from study.even.frames import plain

pytestmark = pytest.mark.comfyui


STEPS = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Loaded once, with few steps."""
    return Engine(settings=Settings(steps=STEPS))


def test_a_frame_that_takes_over_its_own_states_is_itself(engine: Engine) -> None:
    """From any step on, with its own prompt and its own state: the same latent, the same states."""
    with torch.inference_mode():
        render = engine.renderer("a small red star on a white background", "a blue ring on black")
        frames = plain(render, [0.0, 0.4])
        again = render([0.4, 0.0], [2, STEPS - 1], [frames[1].states, frames[0].states])
        for one, other in zip(again, reversed(frames), strict=True):
            torch.testing.assert_close(one.latent, other.latent, rtol=0, atol=2e-2)
            torch.testing.assert_close(one.states, other.states, rtol=0, atol=2e-2)
        assert [frame.start_step for frame in again] == [2, STEPS - 1]


def test_the_command_measures_and_reports(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs of the first group alone: everything that can be said of them is written."""
    monkeypatch.setattr("study.even.run.Engine", lambda _threads: engine)
    monkeypatch.setattr(catalogue, "GROUPS", (GOALS,))
    monkeypatch.setattr("study.even.run.GROUPS", (GOALS,))
    options = ["--pairs", "2", "--frames", "12", "--folder", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["study", "even", *options, "--output", str(tmp_path)])
    program.main()
    table = pd.read_parquet(tmp_path / "even_morph" / report.TABLE)
    assert sorted(table["pair"].unique()) == [0, 1]
    renders, largest = (
        {way: rows[measure].to_numpy() for way, rows in table.groupby("way")}
        for measure in ("renders", "largest")
    )
    assert (renders[EQUAL] == 12).all()
    assert (renders[PLACED] < 12).all()
    assert (largest[PLACED] <= largest[EQUAL]).all()
    half = table[table["way"] == PLACED]
    for times, steps in zip(half["times"], half["start_steps"], strict=True):
        assert (np.diff(times) > 0).all()
        assert (times[0], times[-1], steps[0], steps[-1]) == (0, 1, 0, 0)


def test_another_checkpoint_needs_the_published_lpips(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of SD1.5: refused with the scenes' LPIPS; with a file that passes as the published
    one, the same pictures in the checkpoint's own precision.
    """
    from geodesic_morph.nodes.metrics import weights as lpips_files

    small = BASE / "models" / "checkpoints" / SMALL
    other = small.with_name("another checkpoint.safetensors")
    folder = BASE / "models" / "lpips"
    torch.save(random_weights("alex"), folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    published = folder / f"alexnet-owt-{digest[:8]}.pth"
    other.hardlink_to(small)
    try:
        with pytest.raises(ValueError, match="lpips: expected the published weights") as error:
            Engine(checkpoint=other.name, settings=Settings(steps=STEPS))
        assert "Get it from https://download.pytorch.org/models/alexnet" in str(error.value)
        (folder / "new.pth").rename(published)
        monkeypatch.setitem(lpips_files.FILES, "alex", published.name)
        same = Engine(checkpoint=other.name, settings=Settings(steps=STEPS))
        captions = "a small red star on a white background", "a blue ring on black"
        with torch.inference_mode():
            films = [plain(e.renderer(*captions), [0.0, 0.4, 1.0]) for e in (engine, same)]
        for one, exact in zip(*films, strict=True):
            assert (one.image - exact.image.cpu()).abs().mean() < 0.02
        assert min(same.lpips(films[1])) > 0
    finally:
        for file in (other, published, folder / "new.pth"):
            file.unlink(missing_ok=True)
