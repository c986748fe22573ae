"""The sheets and animations of README and thumbnails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from dev.comfyui.environment import ROOT
from dev.pictures.sheets import LABEL, MARGIN, animate, filmstrip, mosaic, moving
from dev.workflows.catalogue import ALL_WORKFLOWS


def film(count: int, blue: int) -> list[Image.Image]:
    """Frames that brighten from black; the amount of blue distinguishes films."""
    levels = [round(255 * k / (count - 1)) for k in range(count)]
    return [Image.new("RGB", (64, 64), (level, level, blue)) for level in levels]


FILMS = {"one": film(16, 0), "other": film(16, 200)}


def test_a_filmstrip_runs_from_the_first_frame_to_the_last() -> None:
    """One row for each film, with nine frames, including both ends."""
    sheet = np.array(filmstrip(FILMS, columns=9, size=32))
    assert sheet.shape == (2 * (LABEL + 32) + MARGIN, MARGIN + 9 * (32 + MARGIN), 3)
    row = sheet[LABEL + 16, MARGIN + 16 :: 32 + MARGIN]
    assert row[0].tolist() == [0, 0, 0]
    assert row[8].tolist() == [255, 255, 0]
    assert list(row[:, 0]) == sorted(row[:, 0])
    assert sheet[2 * LABEL + 32 + 16, MARGIN + 16].tolist() == [0, 0, 200]


def test_an_animation_goes_there_and_back(tmp_path: Path) -> None:
    """No frame is shown twice in a row, also not at the ends; it repeats for ever."""
    pictures = moving(FILMS, columns=8, size=32)
    assert len(pictures) == 2 * 16 - 2
    assert pictures[0].size == (32 + 8 * 16 + 3 * MARGIN, 2 * (LABEL + 32 + MARGIN))
    levels = [int(np.array(picture)[LABEL + 16, MARGIN + 16, 0]) for picture in pictures]
    assert levels[:16] == sorted(levels[:16])
    assert all(a != b for a, b in zip(levels, levels[1:] + levels[:1], strict=True))
    animate(pictures, tmp_path / "a.webp", fps=20)
    with Image.open(tmp_path / "a.webp") as again:
        assert again.info["loop"] == 0
        assert again.size == pictures[0].size
        assert len(list(ImageSequence.Iterator(again))) == 30


def test_a_mosaic_has_no_seams() -> None:
    """Frames without gaps, one film in each row."""
    sheet = np.array(mosaic(list(FILMS.values()), columns=4, size=32))
    assert sheet.shape == (64, 128, 3)
    assert sheet[16, [16, 48, 80, 112], 0].tolist() == [0, 85, 170, 255]
    assert set(sheet[:32, :, 2].flat) == {0}
    assert set(sheet[32:, :, 2].flat) == {200}


def test_every_workflow_has_its_thumbnail_and_the_pages_their_pictures() -> None:
    """Files that exist, wide enough to look at, small enough to load."""
    shown = [ROOT / "example_workflows" / f"{name}.jpg" for name in ALL_WORKFLOWS]
    shown += [
        ROOT / "docs" / name for name in ("filmstrip.jpg", "morph.webp", "scenes.jpg", "noise.jpg")
    ]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text("utf-8") for page in pages)
    for path in shown:
        assert Image.open(path).width >= 400
        assert path.stat().st_size < 2e6
        assert path.parent.name == "example_workflows" or f"{path.name})" in text
