"""Prompts as text: what is read, where it stands in a film, and what is refused at which place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodesic_morph.geometry.easing import easing_function
from geodesic_morph.geometry.path import Keyframe, Path
from geodesic_morph.geometry.prompt_text import (
    WRITTEN_EASINGS,
    PromptTextError,
    parse,
    parse_places,
)
from geodesic_morph.geometry.timeline import Timeline, timeline
from geodesic_morph.geometry.times import LOOP, PING_PONG, STOP
from tests.geometry.strategies import cloud, refused

FILM = """
# The first film
0: a red fox in fresh snow
24: an old lighthouse
+12 hold
3.5s: a field of sunflowers | ease in-out
end: a red fox in fresh snow   # the same again
"""


def stops(text: str, frames: int = 97, ending: str = STOP) -> list[tuple[str, int, int]]:
    plan = timeline(parse(text), frames, 24, ending)
    return [(stop.text, stop.first, stop.last) for stop in plan.stops]


def test_the_example_stands_where_it_says() -> None:
    """Frames, a hold after the line before, seconds at 24 per second, the end."""
    assert stops(FILM) == [
        ("a red fox in fresh snow", 0, 0),
        ("an old lighthouse", 24, 36),
        ("a field of sunflowers", 84, 84),
        ("a red fox in fresh snow", 96, 96),
    ]


@pytest.mark.parametrize(
    ("place", "frame"),
    [("24", 24), ("1.5s", 36), ("50%", 48), ("+6", 16), ("+1s", 34), ("+10%", 20), ("end", 96)],
)
def test_every_kind_of_place(place: str, frame: int) -> None:
    """After a prompt at frame 10 of 97, at 24 frames per second; percent of the last frame."""
    assert stops(f"10: a\n{place}: b") == [("a", 0, 10), ("b", frame, frame)]


@pytest.mark.parametrize(
    "text",
    [
        '"0": "a fox", "24": "a (lamp:1.2)"',
        '{"0": "a fox",\n "24": "a (lamp:1.2)",\n}',
        '"0" :"a fox"\n,"24": "a\n(lamp:1.2)"',
        "0: a fox\n24: a (lamp:1.2)",
        "0:a fox\n\n  24 : a\n   (lamp:1.2)",
        "0: a fox # one\n#two\n24: a (lamp:1.2) #",
    ],
)
def test_both_forms_say_the_same(text: str) -> None:
    """FizzNodes' and Deforum's form as pasted, and lines, which may go on if they are indented."""
    assert stops(text) == [("a fox", 0, 0), ("a (lamp:1.2)", 24, 24)]


def test_max_f_is_the_end() -> None:
    """Deforum's name for the last frame."""
    assert stops('{"0": "a", "max_f": "b"}')[-1] == ("b", 96, 96)


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("room #5: a view", "room #5: a view"),
        (r"a \| b", "a | b"),
        ("{red|blue} car", "{red|blue} car"),
        ("a fox | ease in", "a fox"),
        (r"a \| b | row order, ease out", "a | b"),
        ("(embedding:name:1.1), dusk", "(embedding:name:1.1), dusk"),
        ("24: eight", "24: eight"),
    ],
)
def test_prompts_keep_their_own_signs(prompt: str, read: str) -> None:
    """Colons, bars, braces and numbers belong to the prompt unless they are options or comments."""
    assert parse(f"0: {prompt}\n9: x")[0].text == read


@pytest.mark.parametrize("easing", WRITTEN_EASINGS)
@pytest.mark.parametrize("method", ["optimal transport", "row order", "random"])
def test_options_are_those_of_the_way_that_leads_here(easing: str, method: str) -> None:
    """An easing and a method behind the bar, in any order."""
    for options in (f"{easing}, {method}", f"{method},{easing}"):
        (_, entry) = parse(f"0: a\n9: b | {options}")
        assert (entry.easing, entry.method, entry.text) == (easing, method, "b")


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("a fox", 1, 1, "expected a place and a prompt"),
        ("0: a\nfox", 2, 1, "expected a place and a prompt"),
        ("  fox", 1, 3, "expected a place and a prompt"),
        ("0: a\n5: b | slowly", 2, 8, "expected options behind ' | '"),
        ("0: a\n0: b", 2, 1, "expected a frame after 0"),
        ("0: a\n\n 200: b", 3, 2, "expected a frame from 0 to 96"),
        ("0: a\n5s: b", 2, 1, "got 120"),
        ("+3 hold\n9: b", 1, 1, "expected a prompt before 'hold'"),
        ("0: a", 1, 1, "at least two different prompts"),
        ("0: a\n9: a", 1, 1, "at least two different prompts"),
        ("", 1, 1, "expected at least one prompt"),
        ("# nothing", 1, 1, "expected at least one prompt"),
        ('"0": "a" "9": "b"', 1, 10, "expected a comma"),
        ('"0": a', 1, 6, "expected a prompt in double quotes"),
        ('"0" "a"', 1, 5, "expected a colon"),
        ('{"0": "a",\n  9: "b"}', 2, 3, "expected a frame in quotes"),
        ('"0": "a", "max_f/2": "b"', 1, 11, "expected a frame such as"),
        ('"0": "a --neg blur", "9": "b"', 1, 6, "'--neg'"),
        ('"0": "a (b:`sin(t)`)", "9": "b"', 1, 6, "without expressions"),
        ('"0": "a \\x", "9": "b"', 1, 6, "a backslash"),
    ],
)
def test_errors_name_line_and_column(text: str, line: int, column: int, problem: str) -> None:
    """Everything that cannot be read or placed is refused where it stands."""
    with pytest.raises(PromptTextError) as caught:
        timeline(parse(text), 97, 24, STOP)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"text, line {line}, column {column}: ")
    assert str(caught.value).isascii()


# Times


@st.composite
def films(draw: st.DrawFn) -> tuple[Timeline, list[int]]:
    """A film with two to six prompts on random frames, and those frames."""
    ending = draw(st.sampled_from([STOP, LOOP, PING_PONG]))
    frames = draw(st.integers(12, 60))
    forward = (frames + 1) // 2 if ending == PING_PONG else frames
    chosen = draw(
        st.lists(st.integers(0, forward - 1), min_size=2, max_size=min(6, forward), unique=True)
    )
    places = sorted(chosen)
    ways = [draw(st.sampled_from(WRITTEN_EASINGS)) for _ in places]
    text = "\n".join(
        f"{f}: p{k} | {way}" for k, (f, way) in enumerate(zip(places, ways, strict=True))
    )
    return timeline(parse(text), frames, 24, ending), places


def path_of(plan: Timeline) -> Path:
    keyframes = [Keyframe(cloud(k, 3), weight) for k, weight in enumerate(plan.weights)]
    path = Path((keyframes[0],))
    for keyframe in keyframes[1:]:
        path = path.append(keyframe, ("a", "b"))
    return path.closed() if plan.ending == LOOP else path


@given(films())
def test_prompts_stand_exactly_on_their_frames(film: tuple[Timeline, list[int]]) -> None:
    """The cloud at each written frame is its prompt's own, bit for bit."""
    plan, places = film
    path, times = path_of(plan), plan.times.values
    assert len(times) == plan.frames
    for k, place in enumerate(places):
        assert path.locate(times[place]) == (k, 0.0)
        assert path.at(times[place]) is path.stops[k]


@given(films())
def test_between_prompts_time_runs_by_the_easing(film: tuple[Timeline, list[int]]) -> None:
    """Leg by leg: the share of the frames, eased as the line says that the way leads to."""
    plan, places = film
    path, times = path_of(plan), plan.times.values
    for k, (a, b) in enumerate(pairwise(places)):
        easing = easing_function(plan.stops[k + 1].entry.easing)
        for frame in range(a + 1, b):
            leg, u = path.locate(times[frame])
            assert leg == k
            assert u == pytest.approx(float(easing(np.array((frame - a) / (b - a)))), abs=1e-6)


@given(films())
def test_before_and_after_all_prompts(film: tuple[Timeline, list[int]]) -> None:
    """The first prompt is held before its frame, and the last one behind; a loop leads back.

    A ping-pong reads the same from both ends.
    """
    plan, places = film
    times = plan.times.values
    assert set(times[: places[0] + 1]) == {0.0}
    after = times[places[-1] : plan.forward]
    if plan.ending == LOOP:
        assert all(a < b for a, b in pairwise((*after, 1.0)))
    else:
        assert set(after) == {1.0}
    if plan.ending == PING_PONG:
        assert times == times[::-1]


def test_a_hold_stands_still() -> None:
    """From the line before to the hold all frames have one time; then the way goes on."""
    plan = timeline(parse("0: a\n4: b\n+3 hold\n12: c"), 13, 24, STOP)
    times = plan.times.values
    assert len({*times[4:8]}) == 1
    assert times[3] < times[4]
    assert times[7] < times[8]


# Places of connected prompts


def test_empty_places_are_equal_distances() -> None:
    """Three prompts in 49 frames: the first, the middle, the last."""
    plan = timeline(parse_places("", 3, "linear"), 49, 24, STOP)
    assert [stop.first for stop in plan.stops] == [0, 24, 48]


def test_written_places_are_read_like_those_of_lines() -> None:
    """Frames, relative ones, seconds, percent, end."""
    plan = timeline(parse_places("0, +8, 1s, 75%, end", 5, "ease in"), 97, 24, STOP)
    assert [stop.first for stop in plan.stops] == [0, 8, 24, 72, 96]
    assert {stop.entry.easing for stop in plan.stops} == {"ease in"}


@pytest.mark.parametrize(
    ("places", "parts"),
    [
        ("0, 24", ("frames: expected one place for each of the 3 prompts", "got 2")),
        ("0, x, 9", ("frames: expected places such as", "'x'")),
        ("0, , 9", ("frames: expected places such as", "''")),
    ],
)
def test_places_that_do_not_fit_are_refused(places: str, parts: tuple[str, ...]) -> None:
    """Another number than there are prompts, and what is no place."""
    refused(lambda: parse_places(places, 3, "linear"), *parts)
