"""What stands behind a Morph Schedule in the graph: its sampler, and other schedules it meets.

ComfyUI pairs the items of several lists by position, and repeats the last item of a shorter one.
Prompts of two schedules that are cut into batches in two ways so become pairs of different frames,
and no later node could tell. Only the graph shows it beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..inputs import FRAMES_PER_BATCH
from ..internals import output_types
from ..samplers import draws_step_noise
from .schedule import Cuts

SCHEDULE = "GeodesicSchedule"
# The inputs in which our nodes say how many frames their times have.
COUNTS = ("frames", "length")
POSITIVE, LATENTS = 0, 1

# An API-format prompt: node id → class_type and inputs; an input is a value or [node id, output].
Graph = Mapping[str, Any]


def graph_of(node: type[io.ComfyNode]) -> tuple[Graph, str] | None:
    """The running graph and the running node's id in it; None for a node called by hand."""
    if node.hidden is None or not node.hidden.prompt:
        return None
    return node.hidden.prompt, str(node.hidden.unique_id)


def check_equal_batches(node: type[io.ComfyNode], cuts: Cuts) -> None:
    """Raise ValueError if another schedule, cut into other batches, meets this one's prompts.

    A number that is linked is not known before it has run, and taken as equal.
    """
    found = graph_of(node)
    if found is None:
        return
    graph, this = found
    mine = set(_behind(graph, this, POSITIVE, "CONDITIONING"))
    for other, entry in graph.items():
        if other == this or entry.get("class_type") != SCHEDULE:
            continue
        theirs = _cuts_of(graph, graph.get(this, {}), entry, cuts)
        if theirs.batches != cuts.batches and mine & set(
            _behind(graph, other, POSITIVE, "CONDITIONING")
        ):
            name, here, there = cuts.difference(theirs)
            raise ValueError(
                f"{name}: expected one value in all Morph Schedules whose prompts are used "
                f"together, got {here} here and {there} in node {other}. ComfyUI would pair "
                "prompts of different frames. Set both to the same value."
            )


def stochastic_sampler(node: type[io.ComfyNode]) -> str | None:
    """The name of a sampler behind this schedule that draws noise in every step, or None."""
    found = graph_of(node)
    if found is None:
        return None
    graph, this = found
    names = (_sampler_name(graph, graph[k]) for k in _behind(graph, this, LATENTS, "LATENT"))
    return next((name for name in names if name and draws_step_noise(name)), None)


def _cuts_of(graph: Graph, mine: Mapping[str, Any], theirs: Mapping[str, Any], cuts: Cuts) -> Cuts:
    """What another schedule's entry in the graph says of its batches, else this one's `cuts`."""
    inputs = {"frames_per_batch": FRAMES_PER_BATCH, "first_frame": 0, "frame_limit": 0}
    inputs |= theirs.get("inputs", {})
    known = {
        name: inputs[name]
        for name in ("frames_per_batch", "first_frame", "frame_limit")
        if isinstance(inputs[name], int)
    }
    # Only numbers that are found in the same way: this schedule knows how many it really got.
    if _count(graph, mine) == cuts.frames:
        known["frames"] = _count(graph, theirs) or cuts.frames
    return replace(cuts, **known)


def _count(graph: Graph, entry: Mapping[str, Any]) -> int | None:
    """The number of frames of a schedule's times, if a node behind them has it in a widget."""
    link = entry.get("inputs", {}).get("times")
    if not isinstance(link, list):
        return None
    inputs = graph.get(str(link[0]), {}).get("inputs", {})
    values = [_constant(graph, inputs.get(name)) for name in COUNTS]
    return next((value for value in values if isinstance(value, int)), None)


def _constant(graph: Graph, value: Any) -> Any:
    """A widget's value; of a link to a node with a `value`, such as Int, that one."""
    if not isinstance(value, list):
        return value
    inner = graph.get(str(value[0]), {}).get("inputs", {}).get("value")
    return None if isinstance(inner, list) else inner


def _behind(graph: Graph, node_id: str, output: int, kind: str) -> Iterator[str]:
    """All nodes that take this output, and those that take their outputs of this kind."""
    seen: set[str] = set()
    open_ends = [(node_id, output)]
    while open_ends:
        end = open_ends.pop()
        for reached, entry in graph.items():
            links = entry.get("inputs", {}).values()
            if reached in seen or not any(_is_link(link, *end) for link in links):
                continue
            seen.add(reached)
            yield reached
            open_ends += [(reached, slot) for slot in _outputs(entry, kind)]


def _is_link(value: Any, node_id: str, output: int) -> bool:
    return isinstance(value, list) and [str(value[0]), *value[1:]] == [node_id, output]


def _outputs(entry: Mapping[str, Any], kind: str) -> list[int]:
    """The numbers of a node's outputs of one kind."""
    types = output_types(entry.get("class_type", ""))
    return [slot for slot, name in enumerate(types) if name == kind]


def _sampler_name(graph: Graph, entry: Mapping[str, Any]) -> str | None:
    """The sampler's name in a sampler node, or in the node that its `sampler` comes from."""
    inputs = entry.get("inputs", {})
    link = inputs.get("sampler")
    if isinstance(link, list) and link:
        source = graph.get(str(link[0]), {})
        name = source.get("inputs", {}).get("sampler_name")
        return name if isinstance(name, str) else source.get("class_type", "").lower()
    name = inputs.get("sampler_name")
    return name if isinstance(name, str) else None
