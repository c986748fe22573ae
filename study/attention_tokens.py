"""Self-attention that also sees its neighbours: their tokens, blended, beside a frame's own.

AID (arXiv 2403.17924), "fused inner" interpolation, on the self-attention alone, as FreeMorph
(arXiv 2507.01953) does it over the first steps. All frames of a film are one batch. Its first and
last frame are the keyframes, so their tokens need no run of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

MOST_MATCHED = 1024  # tokens of a level; an exact matching of more takes seconds
# Tokens [N, D] of both keyframes to the second ones in the order of the first.
Matching = Callable[[Tensor, Tensor], Tensor]


def by_place(_first: Tensor, second: Tensor) -> Tensor:
    """A token belongs to the token at its place."""
    return second


def by_transport(first: Tensor, second: Tensor) -> Tensor:
    """The order of the second tokens with the least sum of squared distances to the first.

    Tokens [N, D]; levels of more than `MOST_MATCHED` tokens are matched by place.
    """
    if len(first) > MOST_MATCHED:
        return by_place(first, second)
    cost = torch.cdist(first.double(), second.double()).square()
    _, columns = linear_sum_assignment(cost.cpu().numpy())
    return second[torch.as_tensor(columns, device=second.device)]


@dataclass(frozen=True)
class Neighbours:
    """A patch for `ModelPatcher.set_model_attn1_patch`.

    times: of all frames of the batch, 0 to 1, the first and the last one the keyframes'. matching:
    how the keyframes' tokens are paired. until: at noise below this sigma every frame sees itself
    alone. Tokens are blended before keys and values are made of them, which are linear maps.
    Raises ValueError for a batch of another number of frames.
    """

    times: Sequence[float]
    matching: Matching
    until: float = 0.0

    def __call__(
        self, tokens: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [C·F, N, D]: prompts (positive, negative …) of C chunks, each of all F frames."""
        if float(options["sigmas"].max()) < self.until:
            return tokens, keys, values
        chunks = len(options["cond_or_uncond"])
        if len(tokens) != chunks * len(self.times):
            raise ValueError(
                f"times: expected one for each frame of the batch, got {len(self.times)} for "
                f"{len(tokens)} frames in {chunks} chunks."
            )
        seen = torch.cat([self._seen(chunk) for chunk in tokens.chunk(chunks)])
        return tokens, seen, seen

    def _seen(self, tokens: Tensor) -> Tensor:
        """What the frames [F, N, D] of one chunk see: [F, 2N, D]."""
        first, last = tokens[0], self.matching(tokens[0], tokens[-1])
        t = torch.tensor(self.times, dtype=tokens.dtype, device=tokens.device)[:, None, None]
        return torch.cat([tokens, (1 - t) * first + t * last], dim=1)
