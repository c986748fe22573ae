"""The constructed text model: the content of its rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scenes import text
from scenes.text import EMBEDDINGS, FIRST, HEAD, HEADS, POSITIONS, WORDS

GOLDEN = [1.5060459857662272, -1.5524918119767666, -0.0802253876443641]


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return text.weights()


def attention(tokens: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """What every head of the first layer reads, [heads, rows, rows]."""
    x = weights[f"{EMBEDDINGS}.token_embedding.weight"].double()[tokens]
    x = x + weights[f"{EMBEDDINGS}.position_embedding.weight"].double()[: len(tokens)]
    x = torch.nn.functional.layer_norm(x, x.shape[-1:])
    q, k = (x @ weights[f"{FIRST}.{name}.weight"].double().T for name in ("q_proj", "k_proj"))
    q, k = (z.view(len(tokens), HEADS, HEAD).transpose(0, 1) for z in (q, k))
    scores = q @ k.transpose(1, 2) / HEAD**0.5
    future = torch.ones(len(tokens), len(tokens), dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def test_head_h_reads_the_word_h_places_before(weights: dict[str, Tensor]) -> None:
    """Nearly all of its attention, wherever there is such a word; head 0 averages."""
    tokens = torch.randint(1000, 49000, (POSITIONS,), generator=torch.Generator().manual_seed(1))
    reads = attention(tokens, weights)
    for h in range(1, HEADS):
        assert float(reads[h].diagonal(-h).min()) > 0.99
    even = 1 / torch.arange(1, POSITIONS + 1)
    assert torch.allclose(reads[0, -1].float(), even[-1:].expand(POSITIONS), atol=1e-3)


def test_positions_are_waves_that_words_leave_alone(weights: dict[str, Tensor]) -> None:
    """Words use the first channels, positions the last, and no two positions look alike."""
    words = weights[f"{EMBEDDINGS}.token_embedding.weight"]
    positions = weights[f"{EMBEDDINGS}.position_embedding.weight"].double()
    assert not words[:, WORDS:].any()
    assert not positions[:, :WORDS].any()
    gram = positions @ positions.T
    assert float((gram - gram.diagonal().diag()).abs()[:64, :64].max()) < 1e-3 * float(gram[0, 0])


def test_numbers_are_uniform_and_belong_to_seed_and_name() -> None:
    """Mean 0, variance 1, bounded by the square root of 3; golden values for every machine."""
    numbers = text.uniform(0, "words", 100_000)
    assert abs(float(numbers.mean())) < 0.01
    assert abs(float(numbers.var()) - 1) < 0.01
    assert float(numbers.abs().max()) <= 3**0.5
    assert not torch.equal(numbers, text.uniform(1, "words", 100_000))
    assert not torch.equal(numbers, text.uniform(0, "values", 100_000))
    assert numbers[:3].tolist() == GOLDEN
