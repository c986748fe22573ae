"""Errors can be shown anywhere: a Windows console logs plain ASCII alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dev.comfyui.environment import ROOT

FILES = [file for folder in ("nodes", "geometry") for file in sorted((ROOT / folder).rglob("*.py"))]


def messages(file: Path) -> list[str]:
    """All texts in a file's `raise` statements."""
    tree = ast.parse(file.read_text())
    return [
        part.value
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Raise)
        for part in ast.walk(statement)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_errors_are_plain_ascii(file: Path) -> None:
    assert [text for text in messages(file) if not text.isascii()] == []


def test_there_are_errors() -> None:
    assert sum(len(messages(file)) for file in FILES) > 200
