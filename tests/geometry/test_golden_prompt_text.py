"""Prompts as text are read alike by Python and by the browser.

tests/js/prompt_text.test.js reads the same cases. After a wanted change: python -m
tests.golden.prompt_text.
"""

from __future__ import annotations

import json

from tests.golden.prompt_text import FILE, READ, REFUSED, cases


def test_films_are_the_golden_ones() -> None:
    """Stops of what can be read, lines of what cannot; every text that should be is refused."""
    found = json.loads(json.dumps(cases()))
    assert found == json.loads(FILE.read_text())
    assert {case["text"] for case in found if "stops" in case} == set(READ)
    assert {case["text"] for case in found if "line" in case and case["ending"] == "stop"} == set(
        REFUSED
    )
