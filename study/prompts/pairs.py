"""Pairs of prompts with their similarity: reading them, leaving rows out, choosing pairs.

Which Way from B to A, section 4.2: caption pairs of Crisscrossed Captions (arXiv 2004.15020), rated
0 to 5 by people, in bins of 0.5, a number of pairs from each; equal captions are left out.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa

WIDTH, HIGHEST = 0.5, 5.0
# Bins are named by their upper edges, like the paper's groups: 0.5 is [0, 0.5], 1.0 is (0.5, 1] …
BINS = tuple(WIDTH * k for k in range(1, round(HIGHEST / WIDTH) + 1))

CAPTIONS = ("caption1", "caption2")
SCORES = ("agg_score", "similarity")  # Crisscrossed Captions' own name first
SENTENCE = "sentid:"  # its captions are sentences of MS-COCO, by number
_SURPLUS = "surplus columns"


@dataclass(frozen=True)
class Pair:
    """Two prompts and their similarity, 0 to 5, rated by people or by a formula."""

    caption_a: str
    caption_b: str
    similarity: float

    @property
    def bin(self) -> float:
        return bin_of(self.similarity)


@dataclass(frozen=True)
class Excluded:
    """A row that cannot be used: its file, its line (the header is line 1), and the reason."""

    file: str
    line: int
    reason: str


def bin_of(similarity: float) -> float:
    """The upper edge of the bin (0.5, 1 … 5); an edge belongs to the lower bin, 0 to the first."""
    return max(WIDTH, math.ceil(similarity / WIDTH) * WIDTH)


def read(files: Sequence[Path], captions: Path | None = None) -> tuple[list[Pair], list[Excluded]]:
    """All usable rows of CSV or Parquet files, and all other rows with the reason.

    Columns: caption1, caption2, and agg_score (or similarity). Captions are texts, or sentence
    numbers of MS-COCO as Crisscrossed Captions publishes them, whose texts are in `captions` (see
    `read_sentences`). Raises ValueError for a file without these columns, and for numbers without
    `captions`.
    """
    sentences: Mapping[int, str] | None = None if captions is None else read_sentences(captions)
    pairs: list[Pair] = []
    seen: set[frozenset[str]] = set()
    excluded: list[Excluded] = []
    for file in files:
        for line, row in _rows(file):
            try:
                pair = _pair(row, sentences)
                captions_of = frozenset((pair.caption_a, pair.caption_b))
                if captions_of in seen:
                    raise _Unusable("the same captions as before")
                seen.add(captions_of)
                pairs.append(pair)
            except _Unusable as error:
                excluded.append(Excluded(file.name, line, str(error)))
            except LookupError as error:
                raise ValueError(f"pairs: {file}, line {line}: {error.args[0]}") from error
    return pairs, excluded


def choose(pairs: Sequence[Pair], per_bin: int, seed: int) -> list[Pair]:
    """At most `per_bin` random pairs of each bin; the bins take turns.

    So a run that was stopped half-way has measured about as many pairs of each bin. The same rows
    and seed give the same choice on every machine. Raises ValueError for less than one per bin.
    """
    if per_bin < 1:
        raise ValueError(f"per-bin: expected at least 1 pair, got {per_bin}.")
    chosen = []
    for edge in BINS:
        own = [pair for pair in pairs if pair.bin == edge]
        rng = Random(f"choice {seed} of bin {edge}")
        # Only `random()` is used: its stream is the same in all versions of Python.
        chosen.append(sorted(own, key=lambda _: rng.random())[:per_bin])
    in_turns = chain.from_iterable(zip_longest(*chosen))
    return [pair for pair in in_turns if pair is not None]


def write(pairs: Sequence[Pair], path: Path, origin: str) -> None:
    """Write a CSV file with Crisscrossed Captions' columns, and texts instead of numbers."""
    table = pd.DataFrame(
        [(p.caption_a, p.caption_b, p.similarity, origin) for p in pairs],
        columns=[*CAPTIONS, SCORES[0], "sampling_method"],
    )
    table.to_csv(path, index=False)


def read_sentences(path: Path) -> dict[int, str]:
    """Texts by sentence number.

    path: `dataset_coco.json` of the Karpathy split, which Crisscrossed Captions names, or MS-COCO's
    own `captions_val2014.json`. Raises ValueError for another file.
    """
    expected = f"{path}: expected dataset_coco.json (Karpathy) or captions_val2014.json (MS-COCO)"
    try:
        data = json.loads(path.read_bytes())
        if "images" in data and "annotations" not in data:
            sentences = chain.from_iterable(image["sentences"] for image in data["images"])
            return {int(sentence["sentid"]): str(sentence["raw"]) for sentence in sentences}
        return {int(row["id"]): str(row["caption"]) for row in data["annotations"]}
    except OSError as error:
        raise ValueError(f"captions: {path} can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{expected}, got something else ({error!r}).") from error


class _Unusable(Exception):
    """Raised for a row that is left out; its message is the reason."""


def _pair(row: Mapping[str, Any], sentences: Mapping[int, str] | None) -> Pair:
    if _SURPLUS in row:
        raise _Unusable("too many columns")
    similarity = _similarity(next((row[name] for name in SCORES if name in row), None))
    caption_a, caption_b = (_text(row[name], sentences) for name in CAPTIONS)
    if caption_a == caption_b:
        raise _Unusable("identical captions")
    return Pair(caption_a, caption_b, similarity)


def _similarity(score: Any) -> float:
    if score is None or (isinstance(score, float) and math.isnan(score)) or not str(score).strip():
        raise _Unusable("missing score")
    try:
        similarity = float(score)
    except (TypeError, ValueError):
        raise _Unusable("score is not a number") from None
    if not 0 <= similarity <= HIGHEST:
        raise _Unusable("score outside 0 to 5")
    return similarity


def _text(caption: Any, sentences: Mapping[int, str] | None) -> str:
    if not isinstance(caption, str) or not caption.strip():
        raise _Unusable("missing caption")
    if SENTENCE not in caption:
        return caption.strip()
    if sentences is None:
        raise LookupError(
            f"'{caption}' is a sentence number of MS-COCO; give the file with the texts "
            "(dataset_coco.json) as --captions."
        )
    number = caption.rsplit(":", 1)[1]
    if not number.isdecimal() or int(number) not in sentences:
        raise _Unusable("caption not among the sentences")
    return sentences[int(number)].strip()


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and rows (values by column), after a check of the columns."""
    try:
        if file.suffix.lower() == ".parquet":
            table = pd.read_parquet(file)
            _check_columns(list(table.columns), file)
            yield from enumerate(table.to_dict("records"), start=2)
            return
        # Not pandas: it cannot say which row of a CSV file has a comma too many, or it cuts the
        # row.
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, restkey=_SURPLUS)
            _check_columns(list(rows.fieldnames or ()), file)
            for row in rows:
                yield rows.line_num, row
    except OSError as error:
        raise ValueError(f"pairs: {file} can't be read: {error}.") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"pairs: {file} is not a CSV or Parquet file ({error}).") from error


def _check_columns(columns: Sequence[Any], file: Path) -> None:
    if not set(CAPTIONS) <= set(columns) or not set(SCORES) & set(columns):
        raise ValueError(
            f"pairs: {file}: expected the columns {', '.join(CAPTIONS)} and {' or '.join(SCORES)}, "
            f"got {', '.join(map(str, columns)) or 'none'}."
        )
