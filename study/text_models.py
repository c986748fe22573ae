"""How like CLIP are the text models, and is optimal transport's gain theirs?

Only the rows of prompts are looked at, no picture is drawn. Pairs of different scenes are coupled
by optimal transport and by row order. The written-down model is measured with other amplitudes of
its positions and of the words before a word, and beside it the model that was trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from geometry.coupling import optimal_pairs
from scenes import reader, text
from scenes.language import COLORS, SHAPES
from scenes.text import EMBEDDINGS, HEAD, HEADS, LAYERS
from scenes.tokens import END, TOKENS, tokens
from scenes.weights import WeightsError

from . import parquet
from .prompts.scene_pairs import generate, same_scene

FILE, PAGE = "text_models.parquet", "text_models.md"
READER = "trained"
# The factors of positions and context of the written-down model.
SWEEP = tuple(product((1.0, 3.0), (1.0, 0.5)))
SHARES = ("paddings' share", "own index", "own index, words", "same kind")
FIRST_TOKENS = {token: word for word, (token, *_) in TOKENS.items()}


@dataclass(frozen=True)
class Plan:
    """Pairs in each of ten bins of similarity, and the seed that chooses them."""

    per_bin: int = 50
    seed: int = 0


def clip_rows(tensors: Mapping[str, Tensor], of: Tensor) -> Tensor:
    """CLIP-L's rows [B, 77, 768] of tokens [B, 77], float32, without layers that add nothing."""

    def linear(x: Tensor, name: str) -> Tensor:
        weight, bias = (tensors[f"{name}.{part}"].float() for part in ("weight", "bias"))
        return F.linear(x, weight, bias)

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = (tensors[f"{name}.{part}"].float() for part in ("weight", "bias"))
        return F.layer_norm(x, x.shape[-1:], weight, bias)

    x = tensors[f"{EMBEDDINGS}.token_embedding.weight"][of].float()
    x = x + tensors[f"{EMBEDDINGS}.position_embedding.weight"].float()[: of.shape[1]]
    for k in range(LAYERS):
        layer = f"text_model.encoder.layers.{k}"
        if tensors[f"{layer}.self_attn.out_proj.weight"].any():
            inside = norm(x, f"{layer}.layer_norm1")
            q, k_, v = (
                linear(inside, f"{layer}.self_attn.{part}_proj")
                .unflatten(-1, (HEADS, HEAD))
                .transpose(1, 2)
                for part in "qkv"
            )
            read = F.scaled_dot_product_attention(q, k_, v, is_causal=True)
            x = x + linear(read.transpose(1, 2).flatten(2), f"{layer}.self_attn.out_proj")
        if tensors[f"{layer}.mlp.fc2.weight"].any():
            inside = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
            x = x + linear(inside * torch.sigmoid(1.702 * inside), f"{layer}.mlp.fc2")
    return norm(x, "text_model.final_layer_norm")


def kinds(of: list[int]) -> list[str]:
    """What each token of a caption is: start, color, shape, word, end, padding."""
    end = of.index(END)
    names = [_kind(FIRST_TOKENS.get(token, "")) for token in of[:end]]
    return ["start", *names[1:], "end", *["padding"] * (len(of) - end - 1)]


def _kind(word: str) -> str:
    return "color" if word in COLORS else "shape" if word in SHAPES else "word"


def pair_measures(x: Tensor, y: Tensor, a: list[str], b: list[str]) -> dict[str, float]:
    """The measures of two prompts' rows [77, 768], whose kinds are a and b."""
    x, y = x.double(), y.double()
    _, matched = optimal_pairs(x, y)
    squares = (x - y[torch.from_numpy(matched)]).square().sum(1).numpy()
    total = float(squares.sum())
    padding = np.array([kind == "padding" for kind in a])
    told = np.array([kind in ("color", "shape") for kind in a])
    same_kind = np.array([a[i] == b[j] for i, j in enumerate(matched)])
    own = matched == np.arange(len(matched))
    spoken = np.array([kind in ("color", "shape", "word") for kind in a])
    row_order = float((x - y).square().sum())
    return {
        "w2": math.sqrt(total),
        "row order": math.sqrt(row_order),
        "cost ratio": math.sqrt(row_order / total),
        "paddings' share": float(squares[padding].sum()) / total,
        "own index": float(own.mean()),
        "own index, words": float(own[spoken].mean()),
        "same kind": float(same_kind[told].mean()),
        "row order is optimal": float(own.all()),
    }


def word_distances(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean distances of the rows of words behind "a": color-color, shape-shape, color-shape."""
    words = [word for word in (*COLORS, *SHAPES) if len(TOKENS[word]) == 1]
    rows = clip_rows(tensors, torch.tensor([tokens(f"a {word}") for word in words]))[:, 2].double()
    found: dict[str, list[float]] = {}
    for i, j in combinations(range(len(words)), 2):
        pair = "-".join(sorted((_kind(words[i]), _kind(words[j]))))
        found.setdefault(pair, []).append(float((rows[i] - rows[j]).norm()))
    return {pair: float(np.mean(distances)) for pair, distances in found.items()}


def models() -> dict[str, dict[str, Tensor]]:
    """CLIP-L's tensors of every model to measure, by name; the trained one only if it is here."""
    found = {
        f"written, positions ×{positions:g}, context ×{context:g}": text.weights(
            positions=positions, context=context
        )
        for positions, context in SWEEP
    }
    try:
        found[READER] = reader.clip_tensors(reader.stored_tensors())
    except WeightsError as error:
        print(f"left out: {error}")
    return found


@torch.no_grad()
def run(plan: Plan) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """The measures of all pairs and models, and the distances of words by model."""
    pairs = [pair for pair in generate(plan.per_bin, plan.seed) if not same_scene(pair)]
    said = [[tokens(text) for text in (p.caption_a, p.caption_b)] for p in pairs]
    records, distances = [], {}
    for name, tensors in models().items():
        distances[name] = word_distances(tensors)
        for k, (a, b) in enumerate(said):
            x, y = clip_rows(tensors, torch.tensor([a, b]))
            measured = pair_measures(x, y, kinds(a), kinds(b))
            records.append({"model": name, "pair": k, "similarity": pairs[k].similarity} | measured)
        print(f"{name}: {len(pairs)} pairs")
    return pd.DataFrame(records), distances


def report(table: pd.DataFrame, distances: Mapping[str, Mapping[str, float]]) -> str:
    """The page: one row for each model."""
    head = (
        "| text model | paddings' share of W₂² | own index | own index, words | colours and shapes "
        "to their kind | row order / W₂ | row order is optimal | colour–colour | shape–shape "
        "| colour–shape |"
    )
    lines = [head, "|---" * 10 + "|"]
    for name, of_model in table.groupby("model", sort=False):
        mean = of_model.drop(columns="model").mean()
        words = distances[str(name)]
        cells = [
            str(name),
            *(f"{mean[name]:.0%}" for name in SHARES),
            f"{of_model['cost ratio'].median():.3f}",
            f"{mean['row order is optimal']:.0%}",
            *(f"{words[pair]:.1f}" for pair in ("color-color", "shape-shape", "color-shape")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    pairs = table["pair"].nunique()
    return f"""# The text models' rows

Written by `python -m study text-models`: {pairs} pairs of different scenes, as the prompt study
draws them. No picture is drawn.

{chr(10).join(lines)}

- *Paddings' share*: of the squared cost of optimal transport, what the rows after the end of prompt
  A pay. *Own index*: how often optimal transport pairs a row with that of the same number; *words*:
  of the rows between start and end. *To their kind*: how often it pairs a colour with a colour, and
  a shape with a shape. All are means over pairs.
- *Row order / W₂*: the median over pairs of row order's cost divided by that of optimal transport.
- The last three columns are mean distances between the rows of two words behind "a". CLIP has
  learned that two colours are more alike than a colour and a shape; words that were not learned are
  all equally far apart.
- Means and shares are over one set of pairs, so the models can be compared pair by pair in
  `{FILE}`. CLIP-L itself was not measured here.
"""


def save(
    table: pd.DataFrame, distances: Mapping[str, Mapping[str, float]], plan: Plan, folder: Path
) -> None:
    about = {"plan": vars(plan), "distances": distances}
    parquet.write(table, about, folder / FILE)


def load(folder: Path) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    table, about = parquet.read(folder / FILE, "python -m study text-models")
    return table, about["distances"]
