"""What only newer ComfyUIs show of a node: search words, inputs on demand, essential nodes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from dev.comfyui.server import Server

from ..generations import BOTH

pytestmark = BOTH

NEWER = bool(os.environ.get("COMFYUI_NEXT"))
WORDS = ("travel", "tween", "interpolate", "blend", "slerp", "fizz", "deforum", "morph")
# What a first morph needs is never hidden.
FIRST_MORPH = {
    "GeodesicKeyframe": {"weight", "method"},
    "GeodesicTimes": {"frames", "easing", "ending"},
    "GeodesicPromptText": {"text", "frames", "fps", "ending"},
    "GeodesicMorphSampler": {"frames", "seed", "steps", "cfg", "sampler_name", "bridge", "ending"},
}


@pytest.fixture(scope="module")
def ours(server: Server) -> dict[str, Any]:
    return {k: v for k, v in server.get("object_info").items() if k.startswith("Geodesic")}


def shown_on_demand(schema: dict[str, Any]) -> dict[str, list[Any]]:
    entries = {k: v for kind in schema["input"].values() for k, v in kind.items()}
    return {k: v for k, v in entries.items() if [*v, {}][1].get("advanced")}


def test_nodes_are_found_by_the_words_of_other_packs(ours: dict[str, Any]) -> None:
    """Each node has words of its own; each word that people type leads to a node."""
    if not NEWER:
        assert not any("search_aliases" in schema for schema in ours.values())
        return
    aliases = [schema["search_aliases"] for schema in ours.values()]
    assert all(len(words) == len(set(words)) >= 3 for words in aliases)
    found = {word: [w for words in aliases for w in words if word in w] for word in WORDS}
    assert all(found.values()), found


def test_inputs_shown_on_demand_have_defaults(ours: dict[str, Any]) -> None:
    """Nobody must open the advanced inputs to get a first morph; 0.3.75 shows everything."""
    hidden = {name: shown_on_demand(schema) for name, schema in ours.items()}
    assert bool(sum(map(len, hidden.values()))) == NEWER
    for name, entries in hidden.items():
        assert not set(entries) & FIRST_MORPH.get(name, set())
        for kind, options in entries.values():
            assert isinstance(kind, list) or "default" in options or options["options"]


def test_what_a_first_morph_is_made_of_is_essential(ours: dict[str, Any]) -> None:
    """Three ways to a first morph stand among ComfyUI's essential nodes, the others do not."""
    essential = {name for name, schema in ours.items() if schema.get("essentials_category")}
    three = {"GeodesicKeyframe", "GeodesicPromptText", "GeodesicMorphSampler"}
    assert essential == (three if NEWER else set())
