"""What stands behind a Morph Schedule in the graph: its sampler, and other schedules it meets.

ComfyUI pairs the items of several lists by position, and repeats the last item of a shorter one.
Prompts of two schedules that are cut into batches in two ways so become pairs of different frames,
and no later node could tell. Only the graph shows it beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from comfy_api.latest import io

from ..inputs import FRAMES_PER_BATCH
from ..internals import output_types
from ..samplers import draws_step_noise

SCHEDULE = "GeodesicSchedule"
POSITIVE, LATENTS = 0, 1

# An API-format prompt: node id → class_type and inputs; an input is a value or [node id, output].
Graph = Mapping[str, Any]


def graph_of(node: type[io.ComfyNode]) -> tuple[Graph, str] | None:
    """The running graph and the running node's id in it; None for a node called by hand."""
    if node.hidden is None or not node.hidden.prompt:
        return None
    return node.hidden.prompt, str(node.hidden.unique_id)


def check_equal_batches(node: type[io.ComfyNode], frames: int, frames_per_batch: int) -> None:
    """Raise ValueError if another schedule, cut into other batches, meets this one's prompts."""
    found = graph_of(node)
    if found is None:
        return
    graph, this = found
    mine = set(_behind(graph, this, POSITIVE, "CONDITIONING"))
    for other, entry in graph.items():
        if other == this or entry.get("class_type") != SCHEDULE:
            continue
        theirs = entry.get("inputs", {}).get("frames_per_batch", FRAMES_PER_BATCH)
        is_same = not isinstance(theirs, int) or _size(theirs, frames) == _size(
            frames_per_batch, frames
        )
        if not is_same and mine & set(_behind(graph, other, POSITIVE, "CONDITIONING")):
            raise ValueError(
                "frames_per_batch: expected one value in all Morph Schedules whose prompts are "
                f"used together, got {frames_per_batch} here and {theirs} in node {other}. "
                "ComfyUI would pair prompts of different frames. Set both to the same value."
            )


def stochastic_sampler(node: type[io.ComfyNode]) -> str | None:
    """The name of a sampler behind this schedule that draws noise in every step, or None."""
    found = graph_of(node)
    if found is None:
        return None
    graph, this = found
    names = (_sampler_name(graph, graph[k]) for k in _behind(graph, this, LATENTS, "LATENT"))
    return next((name for name in names if name and draws_step_noise(name)), None)


def _size(frames_per_batch: int, frames: int) -> int:
    return min(frames_per_batch or frames, frames)


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
