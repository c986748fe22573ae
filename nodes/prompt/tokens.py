"""Which word of a prompt each row of its conditioning came from, where this can be known.

A conditioning holds only rows. Their text is read from the graph, and CLIP's tokens have the order
of the rows. Nodes that leave rows where they are (`PASSING`) are followed through; with others in
between, or another encoder, rows have numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from comfy_api.latest import io

START, END = "⟨start⟩", "⟨end⟩"

# Widths of SD1.5 and of SDXL, whose two encoders cut a text into the same tokens.
CLIP_WIDTHS = (768, 2048)
# ComfyUI replaces "embedding:name" by the rows of a file, and the text does not say how many.
EMBEDDING = "embedding:"
TEXT_NODES = ("PrimitiveString", "PrimitiveStringMultiline")
# Nodes whose output has the rows of an input in their places, perhaps with other numbers in them:
# by output, the name of that input. The first is ours, the others are ComfyUI's own.
CONDITIONING = ("conditioning",)
BOTH_SIDES = ("positive", "negative")
PASSING = {
    "GeodesicTextInversion": CONDITIONING,
    "ConditioningSetTimestepRange": CONDITIONING,
    "ConditioningSetArea": CONDITIONING,
    "ConditioningSetAreaPercentage": CONDITIONING,
    "ConditioningSetAreaStrength": CONDITIONING,
    "ConditioningSetMask": CONDITIONING,
    "unCLIPConditioning": CONDITIONING,
    "ControlNetApply": CONDITIONING,
    "ControlNetApplyAdvanced": BOTH_SIDES,
    "InpaintModelConditioning": BOTH_SIDES,
}

# One label per row: a token's text, or None for padding.
Labels = tuple[str | None, ...]


def texts_of(node: type[io.ComfyNode], inputs: tuple[str, ...]) -> tuple[str | None, ...]:
    """The prompts behind the running node's cloud inputs; None where the graph has none.

    Needs the hidden inputs `prompt` and `unique_id`; without them (called by hand) all are None.
    """
    if node.hidden is None or not node.hidden.prompt:
        return (None,) * len(inputs)
    return tuple(text_upstream(node.hidden.prompt, node.hidden.unique_id, x) for x in inputs)


def texts_behind(node: type[io.ComfyNode], name: str) -> tuple[str | None, str | None]:
    """The prompts of source and target of the Couple Prompts that an input is linked to."""
    if node.hidden is None or not node.hidden.prompt:
        return None, None
    graph = node.hidden.prompt
    link = _inputs(graph.get(str(node.hidden.unique_id))).get(name)
    couple = str(link[0]) if isinstance(link, list) and len(link) == 2 else ""
    return text_upstream(graph, couple, "source"), text_upstream(graph, couple, "target")


def text_upstream(graph: Mapping[str, Any], node_id: Any, name: str) -> str | None:
    """The text of the CLIPTextEncode behind a cloud input, or None.

    graph: an API-format prompt. Only one chain of nodes is followed: input `name` ←
    GeodesicPointCloud ← any number of `PASSING` ← CLIPTextEncode ← a literal text or one of
    `TEXT_NODES`. Other nodes may change the order of the rows.
    """
    cloud = _linked(graph, graph.get(str(node_id)), name, ("GeodesicPointCloud",))
    encoder = _encoder(graph, cloud)
    written = _linked(graph, encoder, "text", TEXT_NODES)
    text = _inputs(written).get("value") if written else _inputs(encoder).get("text")
    return text if isinstance(text, str) else None


def _encoder(graph: Mapping[str, Any], node: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The CLIPTextEncode whose rows reach a node's `conditioning`, through `PASSING`."""
    name = "conditioning"
    for _ in graph:  # a graph without loops: no chain is longer than that
        passing = _linked(graph, node, name, tuple(PASSING))
        if passing is None:
            return _linked(graph, node, name, ("CLIPTextEncode",))
        output = _inputs(node)[name][1]
        names = PASSING[passing["class_type"]]
        if output >= len(names):
            return None
        node, name = passing, names[output]
    return None


def _inputs(node: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (node or {}).get("inputs", {})


def _linked(
    graph: Mapping[str, Any], node: Mapping[str, Any] | None, name: str, kinds: tuple[str, ...]
) -> Mapping[str, Any] | None:
    """The node that an input is linked to, if it is one of these kinds."""
    link = _inputs(node).get(name)
    found = graph.get(str(link[0])) if isinstance(link, list) and len(link) == 2 else None
    return found if found and found.get("class_type") in kinds else None


def row_labels(text: str | None, rows: int, width: int) -> Labels | None:
    """The token behind each row of a cloud, or None where the rows cannot come from the text.

    rows, width: of the cloud. CLIP writes 77 rows per 75 tokens; if the number of rows differs, the
    text was not encoded by CLIP.
    """
    if text is None or width not in CLIP_WIDTHS or EMBEDDING in text:
        return None
    labels = clip_labels(text)
    return labels if len(labels) == rows else None


@lru_cache(maxsize=32)
def clip_labels(text: str) -> Labels:
    """CLIP-L's tokens of a prompt, by ComfyUI's own tokenizer: weights "(word:1.5)" are parsed.

    77 labels per chunk: `START`, the tokens, `END`, and None for the padding up to 77.
    """
    tokenizer = _tokenizer()
    chunks = tokenizer.tokenize_with_weights(text)[tokenizer.clip_name]
    labels: list[str | None] = []
    for chunk in chunks:
        tokens = [(token, piece) for (token, _), piece in tokenizer.untokenize(chunk)]
        labels += _chunk_labels(tokens)
    return tuple(labels)


def _chunk_labels(tokens: list[tuple[int, str]]) -> Labels:
    """The last tokens of a chunk are equal: the first of them is the end, the rest is padding."""
    end = tokens[-1][0]
    used = max(k for k, (token, _) in enumerate(tokens) if token != end) + 1
    words = [_readable(piece) for _, piece in tokens[1:used]]
    return (START, *words, END, *[None] * (len(tokens) - used - 1))


def _readable(piece: str) -> str:
    """A token as it was written in the prompt; a part of a letter shows as �."""
    plain = piece.removesuffix("</w>")
    return _tokenizer().clip_l.tokenizer.convert_tokens_to_string([plain]).strip() or plain


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from comfy.sd1_clip import SD1Tokenizer

    return SD1Tokenizer()
