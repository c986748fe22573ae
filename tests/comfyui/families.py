"""Tiny models of the families that people use, from ComfyUI's own classes, with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SDXL, SD3 = "SDXL", "SD3.5"
FAMILIES = (SDXL, SD3)


@dataclass(frozen=True)
class Family:
    """model: a ModelPatcher. rows, width, pooled: of a prompt. channels: of a latent."""

    model: Any
    rows: int
    width: int
    pooled: int
    channels: int

    def prompt(self, seed: int) -> list[Any]:
        """A CONDITIONING of random numbers: rows [1, T, D] and a pooled vector [1, P]."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(1, self.rows, self.width, generator=generator)
        return [[rows, {"pooled_output": torch.randn(1, self.pooled, generator=generator)}]]

    def latent(self, size: int = 8) -> dict[str, Any]:
        return {"samples": torch.zeros(1, self.channels, size, size)}


def tiny(family: str) -> Family:
    """The family's smallest model that still has all its kinds of layers."""
    from comfy import supported_models
    from comfy.model_patcher import ModelPatcher

    if family == SDXL:
        config, sizes = supported_models.SDXL(UNET), (77, 2048, 1280, 4)
    else:
        config, sizes = supported_models.SD3(MMDIT), (77, 4096, 2048, 16)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}).eval()
    generator = torch.Generator().manual_seed(0)
    # Buffers too: that of SD3.5's positions is whatever was in memory until weights are loaded.
    for weight in (*model.diffusion_model.parameters(), *model.diffusion_model.buffers()):
        weight.data.copy_(filled(weight, generator))
    cpu = torch.device("cpu")
    return Family(ModelPatcher(model, load_device=cpu, offload_device=cpu), *sizes)


def filled(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers that keep the size of what goes through; norms of 1."""
    if weight.ndim < 2:
        return torch.ones_like(weight)
    return torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5


UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "num_heads": -1,
    "num_head_channels": 16,
    "use_spatial_transformer": True,
    "transformer_depth": [0, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [0, 0, 1, 1],
    "use_linear_in_transformer": True,
    "context_dim": 2048,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "legacy": False,
    "dtype": torch.float32,
}
MMDIT = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "depth": 2,
    "input_size": None,
    "adm_in_channels": 2048,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": 4096, "out_features": 128},
    },
    "num_patches": 256,
    "pos_embed_max_size": 16,
    "pos_embed_scaling_factor": None,
    "qk_norm": "rms",
    "x_block_self_attn_layers": [],
}
