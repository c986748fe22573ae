"""`python -m tests.golden.prompt_text`: write the films that Python and the browser must both read.

tests/geometry/test_golden_prompt_text.py holds Python to prompt_text.json, and
tests/js/prompt_text.test.js JavaScript.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

from geodesic_morph.geometry.prompt_text import PromptTextError, parse
from geodesic_morph.geometry.timeline import timeline
from geodesic_morph.geometry.times import ENDINGS

FILE = Path(__file__).with_name("prompt_text.json")
READ = (
    "0: a red fox in snow\n24: a lighthouse\n+12 hold\n3.5s: a field | ease in-out\nend: x",
    "# first\n10: a # one\n  more of a\n50%: b | random, ease in\n+10%: c \\| d | row order\n",
    '"0": "a (b:1.2)", "24": "caf\\u00e9 \\"x\\"",',
    '{"0": "a\nb",\n "max_f": "c"}\n',
    "  0 :a:b\n.5s: {x|y} | ease out\n+1.5s: room #5\n",
    "0: a\n3: a\n9: b\nend hold",
    "\n5: only later\r\n9: c\r\n",
)
REFUSED = (
    "a fox",
    "0: a\nfox",
    "0: a\n5: b | slowly",
    "0: a\n0: b",
    "0: a\n\n200: b",
    "+3 hold\n9: b",
    "0: a",
    "",
    '"0": "a" "9": "b"',
    '"0": a',
    '"0" "a"',
    '{"0": "a",\n  9: "b"}',
    '"0": "a", "max_f/2": "b"',
    '"0": "a",\n"9": "a --neg blur"',
    '"0": "a \\x", "9": "b"',
)


def cases() -> list[dict[str, Any]]:
    """Each text with the stops of its film, or with the line that is refused."""
    films = product((*READ, *REFUSED), ENDINGS)
    return [_case(text, 97 if ending == "stop" else 200, 24.0, ending) for text, ending in films]


def _case(text: str, frames: int, fps: float, ending: str) -> dict[str, Any]:
    case: dict[str, Any] = {"text": text, "frames": frames, "fps": fps, "ending": ending}
    try:
        plan = timeline(parse(text), frames, fps, ending)
    except PromptTextError as error:
        return case | {"line": error.line}
    stops = [
        [stop.text, stop.first, stop.last, stop.frames, stop.entry.easing, stop.entry.method]
        for stop in plan.stops
    ]
    return case | {"stops": stops, "forward": plan.forward}


if __name__ == "__main__":
    FILE.write_text(json.dumps(cases(), indent=1) + "\n")
