"""Which word of a prompt each row of its conditioning came from, where that can be told.

A conditioning holds rows alone. The graph tells the text behind them, and CLIP's tokens stand in
the order of the rows; anything else upstream, or rows of another encoder, and rows stay numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from comfy_api.latest import io

START, END = "⟨start⟩", "⟨end⟩"

# Widths of SD1.5 and of SDXL, whose two encoders cut a text into the same tokens.
CLIP_WIDTHS = (768, 2048)
# ComfyUI replaces "embedding:name" by as many rows as the file holds, which a text does not tell.
EMBEDDING = "embedding:"
TEXT_NODES = ("PrimitiveString", "PrimitiveStringMultiline")

# One label per row: a token's text, or None for padding.
Labels = tuple[str | None, ...]


def texts_of(node: type[io.ComfyNode], inputs: tuple[str, ...]) -> tuple[str | None, ...]:
    """The prompts behind the running node's cloud inputs; None where the graph does not tell.

    Needs the hidden inputs `prompt` and `unique_id`; without them (called by hand) all are None.
    """
    if node.hidden is None or not node.hidden.prompt:
        return (None,) * len(inputs)
    return tuple(text_upstream(node.hidden.prompt, node.hidden.unique_id, x) for x in inputs)


def text_upstream(graph: Mapping[str, Any], node_id: Any, name: str) -> str | None:
    """The text of the CLIPTextEncode behind a cloud input, or None.

    graph: an API-format prompt. Followed is one way alone: input `name` ← GeodesicPointCloud ←
    CLIPTextEncode ← a literal text or one of `TEXT_NODES`. Nodes in between may change the rows.
    """
    cloud = _linked(graph, graph.get(str(node_id)), name, ("GeodesicPointCloud",))
    encoder = _linked(graph, cloud, "conditioning", ("CLIPTextEncode",))
    written = _linked(graph, encoder, "text", TEXT_NODES)
    text = _inputs(written).get("value") if written else _inputs(encoder).get("text")
    return text if isinstance(text, str) else None


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
    """The token behind each row of a cloud, or None where text and rows do not belong together.

    rows, width: of the cloud. CLIP writes 77 rows per 75 tokens; a text of another number of
    rows was not encoded by it.
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
    """The chunk's last tokens are all alike: the first of them is the end, the others pad."""
    end = tokens[-1][0]
    used = max(k for k, (token, _) in enumerate(tokens) if token != end) + 1
    words = [_readable(piece) for _, piece in tokens[1:used]]
    return (START, *words, END, *[None] * (len(tokens) - used - 1))


def _readable(piece: str) -> str:
    """A token as a person wrote it; a part of a letter shows as �."""
    plain = piece.removesuffix("</w>")
    return _tokenizer().clip_l.tokenizer.convert_tokens_to_string([plain]).strip() or plain


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from comfy.sd1_clip import SD1Tokenizer

    return SD1Tokenizer()
