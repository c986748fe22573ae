"""A schedule of prompts written as text: what stands where, line by line.

    0: a red fox in fresh snow
    24: an old lighthouse
    +12 hold
    3.5s: a field of sunflowers | ease in-out, row order
    end: a red fox in fresh snow     # a comment

The other form is that of FizzNodes and Deforum: "0": "a fox", "24": "a lighthouse". The browser
reads the same text in js/lib/prompt_text.js; golden cases keep both alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .coupling import METHODS
from .easing import CURVE, EASINGS, LINEAR

# Easings that need no curve, and so can be written as words.
WRITTEN_EASINGS = tuple(easing for easing in EASINGS if easing != CURVE)

FRAMES, SECONDS, PERCENT, END = "", "s", "%", "end"
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_WHEN = rf"(?P<when>end|(?P<plus>\+)?(?P<number>{_NUMBER})(?P<unit>s|%)?)"
_PLACE = re.compile(rf"\s*{_WHEN}\s*")
_PROMPT_LINE = re.compile(rf"\s*{_WHEN}\s*:(?P<rest>.*)$", re.DOTALL)
_HOLD_LINE = re.compile(rf"\s*{_WHEN}\s+hold\s*$")
# A comment begins the line, or follows a space and is followed by one: "room #5" is none.
_COMMENT = re.compile(r"(?:^\s*#|\s#(?:\s|$)).*$")
_BAR = re.compile(r"(?<!\\)\s\|\s")
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True)
class When:
    """A place in a film. unit: frames, seconds, percent or end; relative: after the line before."""

    amount: float
    unit: str = FRAMES
    relative: bool = False


@dataclass(frozen=True)
class Entry:
    """A prompt at its place.

    text: None for a hold, which shows the prompt before. easing, method: of the way that leads
    here; method is None where nothing is written. line, column: where it stands, counted from 1.
    """

    when: When
    text: str | None
    easing: str
    method: str | None
    line: int
    column: int


class PromptTextError(ValueError):
    """What is wrong with a text, at a line and a column."""

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(f"text, line {line}, column {column}: {problem}")
        self.line, self.column, self.problem = line, column, problem


def parse(text: str) -> list[Entry]:
    """The entries of a text in either form, in their order.

    Raises PromptTextError for what cannot be read, and for a text without a prompt.
    """
    first = text.lstrip()[:1]
    entries = list(_json_like(text)) if first in ('"', "{") else list(_lines(text))
    if not any(entry.text is not None for entry in entries):
        raise PromptTextError(
            1, 1, "expected at least one prompt such as '0: a red fox', got none."
        )
    return entries


def parse_places(written: str, count: int, easing: str) -> list[Entry]:
    """Places alone, separated by commas, for prompts that are given apart; none is "0%, ..., end".

    Each becomes an entry whose text is its number, and whose line is its place in the list. Raises
    ValueError, naming the input `frames`, for another number of places and for what is no place.
    """
    if not written.strip():
        shares = [100 * k / max(count - 1, 1) for k in range(count)]
        places = [When(share, PERCENT) for share in shares]
    else:
        found = [_PLACE.fullmatch(part) for part in written.split(",")]
        unread = [part for part, match in zip(written.split(","), found, strict=True) if not match]
        if unread:
            raise ValueError(
                "frames: expected places such as '0, 24, +12, 3.5s, 50%, end', got "
                f"'{unread[0].strip()[:40]}'."
            )
        places = [_when(match) for match in found if match]
    if len(places) != count:
        raise ValueError(
            f"frames: expected one place for each of the {count} prompts, got {len(places)}. Leave "
            "it empty for equal distances."
        )
    return [
        Entry(place, str(number), easing, None, number, 1)
        for number, place in enumerate(places, start=1)
    ]


def _lines(text: str) -> Iterator[Entry]:
    """Entries of the form `when: prompt`; an indented line goes on with the prompt before."""
    current: tuple[re.Match[str], int, str] | None = None
    for number, written in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", written).rstrip()
        if not line.strip():
            continue
        started, hold = _PROMPT_LINE.match(line), _HOLD_LINE.match(line)
        goes_on = current is not None and line[0].isspace() and not started and not hold
        if goes_on and current:
            current = (current[0], current[1], f"{current[2]} {line.strip()}")
            continue
        if current:
            yield _entry(*current)
            current = None
        if hold:
            yield Entry(_when(hold), None, LINEAR, None, number, 1 + hold.start("when"))
        elif started:
            current = (started, number, started["rest"])
        else:
            column = 1 + len(line) - len(line.lstrip())
            raise PromptTextError(
                number,
                column,
                "expected a place and a prompt such as '24: an old lighthouse', '3.5s: ...', "
                f"'50%: ...', '+12: ...', 'end: ...' or '+12 hold', got '{line.strip()[:40]}'. "
                "Indent a line that goes on with the prompt before it.",
            )
    if current:
        yield _entry(*current)


def _entry(match: re.Match[str], line: int, rest: str) -> Entry:
    column = 1 + match.start("when")
    parts = _BAR.split(rest)
    easing, method = LINEAR, None
    if len(parts) > 1:
        at = 1 + match.start("rest") + rest.rindex(parts[-1])
        easing, method = _options(parts[-1], line, at)
        parts = parts[:-1]
    prompt = " | ".join(parts).replace("\\|", "|").strip()
    return Entry(_when(match), prompt, easing, method, line, column)


def _options(written: str, line: int, column: int) -> tuple[str, str | None]:
    easing, method = LINEAR, None
    for option in (part.strip() for part in written.split(",")):
        if option in WRITTEN_EASINGS:
            easing = option
        elif option in METHODS:
            method = option
        else:
            known = ", ".join((*WRITTEN_EASINGS, *METHODS))
            raise PromptTextError(
                line,
                column,
                f"expected options behind ' | ', of {known}, got '{option[:40]}'. Write \\| for a "
                "bar that belongs to the prompt.",
            )
    return easing, method


def _when(match: re.Match[str]) -> When:
    if match["when"] == END:
        return When(0.0, END)
    return When(float(match["number"]), match["unit"] or FRAMES, bool(match["plus"]))


def _json_like(text: str) -> Iterator[Entry]:
    """Entries of the form "24": "prompt", separated by commas, with or without braces."""
    position = 0

    def skip(extra: str) -> None:
        nonlocal position
        while position < len(text) and (text[position].isspace() or text[position] in extra):
            position += 1

    def expect(what: str, found: re.Match[str] | None) -> re.Match[str]:
        if found is None:
            got = text[position : position + 20] or "the end of the text"
            raise PromptTextError(*_place(text, position), f"expected {what}, got '{got}'.")
        return found

    skip("{")
    while position < len(text):
        key = expect('a frame in quotes such as "24"', _JSON_STRING.match(text, position))
        line, column = _place(text, position)
        position = key.end()
        skip("")
        position = expect("a colon", re.compile(":").match(text, position)).end()
        skip("")
        value = expect("a prompt in double quotes", _JSON_STRING.match(text, position))
        prompt_at = _place(text, position)
        position = value.end()
        yield Entry(
            _json_when(key[1], line, column),
            _json_prompt(value[1], *prompt_at),
            LINEAR,
            None,
            line,
            column,
        )
        skip("")
        if position < len(text) and text[position] not in ",}":
            expect("a comma before the next frame", None)
        skip(",}")


def _json_when(key: str, line: int, column: int) -> When:
    found = re.fullmatch(rf"\s*(?:{_WHEN}|(?P<last>max_f))\s*", key)
    if found is None:
        raise PromptTextError(
            line, column, f'expected a frame such as "24" or "max_f", got \'{key[:40]}\'.'
        )
    return When(0.0, END) if found["last"] else _when(found)


def _json_prompt(written: str, line: int, column: int) -> str:
    escaped = written.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "")
    try:
        prompt = json.loads(f'"{escaped}"')
    except ValueError:
        raise PromptTextError(
            line, column, "expected a text in double quotes, got a backslash that escapes nothing."
        ) from None
    for sign, remedy in (
        ("--neg", "Give the negative prompt to the sampler"),
        ("`", "Write the prompt without expressions"),
    ):
        if sign in prompt:
            raise PromptTextError(
                line, column, f"expected a plain prompt, got one with '{sign}'. {remedy}."
            )
    return " ".join(prompt.split())


def _place(text: str, position: int) -> tuple[int, int]:
    """The line and the column of a position, counted from 1."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
