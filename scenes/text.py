"""The text model: CLIP-L with constructed weights instead of learned ones.

Every word piece has a random vector. In the first layer each row attends to earlier rows: head h
reads the word h places before (h = 1 to 11), head 0 averages all words so far, each with its own
random projection. The other eleven layers do nothing. So a row contains its own word and, more
weakly, the words before it. Cross-attention needs this to distinguish "a red circle left of a blue
star" from its mirror image.

Positions are sine waves in 64 separate channels; a rotation by h places makes head h look h places
back. They are weak: if rows differed mainly by their index, row order would always be the optimal
coupling.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

WIDTH, LAYERS, HIDDEN, VOCABULARY, POSITIONS = 768, 12, 3072, 49408, 77
HEADS, HEAD = 12, 64
WORDS = WIDTH - HEAD  # the channels of words; the last 64 are for the position

WORD_STD, POSITION_AMPLITUDE = 0.02, 0.01
# The logit that a head gives to the place it looks for; all other places have 0.
SHARPNESS = 16.0
# Amplitudes compared with the row's own word: of the word 1 place before, the factor for each
# further place, and that of the average.
LOUDNESS, FADING, AVERAGE = 0.45, 0.85, 1.0

EMBEDDINGS, FIRST = "text_model.embeddings", "text_model.encoder.layers.0.self_attn"


def uniform(seed: int, name: str, *shape: int) -> Tensor:
    """Uniform numbers of mean 0 and variance 1, float64, the same on every machine.

    NumPy guarantees Philox's raw stream; the rest is exact arithmetic. Each name has its own
    stream.
    """
    words = np.random.Philox(key=[seed, zlib.crc32(name.encode())]).random_raw(math.prod(shape))
    unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    return torch.from_numpy((unit * math.sqrt(3)).reshape(shape))


def weights(seed: int = 0, positions: float = 1.0, context: float = 1.0) -> dict[str, Tensor]:
    """All tensors of the text model in CLIP-L's names, float16.

    positions, context: factors of the amplitudes of positions and of the words before, for the
    study. What the heads read stays the same.
    """
    amplitude = POSITION_AMPLITUDE * positions
    tensors = dict(silent())
    tensors |= {
        f"{EMBEDDINGS}.token_embedding.weight": _words(seed),
        f"{EMBEDDINGS}.position_embedding.weight": _positions(amplitude),
        f"{FIRST}.q_proj.weight": _queries(amplitude),
        f"{FIRST}.k_proj.weight": _keys(),
        f"{FIRST}.v_proj.weight": _values(seed),
        f"{FIRST}.out_proj.weight": _outputs(seed) * context,
        "text_projection.weight": torch.eye(WIDTH),
    }
    # Rounded to float32 first, as PyTorch itself does today, so that all builds give the same.
    return {name: tensor.float().half() for name, tensor in tensors.items()}


def silent() -> Iterator[tuple[str, Tensor]]:
    """Twelve layers that add nothing to their input."""
    for k in range(LAYERS):
        layer = f"text_model.encoder.layers.{k}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{layer}.self_attn.{part}.weight", torch.zeros(WIDTH, WIDTH)
            yield f"{layer}.self_attn.{part}.bias", torch.zeros(WIDTH)
        yield f"{layer}.mlp.fc1.weight", torch.zeros(HIDDEN, WIDTH)
        yield f"{layer}.mlp.fc1.bias", torch.zeros(HIDDEN)
        yield f"{layer}.mlp.fc2.weight", torch.zeros(WIDTH, HIDDEN)
        yield f"{layer}.mlp.fc2.bias", torch.zeros(WIDTH)
        for norm in ("layer_norm1", "layer_norm2"):
            yield f"{layer}.{norm}.weight", torch.ones(WIDTH)
            yield f"{layer}.{norm}.bias", torch.zeros(WIDTH)
    yield "text_model.final_layer_norm.weight", torch.ones(WIDTH)
    yield "text_model.final_layer_norm.bias", torch.zeros(WIDTH)


def _words(seed: int) -> Tensor:
    table = torch.zeros(VOCABULARY, WIDTH)
    table[:, :WORDS] = (uniform(seed, "words", VOCABULARY, WORDS) * WORD_STD).float()
    return table


def _frequencies() -> Tensor:
    """Evenly spaced frequencies: the waves of positions up to 63 places apart are orthogonal."""
    return (torch.arange(HEAD // 2, dtype=torch.float64) + 0.5) * math.pi / (HEAD // 2)


def _positions(amplitude: float) -> Tensor:
    angle = torch.arange(POSITIONS, dtype=torch.float64)[:, None] * _frequencies()
    table = torch.zeros(POSITIONS, WIDTH, dtype=torch.float64)
    table[:, WORDS:] = torch.cat([angle.cos(), angle.sin()], 1) * amplitude
    return table


def _queries(amplitude: float) -> Tensor:
    """Head h rotates a row's position to the one h places before it."""
    # The layer norm before the attention scales a wave by this.
    variance = (WORDS * WORD_STD**2 + HEAD / 2 * amplitude**2) / WIDTH
    agreement = HEAD / 2 * amplitude**2 / variance / math.sqrt(HEAD)
    matrix = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    for h in range(1, HEADS):
        turn = _frequencies() * h
        c, s = turn.cos().diag(), turn.sin().diag()
        rotation = torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])
        matrix[h * HEAD : (h + 1) * HEAD, WORDS:] = rotation * (SHARPNESS / agreement)
    return matrix


def _keys() -> Tensor:
    matrix = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    matrix[:, WORDS:] = torch.eye(HEAD, dtype=torch.float64).repeat(HEADS, 1)
    return matrix


def _values(seed: int) -> Tensor:
    matrix = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    matrix[:, :WORDS] = uniform(seed, "values", WIDTH, WORDS) / math.sqrt(WORDS)
    return matrix


def _outputs(seed: int) -> Tensor:
    loudness = [AVERAGE, *(LOUDNESS * FADING ** (h - 1) for h in range(1, HEADS))]
    scale = torch.tensor(loudness, dtype=torch.float64).repeat_interleave(HEAD)
    matrix = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    matrix[:WORDS] = uniform(seed, "outputs", WORDS, WIDTH) * scale * WORD_STD / math.sqrt(HEAD)
    return matrix
