"""Pairs of prompts: reading, rows that are left out and why, the choice."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.prompts.pairs import BINS, Pair, bin_of, choose, read, write

HEADER = "caption1,caption2,agg_score,sampling_method\n"


@given(st.floats(0, 5))
def test_bins_are_half_open(similarity: float) -> None:
    """Every score lies in one bin of width 0.5; an edge belongs to the bin that it names."""
    edge = bin_of(similarity)
    assert edge in BINS
    assert edge - 0.5 < similarity <= edge or (edge == 0.5 and similarity == 0)


def test_what_a_row_lacks_is_told(tmp_path: Path) -> None:
    """No row is lost: it is a pair, or left out with its line and the reason."""
    file = tmp_path / "pairs.csv"
    rows = {
        "a cat,a dog,2.5,x": None,
        "a cat,a dog,,x": "missing score",
        "a cat,,3,x": "missing caption",
        "a cat,  ,3,x": "missing caption",
        "a cat": "missing score",
        "a cat,a dog,high,x": "score is not a number",
        "a cat,a dog,nan,x": "score outside 0 to 5",
        "a cat,a dog,inf,x": "score outside 0 to 5",
        "a cat,a dog,5.01,x": "score outside 0 to 5",
        "a cat,a dog,-1,x": "score outside 0 to 5",
        "a cat, on a mat,a dog,2.5,x": "too many columns",
        "a cat, a cat ,5,x": "identical captions",
        '"a cat, on a mat",None,0,x': None,
        "a dog,a cat,2,x": "the same captions as before",
    }
    file.write_text(HEADER + "\n".join(rows) + "\n")
    pairs, excluded = read([file])
    assert pairs == [Pair("a cat", "a dog", 2.5), Pair("a cat, on a mat", "None", 0)]
    expected = [(k, why) for k, why in enumerate(rows.values(), start=2) if why]
    assert [(one.line, one.reason) for one in excluded] == expected


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "caption1": ["a cat", "a cat", None, "a cat"],
            "caption2": ["a dog", "a cow", "a dog", "a cat"],
            "similarity": [2.5, math.nan, 1.0, 5.0],
        }
    )
    table.to_parquet(tmp_path / "pairs.parquet")
    table.to_csv(tmp_path / "pairs.csv", index=False)
    pairs, excluded = read([tmp_path / "pairs.parquet"])
    assert pairs == [Pair("a cat", "a dog", 2.5)]
    reasons = ["missing score", "missing caption", "identical captions"]
    assert [one.reason for one in excluded] == reasons
    again, others = read([tmp_path / "pairs.csv"])
    assert again == pairs
    assert [(one.line, one.reason) for one in others] == [(e.line, e.reason) for e in excluded]


def crisscrossed(folder: Path) -> Path:
    """Rows as github.com/google-research-datasets/Crisscrossed-Captions publishes them."""
    file = folder / "sts_val.csv"
    file.write_text(
        HEADER + "COCO_val2014:sentid:190268,COCO_val2014:sentid:315773,1.24,c2c_isim\n"
        "COCO_val2014:sentid:315773,COCO_val2014:sentid:7,4.9,c2c_cocaption\n"
        "COCO_val2014:sentid:1,COCO_val2014:sentid:190268,3,c2c_isim\n"
    )
    return file


@pytest.mark.parametrize("own", [False, True])
def test_crisscrossed_captions_as_published(tmp_path: Path, own: bool) -> None:
    """Numbers become texts, by the Karpathy split's file or by MS-COCO's own."""
    texts = {190268: "A bus on a street.", 315773: " Two dogs, playing. ", 7: "Dogs."}
    karpathy = {"images": [{"sentences": [{"sentid": k, "raw": v}]} for k, v in texts.items()]}
    coco = {"images": [], "annotations": [{"id": k, "caption": v} for k, v in texts.items()]}
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps(coco if own else karpathy))
    pairs, excluded = read([crisscrossed(tmp_path)], captions)
    assert pairs == [
        Pair("A bus on a street.", "Two dogs, playing.", 1.24),
        Pair("Two dogs, playing.", "Dogs.", 4.9),
    ]
    assert [one.reason for one in excluded] == ["caption not among the sentences"]


def test_bad_files_are_named(tmp_path: Path) -> None:
    """Expected, got, and what to do."""
    with pytest.raises(ValueError, match=r"line 2: .*sentence number.*--captions"):
        read([crisscrossed(tmp_path)])
    other = tmp_path / "other.csv"
    other.write_text("prompt,score\na,1\n")
    with pytest.raises(ValueError, match="expected the columns caption1, caption2 and agg_score"):
        read([other])
    other.write_text("")
    with pytest.raises(ValueError, match="got none"):
        read([other])
    other.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="not a CSV or Parquet file"):
        read([other])
    (tmp_path / "x.parquet").write_text(HEADER)
    with pytest.raises(ValueError, match="not a CSV or Parquet file"):
        read([tmp_path / "x.parquet"])
    with pytest.raises(ValueError, match="can't be read"):
        read([tmp_path / "absent.csv"])
    other.write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"expected dataset_coco\.json"):
        read([crisscrossed(tmp_path)], other)


def many(count: int) -> list[Pair]:
    return [Pair(f"a {k}", f"b {k}", 5 * k / (count - 1)) for k in range(count)]


def test_bins_take_turns() -> None:
    """The first pairs, however many, come from all bins alike; no bin has more than asked."""
    chosen = choose(many(301), 3, seed=1)
    assert len(chosen) == 30
    for start in range(0, 30, 10):
        assert tuple(pair.bin for pair in chosen[start : start + 10]) == BINS
    assert chosen == choose(many(301), 3, seed=1)
    assert chosen != choose(many(301), 3, seed=2)


def test_small_and_empty_bins_give_what_they_have() -> None:
    pairs = [Pair("a", "b", 1.2), *[Pair("a", f"c {k}", 4.0) for k in range(5)]]
    chosen = choose(pairs, 3, seed=0)
    assert sorted(pair.bin for pair in chosen) == [1.5, 4.0, 4.0, 4.0]
    assert choose([], 3, seed=0) == []
    with pytest.raises(ValueError, match="per-bin: expected at least 1 pair, got 0"):
        choose(pairs, 0, seed=0)


def test_written_pairs_read_back(tmp_path: Path) -> None:
    pairs = [Pair('a "red", star', "über\nzwei Zeilen", 0.25), Pair("x", "y", 5.0)]
    write(pairs, tmp_path / "pairs.csv", "test")
    assert read([tmp_path / "pairs.csv"]) == (pairs, [])
