"""A study's raw data as one Parquet file: a tidy table, with all about the run in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"geodesic_study"


def write(table: pd.DataFrame, about: Mapping[str, Any], path: Path) -> None:
    """Write a table. about: what JSON can hold; it goes into the file's metadata."""
    data = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(data.schema.metadata or {}), _KEY: json.dumps(about).encode()}
    pq.write_table(data.replace_schema_metadata(metadata), path, compression="zstd")


def read(path: Path, command: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What `write` wrote. Raises ValueError for another file; command: what writes such a file."""
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_KEY])
        return table.to_pandas(), about
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise ValueError(f"{path} was not written by `{command}` ({error}).") from error
