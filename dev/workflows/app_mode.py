"""What app mode shows of a workflow: the newer interface's form with a few inputs and the result.

The interface reads `extra.linearData` of a workflow's file: `inputs`, pairs of a node's id and the
name of one of its widgets, and `outputs`, ids of nodes that save or show something. Older
interfaces ignore it.
"""

from __future__ import annotations

from typing import Any

from .graph import Graph, Link, Node

# What a person sets, in the order of the form. A title narrows a type to the nodes that bear it.
FILES = (("LoadImage", "image"), ("LoadAudio", "audio"))
PROMPTS = (("CLIPTextEncode", "text"), ("GeodesicPromptText", "text"))
LENGTHS = (
    *(("GeodesicMorphSampler", "frames"), ("GeodesicTimes", "frames")),
    *(("GeodesicKeyframes", "length"), ("GeodesicPromptText", "frames")),
    *(("GeodesicDensityPath", "frames"), ("GeodesicDensityExtrapolate", "frames")),
    *(("Number of frames", "value"), ("GeodesicNoiseGrid", "rows"), ("Columns", "value")),
    ("Cut, in seconds", "duration"),
)
SEEDS = (
    *(("GeodesicMorphSampler", "seed"), ("KSampler", "seed")),
    *(("Seed", "value"), ("GeodesicNoiseKeyframe", "seed")),
)
MODELS = (
    *(("CheckpointLoaderSimple", "ckpt_name"), ("UNETLoader", "unet_name")),
    *(("DualCLIPLoader", "clip_name1"), ("DualCLIPLoader", "clip_name2")),
    ("VAELoader", "vae_name"),
)
RETIMED = ("GeodesicRetime", "frames")
# The dearest first: where a film is saved, nothing else is the result.
RESULTS = ("SaveVideo", "SaveImage", "PreviewImage")


def linear_data(graph: Graph) -> dict[str, list[Any]]:
    """The inputs and outputs of a workflow in app mode."""
    retimed = _values(graph, (RETIMED,))
    # A film that is re-timed has the length of its last pass; the first one is only measured.
    lengths = retimed or _values(graph, LENGTHS)
    others = (_values(graph, wanted) for wanted in (SEEDS, MODELS))
    inputs = [
        *_values(graph, FILES + PROMPTS),
        *lengths,
        *(pair for part in others for pair in part),
    ]
    return {"inputs": [[node.id, name] for node, name in inputs], "outputs": _results(graph)}


def _values(graph: Graph, wanted: tuple[tuple[str, str], ...]) -> list[tuple[Node, str]]:
    """The wanted widgets that hold a value of their own, in the order of `wanted`."""
    return [
        (node, name)
        for kind, name in wanted
        for node in graph.nodes
        if kind in (node.type, node.title)
        and name in node.inputs
        and not isinstance(node.inputs[name], Link)
        and not (name == "seed" and _has_no_seed(node))
    ]


def _has_no_seed(node: Node) -> bool:
    """Whether a node's noise is that of inverted pictures."""
    if node.type == "GeodesicNoiseKeyframe":
        return "latent" in node.inputs
    path = node.inputs.get("path")
    return isinstance(path, Link) and path.node.type == "GeodesicImageKeyframe"


def _results(graph: Graph) -> list[int]:
    for kind in RESULTS:
        if found := [node.id for node in graph.nodes if node.type == kind]:
            return found
    return []
