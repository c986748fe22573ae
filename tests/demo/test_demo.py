"""`make demo` with few frames: its files, its output, its errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import demo.__main__ as program
from dev.comfyui.environment import BASE
from dev.comfyui.server import Server, ServerError, free_port
from dev.workflows.settings import SMALL_SETTINGS
from scenes import checkpoint
from tests.video import decode


@pytest.mark.comfyui
def test_the_demo_writes_its_video_filmstrip_chart_and_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One call makes everything, and names the metric that replaces the published one."""
    monkeypatch.setattr(program, "OUTPUT", tmp_path)
    program.main({"FRAMES": "3", "PORT": str(free_port()), "SEED": "5"})
    frames, _ = decode((tmp_path / "morph.mp4").read_bytes())
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 3
    for name in ("filmstrip.png", "ppl_chart.png"):
        assert np.array(Image.open(tmp_path / name)).std() > 10
    lines = capsys.readouterr().out.splitlines()
    for name in ("morph.mp4", "filmstrip.png", "ppl_chart.png"):
        assert str(tmp_path / name) in lines
    (pace,) = [line for line in lines if line.startswith("Morph Sampler: 3 frames for ")]
    assert "largest step" in pace
    rows = [line for line in lines if line.startswith(program.COUPLINGS) and ": " not in line]
    assert len(rows) == 3
    assert sum("at least as much in" in line for line in lines) == 2
    assert all("LPIPS alex" in row for row in rows)
    if any(program.PUBLISHED in line for line in lines):  # said to be absent
        assert all(row.endswith(f"({program.lpips_weights.NAME})") for row in rows)


def test_the_table_has_cost_relative_cost_and_ppl_of_each_coupling() -> None:
    """Rows in the order of the couplings, the metric by its full name."""
    rows = [
        program.Comparison(method, 2.0 + k, 1.0 + k, "0.01", "LPIPS alex (random)", [])
        for k, method in enumerate(program.COUPLINGS)
    ]
    head, *lines = program.table(rows).splitlines()
    assert head.split() == ["coupling", "cost", "relative", "cost", "PPL", "metric"]
    assert [line.split("  ")[0] for line in lines] == list(program.COUPLINGS)
    assert all(line.endswith("LPIPS alex (random)") for line in lines)


def test_the_demo_says_where_its_pair_stands() -> None:
    """By the study's own ratios; more pairs gain at least as much as a smaller gain."""

    def of(ppl: str) -> list[str]:
        shown = zip(program.COUPLINGS, ("0.01", ppl, ppl), strict=True)
        rows = [program.Comparison(name, 1, 1, value, "LPIPS", []) for name, value in shown]
        return program.standing(rows, SMALL_SETTINGS)

    ratios = json.loads(program.STUDY.read_text())["ratios"]
    for ppl, gain in (("0.015", 1.5), ("0.04", 4.0)):
        for name, line in zip(program.COUPLINGS[1:], of(ppl)[2:], strict=True):
            count = sum(ratio >= gain for ratio in ratios[name])
            assert line.startswith(f"{name}: {gain:.2f} times (at least as much in {count} of ")
    still = [program.Comparison(name, 1, 1, "0", "LPIPS", []) for name in program.COUPLINGS]
    assert "no change at all" in program.standing(still, SMALL_SETTINGS)[0]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CHECKPOINT": "nowhere.safetensors"}, "CHECKPOINT=nowhere.safetensors: there is no such"),
        ({"FRAMES": "many"}, "FRAMES=many: expected a whole number from 2 to 4096."),
        ({"FRAMES": "1"}, "FRAMES=1: expected a whole number from 2 to 4096."),
        ({"SEED": "-3"}, "SEED=-3: expected a whole number from 0"),
        ({"PORT": "99999"}, "PORT=99999: expected a whole number from 1 to 65535."),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    models: None, environment: dict[str, str], message: str
) -> None:
    """Every invalid setting is named, with the valid values, before anything starts."""
    assert models is None
    with pytest.raises(ServerError) as caught:
        program.main(environment)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.comfyui
def test_a_file_that_is_no_checkpoint_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ComfyUI's own error message, with the setting to change."""
    monkeypatch.setattr(program, "OUTPUT", tmp_path)
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no weights here")
    with pytest.raises(ServerError, match="can't load this CHECKPOINT") as caught:
        program.main({"CHECKPOINT": str(wrong), "PORT": str(free_port())})
    assert "\n" not in str(caught.value)
    (BASE / "models" / "checkpoints" / wrong.name).unlink()


def test_a_port_in_use_is_one_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port and the remedy, before anything else is done."""
    monkeypatch.setattr(program, "OUTPUT", tmp_path)
    with pytest.raises(ServerError) as caught:
        program.main({"PORT": str(server.port)})
    assert str(caught.value) == (
        f"Port {server.port} is in use; stop what listens there or set PORT=."
    )


@pytest.mark.comfyui
def test_a_damaged_checkpoint_is_written_again(tmp_path: Path) -> None:
    """A file that is cut short, or has other weights, is replaced by the complete checkpoint.

    Put together twice, it has the same bytes, and nothing else is left in the folder.
    """
    path = tmp_path / "small.safetensors"
    path.write_bytes(b"cut short")
    checkpoint.ensure(path)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"digest": checkpoint.DIGEST.read_text().strip()}
    written = path.stat().st_mtime_ns
    checkpoint.ensure(path)
    assert path.stat().st_mtime_ns == written
    first = hashlib.sha256(path.read_bytes()).digest()
    save_file({"out": torch.ones(1)}, path, metadata={"digest": "of other weights"})
    checkpoint.ensure(path)
    assert hashlib.sha256(path.read_bytes()).digest() == first
    assert list(tmp_path.iterdir()) == [path]
