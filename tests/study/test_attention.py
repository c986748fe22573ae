"""Attention that also sees the keyframes: its laws on small cases, its page, and a small run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from study import __main__ as program
from study import attention, attention_report
from study.attention import (
    MATCHINGS,
    OFF,
    PHOTOS,
    PLACE,
    PROMPT,
    SCENES,
    TRANSPORT,
    Plan,
    StudyResult,
)
from study.attention_tokens import MOST_MATCHED, Matching, Neighbours, by_place, by_transport

BOTH = pytest.mark.parametrize("matching", [by_place, by_transport])
ONE_PROMPT = {"cond_or_uncond": [0], "sigmas": torch.tensor([3.0])}


def tokens(frames: int, seed: int = 0, count: int = 9) -> Tensor:
    return torch.randn(frames, count, 5, generator=torch.Generator().manual_seed(seed))


def attend(patched: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Attention without projections."""
    queries, keys, values = patched
    return F.scaled_dot_product_attention(queries, keys, values)


def times(frames: int) -> list[float]:
    return torch.linspace(0, 1, frames).tolist()


def alone(x: Tensor) -> Tensor:
    return attend((x, x, x))


@BOTH
def test_keyframes_stay_what_they_are(matching: Matching) -> None:
    """At t=0 and t=1 a frame sees its own tokens twice, so that its attention is its own."""
    x = tokens(4)
    seen = attend(Neighbours(times(4), matching)(x, x, x, ONE_PROMPT))
    torch.testing.assert_close(seen[[0, -1]], alone(x)[[0, -1]])
    assert (seen[1:-1] - alone(x)[1:-1]).abs().max() > 0.01


@BOTH
def test_equal_frames_are_left_as_they_are(matching: Matching) -> None:
    """Both keyframes and the frames between are one image: there is nothing to see but itself."""
    x = tokens(1).expand(4, -1, -1)
    torch.testing.assert_close(
        attend(Neighbours(times(4), matching)(x, x, x, ONE_PROMPT)), alone(x)
    )


def test_transport_undoes_a_permutation() -> None:
    """Whatever the order of the tokens: a keyframe that was moved about is blended with itself."""
    first = tokens(1)[0]
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(1))
    assert not torch.equal(by_place(first, first[order]), first)
    assert torch.equal(by_transport(first, first[order]), first)
    moved = torch.stack([first, first[order]])
    halves = [tokens(1, seed=2)[0], tokens(1, seed=3)[0]]
    x = torch.stack([moved[0], *halves, moved[1]])
    _, seen, _ = Neighbours(times(4), by_transport)(x, x, x, ONE_PROMPT)
    torch.testing.assert_close(seen[:, len(first) :], first.expand(4, -1, -1))


def test_transport_is_the_cheapest_matching() -> None:
    """No worse than by place, and than any random order."""
    a, b = tokens(2, seed=4)
    least = (a - by_transport(a, b)).square().sum()
    g = torch.Generator().manual_seed(5)
    for order in [torch.arange(len(b)), *(torch.randperm(len(b), generator=g) for _ in range(50))]:
        assert least <= (a - b[order]).square().sum() + 1e-6


def test_large_levels_are_matched_by_place() -> None:
    a, b = tokens(2, count=MOST_MATCHED + 1)
    assert by_transport(a, b) is b


def test_prompts_do_not_see_each_other() -> None:
    """Positive and negative are chunks of one batch; each sees the keyframes of its own."""
    positive, negative = tokens(3, seed=6), tokens(3, seed=7)
    patch = Neighbours(times(3), by_transport)
    x = torch.cat([negative, positive])
    seen = attend(patch(x, x, x, ONE_PROMPT | {"cond_or_uncond": [1, 0]}))
    apart = [attend(patch(one, one, one, ONE_PROMPT)) for one in (negative, positive)]
    torch.testing.assert_close(seen, torch.cat(apart))


def test_late_steps_are_left_alone() -> None:
    """Below the noise level until which keyframes are seen, and only there."""
    x = tokens(3)
    patch = Neighbours(times(3), by_place, until=2.0)
    assert all(kept is x for kept in patch(x, x, x, ONE_PROMPT | {"sigmas": torch.tensor([1.9])}))
    assert patch(x, x, x, ONE_PROMPT | {"sigmas": torch.tensor([2.0])})[1].shape[1] == 18


def test_a_batch_of_another_size_is_refused() -> None:
    x = tokens(3)
    with pytest.raises(ValueError, match="times: expected one for each frame of the batch, got 4"):
        Neighbours(times(4), by_place)(x, x, x, ONE_PROMPT)


def table(gain: float, strays: float = 0.0, ends: float = 40.0) -> pd.DataFrame:
    """Films of twenty pairs, of which the matched ones have smaller largest steps, by `gain`."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for pair in range(20):
        largest = 0.3 + 0.1 * rng.random()
        for variant in (OFF, PLACE, TRANSPORT, PROMPT):
            wins = variant == TRANSPORT
            rows.append(
                {
                    "model": "written",
                    "kind": SCENES,
                    "pair": pair,
                    "a": "a",
                    "b": "b",
                    "variant": variant,
                    "steps": [0.1, largest - wins * gain + 0.02 * rng.normal()],
                    "strays": 0.1 + wins * strays,
                    "confidence": 0.9,
                    "sharpness": 1.0,
                    "ends": float("nan") if variant == PROMPT else ends if wins else 40.0,
                }
            )
    return pd.DataFrame(rows)


def winners(films: pd.DataFrame) -> list[str]:
    return [c.variant for c in attention_report.compare(films) if c.wins]


def test_a_win_needs_all_three() -> None:
    """A clear gain wins; not by chance, and not at the cost of strays or of the ends."""
    assert winners(table(0.1)) == [TRANSPORT]
    assert winners(table(0.0)) == []
    assert winners(table(-0.1)) == []
    assert winners(table(0.1, strays=0.02)) == []
    assert winners(table(0.1, ends=38.0)) == []
    assert winners(table(0.1, ends=39.6)) == [TRANSPORT]


def test_the_page_says_what_the_file_says(tmp_path: Path) -> None:
    """The file keeps everything that the page needs; the verdict is that of the rules."""
    result = StudyResult(Plan(20), "CPU", {}, table(0.1), [])
    attention.save(result, tmp_path / attention.FILE)
    page = attention_report.report(attention.load(tmp_path / attention.FILE))
    assert page == attention_report.report(result)
    assert f"**{TRANSPORT} wins** on {SCENES}" in page
    assert "nan" not in page
    nothing = StudyResult(Plan(20), "CPU", {}, table(0.0), [])
    assert "**No variant wins anywhere** (2 comparisons)" in attention_report.report(nothing)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / attention.FILE)
    with pytest.raises(ValueError, match="was not written by `python -m study attention`"):
        attention.load(tmp_path / attention.FILE)


def test_what_can_not_be_carried_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pairs: expected at least 2, got 1"):
        Plan(1)
    with pytest.raises(ValueError, match=r"share: expected 0 to 1, got 1\.5"):
        Plan(share=1.5)
    with pytest.raises(ValueError, match="photos: expected a folder with at least 2 photographs"):
        attention.photographs(tmp_path)


def photos(folder: Path) -> Path:
    """Two pictures of noise."""
    folder.mkdir()
    for k in range(2):
        noise = np.random.default_rng(k).integers(0, 255, (40, 80, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{k}.png")
    return folder


@pytest.mark.comfyui
def test_a_small_run_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the real ComfyUI: a film of every kind, variant and model; the ends are kept."""
    monkeypatch.setattr(attention, "SMALL_MODELS", {"written": attention.SMALL_MODELS["written"]})
    arguments = ["--pairs", "2", "--steps", "2", "--frames", "3", "--share", "1", "--cpu"]
    arguments += ["--photos", str(photos(tmp_path / "photos")), "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["study", "attention", *arguments])
    program.main()
    page = (tmp_path / "attention.md").read_text()
    assert page in capsys.readouterr().out
    assert "nan" not in page
    films = attention.load(tmp_path / attention.FILE).table
    counts = {kind: len(attention.VARIANTS[kind]) * 2 for kind in attention.VARIANTS}
    assert films["kind"].value_counts().to_dict() == counts | {PHOTOS: counts[PHOTOS] // 2}
    for _, pair in films.groupby(["kind", "pair"]):
        by_variant = {row["variant"]: row for row in pair.to_dict("records")}
        off = by_variant[OFF]
        for own in (by_variant[matching] for matching in MATCHINGS):
            assert own["ends"] > min(off["ends"] - 1, 45)
            assert list(own["steps"]) != list(off["steps"])
    assert Image.open(tmp_path / "attention.jpg").height > 2 * 4 * 128
