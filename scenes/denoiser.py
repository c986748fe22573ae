"""The denoiser: ComfyUI's UNet with one level and SD1.5's width and text input; its training.

Latents are 4x8x8 with deviation 1. The noise follows SD1.5's schedule, and the network predicts it
(epsilon). A tenth of the captions are empty, for classifier-free guidance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

import torch
from torch import Tensor, nn

from .language import Scene, say

EMPTY = 0.1
# The weight of an error is 1 + sigma², as for a loss on the velocity, up to this limit.
LARGEST_WEIGHT = 10.0

CONFIG = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [1],
    "channel_mult": [1],
    "num_heads": 8,
    "use_spatial_transformer": True,
    "transformer_depth": [1],
    "transformer_depth_output": [1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 768,
    "use_linear_in_transformer": False,
    "use_checkpoint": False,
    "legacy": False,
    "adm_in_channels": None,
    "num_head_channels": -1,
}


def build(seed: int = 0) -> nn.Module:
    """The UNet with initial weights; every branch starts at 0."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    network = UNetModel(**CONFIG, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    g = torch.Generator().manual_seed(seed)
    for name, p in network.named_parameters():
        with torch.no_grad():
            if name.endswith(("out_layers.3.weight", "proj_out.weight", "out.2.weight")):
                p.zero_()
            elif p.ndim > 1:
                nn.init.xavier_uniform_(p.view(len(p), -1), generator=g)
            else:
                p.fill_(1.0 if name.endswith("weight") else 0.0)
    return network


def signal_levels() -> Tensor:
    """The cumulative alphas of SD1.5's 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def loss(
    network: nn.Module,
    batch: Callable[[torch.Generator], tuple[Tensor, Tensor]],
    device: torch.device,
) -> Callable[[torch.Generator], Tensor]:
    """The squared error of the predicted noise; `batch` gives latents and their text rows."""
    levels = signal_levels()

    def of_step(g: torch.Generator) -> Tensor:
        x, rows = (part.to(device) for part in batch(g))
        # One time in each part of the schedule: the loss varies less than with independent draws.
        t = (torch.arange(len(x)) + torch.rand(len(x), generator=g)) / len(x) * len(levels)
        t = t.long().clamp(max=len(levels) - 1)
        level = levels[t].view(-1, 1, 1, 1).to(device)
        noise = torch.randn(x.shape, generator=g).to(device)
        noisy = level.sqrt() * x + (1 - level).sqrt() * noise
        with torch.autocast(device.type, dtype=torch.bfloat16):
            predicted = network(noisy, t.float().to(device), context=rows)
        weight = (1 / level).clamp(max=LARGEST_WEIGHT)  # 1/level = 1 + sigma²
        return (weight * (predicted.float() - noise).square()).mean() / weight.mean()

    return of_step


class Nothing(nn.Module):
    """A branch that adds nothing and costs nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Text:
    """The text model of the checkpoint, with only its first layer; the others do nothing."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        from comfy.sd1_clip import SDClipModel, SDTokenizer

        self.tokenizer = SDTokenizer()
        self.model = SDClipModel(device=str(device), dtype=torch.float32)
        self.model.transformer.load_state_dict(weights)
        encoder = self.model.transformer.text_model.encoder
        encoder.layers = encoder.layers[:1]
        encoder.layers[0].mlp = Nothing()
        self.word = lru_cache(maxsize=None)(self._word)

    def _word(self, word: str) -> list[int]:
        tokens = [token for token, _ in self.tokenizer.tokenize_with_weights(word)[0]]
        return tokens[1 : tokens.index(49407)]

    def tokens(self, caption: str) -> list[int]:
        """The 77 tokens of a caption, the same as ComfyUI's tokenizer gives; words are cached."""
        words = [t for word in re.findall(r"\w+|,", caption) for t in self.word(word)]
        return [49406, *words, *[49407] * (76 - len(words))]

    @torch.no_grad()
    def rows(self, captions: Sequence[str]) -> Tensor:
        """The rows of captions, [N, 77, 768], in the precision of the denoiser's training."""
        device = self.model.transformer.text_projection.weight.device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return self.model([self.tokens(caption) for caption in captions])[0].bfloat16()


def captions(g: torch.Generator, scenes: Sequence[Scene]) -> list[str]:
    """One caption for each scene; some are empty."""
    rng = Random(int(torch.randint(2**62, (1,), generator=g)))
    return ["" if rng.random() < EMPTY else say(scene, rng) for scene in scenes]
