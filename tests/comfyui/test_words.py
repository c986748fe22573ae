"""The words behind the rows of a prompt: read from the graph, and in their places."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dev.comfyui.in_process import pack_nodes
from dev.comfyui.server import Server

from .conftest import PROMPT_A, Comfy

LONG = "a lighthouse, " * 40  # more than 75 tokens: two chunks, 154 rows

pytestmark = pytest.mark.usefixtures("comfy")


def tokens() -> Any:
    """The module, once `comfy` has loaded the pack."""
    return pack_nodes().prompt.tokens


def graph(text: Any, encoder: str = "CLIPTextEncode") -> dict[str, Any]:
    """A prompt in which node 3 couples the clouds of two prompts."""
    return {
        "1": {"class_type": encoder, "inputs": {"text": text, "clip": ["0", 1]}},
        "2": {"class_type": "GeodesicPointCloud", "inputs": {"conditioning": ["1", 0]}},
        "3": {"class_type": "GeodesicCouple", "inputs": {"source": ["2", 0], "target": ["2", 0]}},
        "8": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "written elsewhere"}},
        "9": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "b"}},
    }


def test_tokens_stand_at_their_rows() -> None:
    """Start, words without weights, end, padding; a second chunk starts and ends anew."""
    labels = tokens().row_labels
    words = ("⟨start⟩", "a", "red", "circle", ",", "blue", "star", "⟨end⟩")
    assert labels("a (red:1.5) circle, (blue star)", 77, 768) == words + (None,) * 69
    assert labels("", 77, 2048) == ("⟨start⟩", "⟨end⟩") + (None,) * 75
    found = labels(LONG, 154, 768)
    assert found[:4] == ("⟨start⟩", "a", "lighthouse", ",")
    assert found[76:79] == ("⟨end⟩", "⟨start⟩", "a")
    assert found.count("⟨end⟩") == 2
    assert found[77:].index("⟨end⟩") == 120 - 75 + 1
    assert set(found[found.index("⟨end⟩", 77) + 1 :]) == {None}


def test_tokens_are_those_the_text_encoder_was_given(comfy: Comfy) -> None:
    """The checkpoint's own tokenizer makes the same chunks; other letters are readable."""
    for text in (PROMPT_A, LONG, "a (red:1.5) circle", "Über (東京:1.2), it's \\(here\\)"):
        labels = tokens().clip_labels(text)
        chunks = comfy.clip.tokenize(text)["l"]
        assert len(labels) == sum(len(chunk) for chunk in chunks)
        end = chunks[0][-1][0]
        padding = [k for k, label in enumerate(labels) if label is None]
        assert all(chunks[k // 77][k % 77][0] == end for k in padding)
        assert sum(label == "⟨start⟩" for label in labels) == len(chunks)
    assert {"ü", "ber", "東", "it", "'s", "(", "here", ")"} <= set(labels)


@pytest.mark.parametrize(
    ("text", "rows", "width"),
    [
        (None, 77, 768),  # the text is unknown
        ("a star", 154, 768),  # other rows than the text has
        ("a star", 256, 4096),  # T5
        ("a star", 77, 1024),  # another encoder
        ("a star, embedding:style", 77, 768),  # rows from a file
    ],
)
def test_rows_of_unknown_origin_keep_their_numbers(text: str | None, rows: int, width: int) -> None:
    """If the text is uncertain, rows have no labels."""
    assert tokens().row_labels(text, rows, width) is None


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (graph("a star"), "a star"),
        (graph(["8", 0]), "written elsewhere"),
        (graph(["9", 0]), None),  # only known at run time
        (graph(["7", 0]), None),
        (graph("a star", "ConditioningAverage"), None),  # rows of more than one text
        ({}, None),
    ],
)
def test_the_text_is_followed_upstream(made: dict[str, Any], expected: str | None) -> None:
    """A literal text and a plain text node are read, anything else is not guessed."""
    found = tokens().text_upstream
    assert found(made, "3", "source") == expected
    assert found(made, 3, "target") == expected
    assert found(made, "4", "source") is None
    assert found(made, "3", "method") is None


def through(nodes: list[tuple[str, str, int]]) -> dict[str, Any]:
    """`graph` with more nodes before the cloud: class, name of its input, number of its output."""
    made = graph("a star")
    link: list[Any] = ["1", 0]
    for number, (kind, name, output) in enumerate(nodes, start=20):
        made[str(number)] = {"class_type": kind, "inputs": {name: link, "strength": 1.0}}
        link = [str(number), output]
    made["2"]["inputs"]["conditioning"] = link
    return made


KEPT = ("conditioning", 0)
BENT = ("GeodesicTextInversion", *KEPT)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([BENT], "a star"),
        ([("ConditioningSetTimestepRange", *KEPT)], "a star"),
        ([("ConditioningSetArea", *KEPT), BENT, ("ConditioningSetMask", *KEPT)], "a star"),
        ([("ControlNetApplyAdvanced", "negative", 1), BENT], "a star"),
        ([("ControlNetApplyAdvanced", "negative", 0)], None),  # the other side's prompt
        ([BENT, ("ConditioningConcat", "conditioning_to", 0)], None),  # rows of two texts
        ([("SomeoneElsesNode", *KEPT)], None),
    ],
)
def test_words_pass_nodes_that_leave_rows_in_their_places(
    nodes: list[tuple[str, str, int]], expected: str | None
) -> None:
    """A bent prompt, an area, a mask, a range, a ControlNet: the rows are still the text's."""
    assert tokens().text_upstream(through(nodes), "3", "source") == expected


def test_nodes_that_pass_rows_on_are_named_as_comfyui_names_them(server: Server) -> None:
    """Every one exists, and its outputs and inputs are prompts in the order that we say."""
    known = server.get("object_info")
    for kind, names in tokens().PASSING.items():
        schema = known[kind]
        assert schema["output"][: len(names)] == ["CONDITIONING"] * len(names)
        assert all(schema["input"]["required"][name][0] == "CONDITIONING" for name in names)


def test_native_nodes_that_pass_rows_on_keep_them(comfy: Comfy) -> None:
    """Area, strength, mask and range add keys; the rows stay bit for bit."""
    prompt, nodes = comfy.encode(PROMPT_A), comfy.nodes
    mask = torch.ones(1, 8, 8)
    changed = [
        nodes.ConditioningSetArea().append(prompt, 32, 32, 0, 0, 0.5),
        nodes.ConditioningSetAreaPercentage().append(prompt, 0.5, 0.5, 0.0, 0.0, 0.5),
        nodes.ConditioningSetAreaStrength().append(prompt, 0.5),
        nodes.ConditioningSetMask().append(prompt, mask, "default", 0.5),
        nodes.ConditioningSetTimestepRange().set_range(prompt, 0.1, 0.9),
    ]
    for ((rows, keys),) in (one[0] for one in changed):
        assert torch.equal(rows, prompt[0][0])
        assert keys.keys() > prompt[0][1].keys()
