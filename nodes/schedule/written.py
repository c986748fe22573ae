"""Paths and times from what people write: prompts as text, or places for connected prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfy.utils import ProgressBar

from ...geometry.cloud import clouds_from_conditioning
from ...geometry.path import Keyframe, Path
from ...geometry.prompt_text import Entry, PromptTextError, parse, parse_places
from ...geometry.timeline import Stop, Timeline, timeline
from ...geometry.times import Times
from ..inputs import check_entries
from ..prompt.notes import padding_note

# As many prompts as Prompt Keyframes can take.
MOST_PROMPTS = 8


@dataclass(frozen=True, eq=False)
class Film:
    """A path of prompts, the time of every frame on it, and both in words."""

    paths: tuple[Path, ...]
    times: Times
    summary: str

    @property
    def note(self) -> str:
        """What has to be known of how the prompts were paired; mostly empty."""
        return padding_note([leg for path in self.paths for leg in path.legs])


def film_of_text(
    clip: Any,
    text: str,
    frames: int,
    fps: float,
    before: str,
    after: str,
    method: str,
    seed: int,
    ending: str,
) -> Film:
    """The film of a text as `geometry.prompt_text` reads it. Every prompt is encoded once.

    before, after: joined to every prompt by commas. method, seed: of ways for which the text says
    nothing. Raises ValueError with line and column for what cannot be read or placed.
    """
    if clip is None:
        raise ValueError(
            "clip: expected a text encoder, got none. The checkpoint holds none; load one with "
            "CLIPLoader."
        )
    plan = timeline(parse(text), frames, fps, ending)
    whole = {stop.text: _joined(before, stop.text, after) for stop in plan.stops}
    encoded = _encoded(clip, list(dict.fromkeys(whole.values())))
    conditionings = [encoded[whole[stop.text]] for stop in plan.stops]
    names = [f"line {stop.entry.line}" for stop in plan.stops]
    return _film(plan, conditionings, names, method, seed)


def film_of_prompts(
    prompts: Mapping[str, Any],
    places: str,
    frames: int,
    fps: float,
    easing: str,
    method: str,
    seed: int,
    ending: str,
) -> Film:
    """The film of connected prompts, in the order of their inputs' numbers.

    prompts: input → CONDITIONING, or None for one that is not connected. places: where each stands,
    see `parse_places`. Raises ValueError for fewer than two prompts and for places that do not fit.
    """
    connected = [name for name, conditioning in prompts.items() if conditioning is not None]
    if len(connected) < 2:
        raise ValueError(
            f"prompt_1 ... prompt_{MOST_PROMPTS}: expected at least two connected prompts, got "
            f"{len(connected)}."
        )
    try:
        plan = timeline(parse_places(places, len(connected), easing), frames, fps, ending)
    except PromptTextError as error:
        raise ValueError(f"frames, place {error.line}: {error.problem}") from None
    return _film(plan, [prompts[name] for name in connected], connected, method, seed)


def _film(
    plan: Timeline, conditionings: Sequence[Any], names: Sequence[str], method: str, seed: int
) -> Film:
    paths: list[Path] = []
    for k, (stop, weight) in enumerate(zip(plan.stops, plan.weights, strict=True)):
        clouds = clouds_from_conditioning(conditionings[k], names[k])
        keyframes = [Keyframe(c, weight, stop.entry.method or method, seed) for c in clouds]
        if not paths:
            paths = [Path((keyframe,)) for keyframe in keyframes]
            continue
        ends = names[k - 1], names[k]
        check_entries(paths, keyframes, ends)
        paths = [path.append(key, ends) for path, key in zip(paths, keyframes, strict=True)]
    return Film(tuple(paths), plan.times, summary(plan))


def _encoded(clip: Any, texts: Sequence[str]) -> dict[str, Any]:
    """The CONDITIONING of each text, as CLIPTextEncode makes it."""
    bar = ProgressBar(len(texts))
    found = {}
    for text in texts:
        found[text] = clip.encode_from_tokens_scheduled(clip.tokenize(text))
        bar.update(1)
    return found


def _joined(before: str, text: str, after: str) -> str:
    parts = (part.strip().strip(",").strip() for part in (before, text, after))
    return ", ".join(part for part in parts if part)


def summary(plan: Timeline) -> str:
    """A line for each prompt: its frames, its words, and how the film comes there."""
    lines = [_line(stop, plan, k) for k, stop in enumerate(plan.stops)]
    if plan.stops[0].frames:
        lines.append(f"back to the first prompt within {plan.stops[0].frames} frames")
    return "\n".join(lines)


def _line(stop: Stop, plan: Timeline, k: int) -> str:
    last = stop.last
    if k + 1 == len(plan.stops) and not plan.stops[0].frames:
        last = plan.forward - 1
    frames = f"{stop.first}" if last == stop.first else f"{stop.first} to {last}"
    return f"{frames}: {stop.text}{_way(stop.entry)}"


def _way(entry: Entry) -> str:
    ways = [entry.easing] * (entry.easing != "linear") + [entry.method] * bool(entry.method)
    return f" ({', '.join(map(str, ways))})" if ways else ""
