"""A text model that was trained: CLIP-L's format, of which three thin layers do something.

It is causal as CLIP's is, and the paddings after a caption run through the layers as all tokens do.
So they hold what was read before them, each a little otherwise. A trained layer uses 3 of CLIP-L's
12 heads and 128 of its 3072 hidden units; everything else is 0, and nine layers pass their input
through. That keeps the file under 3 MB. Words that captions of the scenes do not have keep random
vectors. `reading.py` trains it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import text, weights
from .text import HEAD, WIDTH
from .tokens import KNOWN, POSITIONS

TRAINED_LAYERS, TRAINED_HEADS, TRAINED_HIDDEN = 3, 3, 128
FILE = weights.FOLDER / "reader.safetensors"
# The deviations of CLIP's own initial weights.
WORD_STD, POSITION_STD = 0.02, 0.01
PREFIX = "text_model."


class Attention(nn.Module):
    """Causal attention with a few heads."""

    def __init__(self) -> None:
        super().__init__()
        inner = TRAINED_HEADS * HEAD
        self.q_proj, self.k_proj = nn.Linear(WIDTH, inner), nn.Linear(WIDTH, inner)
        self.v_proj, self.out_proj = nn.Linear(WIDTH, inner), nn.Linear(inner, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (TRAINED_HEADS, HEAD)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(read.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """CLIP's: one hidden layer, quick GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, TRAINED_HIDDEN), nn.Linear(TRAINED_HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class Layer(nn.Module):
    """One of CLIP's layers, thin."""

    def __init__(self) -> None:
        super().__init__()
        self.layer_norm1, self.self_attn = nn.LayerNorm(WIDTH), Attention()
        self.layer_norm2, self.mlp = nn.LayerNorm(WIDTH), MLP()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    """Vectors of the known tokens and of all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(len(KNOWN), WIDTH)
        self.position_embedding = nn.Embedding(POSITIONS, WIDTH)


class Encoder(nn.Module):
    """The layers that were trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(TRAINED_LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Reader(nn.Module):
    """Tokens [B, L] of captions, L up to 77 → rows [B, L, 768], as ComfyUI's CLIP-L gives them.

    Only tokens of the scene language are known. Parameters have CLIP-L's names, without their
    common prefix.
    """

    places: Tensor  # of each known token among the others, -1 for unknown ones

    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.encoder = Embeddings(), Encoder()
        self.final_layer_norm = nn.LayerNorm(WIDTH)
        places = torch.full((text.VOCABULARY,), -1)
        places[torch.tensor(KNOWN)] = torch.arange(len(KNOWN))
        self.register_buffer("places", places, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = self.embeddings.position_embedding.weight[: tokens.shape[1]]
        x = self.embeddings.token_embedding(self.places[tokens]) + positions
        return self.final_layer_norm(self.encoder(x))


def build(seed: int = 0) -> Reader:
    """Initial weights, of CLIP's deviations; branches start small."""
    network, g = Reader(), torch.Generator().manual_seed(seed)
    branch = (2 * TRAINED_LAYERS) ** -0.5
    for name, p in network.named_parameters():
        if name.endswith("bias"):
            p.data.zero_()
        elif "norm" in name:
            p.data.fill_(1.0)
        else:
            std = p.shape[-1] ** -0.5
            if name.endswith(("out_proj.weight", "fc2.weight")):
                std *= branch
            p.data.normal_(0, std, generator=g)
    network.embeddings.token_embedding.weight.data.normal_(0, WORD_STD, generator=g)
    network.embeddings.position_embedding.weight.data.normal_(0, POSITION_STD, generator=g)
    return network


def export(network: Reader) -> None:
    """Store a trained reader, in 8 bits."""
    weights.save({PREFIX + name: p for name, p in network.state_dict().items()}, FILE)


def load() -> Reader:
    """The stored reader, exactly as the checkpoint has it."""
    network = Reader()
    stored = {name.removeprefix(PREFIX): t.float() for name, t in stored_tensors().items()}
    network.load_state_dict(stored)
    return network.requires_grad_(False)


def stored_tensors() -> dict[str, Tensor]:
    """The trained tensors, float16. Raises WeightsError if there are none."""
    if not FILE.is_file():
        raise weights.WeightsError(
            f"text model: expected the trained 'reader' in {FILE}, got no such file. Restore it "
            "with git checkout, train it with make train ARGS='--text reader', or choose 'written'."
        )
    return weights.load(FILE)


def clip_tensors(trained: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """All tensors of CLIP-L in its names, float16, from the trained ones."""
    tensors = dict(text.silent())
    tensors["text_projection.weight"] = torch.eye(WIDTH)
    words = f"{text.EMBEDDINGS}.token_embedding.weight"
    table = text.uniform(seed, "words of no scene", text.VOCABULARY, WIDTH) * WORD_STD
    table = table.float()
    table[torch.tensor(KNOWN)] = trained[words].float()
    tensors |= {
        words: table,
        **{
            name: _widened(tensor.float(), tensors.get(name))
            for name, tensor in trained.items()
            if name != words
        },
    }
    return {name: tensor.half() for name, tensor in tensors.items()}


def _widened(tensor: Tensor, whole: Tensor | None) -> Tensor:
    """The tensor in the first corner of zeros of CLIP-L's shape."""
    if whole is None or whole.shape == tensor.shape:
        return tensor
    result = torch.zeros(whole.shape)
    result[tuple(slice(size) for size in tensor.shape)] = tensor
    return result
