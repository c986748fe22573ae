"""What the prompt nodes say under themselves about the prompts that they paired."""

from __future__ import annotations

from collections.abc import Sequence

from ...geometry.coupling import Coupling
from ...geometry.path import Path


def padding_note(couplings: Sequence[Coupling]) -> str:
    """That row order filled prompts up with zeros; empty where it did not."""
    padded = {(c.source.rows, c.target.rows): c for c in couplings if c.is_padded}
    return " ".join(
        f"Row order of {m} with {n} rows: the {abs(m - n)} rows that the shorter prompt lacks are "
        "zeros, as in ConditioningAverage."
        for m, n in padded
    )


def path_note(paths: Sequence[Path]) -> str:
    """The same for the newest leg of each path."""
    return padding_note([path.legs[-1] for path in paths if path.legs])
