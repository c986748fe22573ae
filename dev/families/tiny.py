"""Tiny models of the families that people use, from ComfyUI's own classes, with random weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """One family. supported: the name of its class in comfy.supported_models; network: its sizes.

    rows, width, pooled: of a prompt; pooled 0 is none. channels: of a latent. video: latents have a
    time axis. extras: further keys of a prompt. weights: what the class reads from a checkpoint.
    """

    supported: str
    network: dict[str, Any]
    rows: int
    width: int
    pooled: int
    channels: int
    video: bool = False
    extras: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A tiny model of a family. model: a ModelPatcher."""

    name: str
    model: Any
    kind: Kind

    def prompt(self, seed: int, rows: int | None = None) -> list[Any]:
        """A CONDITIONING of random numbers: rows [1, T, D] and the family's other keys."""
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(1, rows or self.kind.rows, self.kind.width, generator=generator)
        more = dict(self.kind.extras)
        if self.kind.pooled:
            more["pooled_output"] = torch.randn(1, self.kind.pooled, generator=generator)
        if "attention_mask" in more:
            more["attention_mask"] = torch.ones(1, points.shape[1], dtype=torch.int64)
        return [[points, more]]

    def latent(self, size: int = 8) -> dict[str, Any]:
        """An empty latent of one picture."""
        shape = (1, self.kind.channels, *([1] if self.kind.video else []), size, size)
        return {"samples": torch.zeros(shape)}

    def picture(self, seed: int, size: int = 8) -> dict[str, Any]:
        """A latent of random numbers, as a VAE would encode a picture."""
        generator = torch.Generator().manual_seed(seed)
        return {"samples": torch.randn(self.latent(size)["samples"].shape, generator=generator)}


class Pixels:
    """Stands in for the decoder of a model that has none here."""

    def decode(self, samples: Tensor) -> Tensor:
        flat = samples.flatten(1, 2)[:, :3] if samples.ndim == 5 else samples[:, :3]
        return flat.movedim(1, -1).sigmoid()


def tiny(name: str) -> Family:
    """The family's smallest model that still has all its kinds of layers."""
    from comfy.model_patcher import ModelPatcher

    kind = KINDS[name]
    cpu = torch.device("cpu")
    model = built(kind, torch.float32, torch.Generator().manual_seed(0), extra=newer(name))
    return Family(name, ModelPatcher(model, load_device=cpu, offload_device=cpu), kind)


def built(
    kind: Kind,
    dtype: torch.dtype,
    generator: torch.Generator,
    cast: torch.dtype | None = None,
    extra: dict[str, Any] | None = None,
) -> Any:
    """ComfyUI's model of a kind on the CPU, with random weights drawn on the generator's device.

    dtype: of the weights; cast: the type to compute in, None for the same.
    """
    from comfy import supported_models

    config = getattr(supported_models, kind.supported)(dict(kind.network) | (extra or {}))
    config.set_inference_dtype(dtype, cast)
    model = config.get_model(kind.weights).eval()
    # Buffers too: that of SD3.5's positions is whatever was in memory until weights are loaded.
    for weight in (*model.diffusion_model.parameters(), *model.diffusion_model.buffers()):
        weight.data.copy_(filled(weight, generator))
    return model


def newer(name: str) -> dict[str, Any]:
    """Sizes that only newer ComfyUIs have, and then ask for."""
    if name != FLUX:
        return {}
    from comfy.ldm.flux.model import FluxParams

    known = {entry.name for entry in dataclasses.fields(FluxParams)}
    return {"txt_ids_dims": []} if "txt_ids_dims" in known else {}


def filled(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers that keep the size of what goes through; norms of 1."""
    if weight.ndim < 2:
        return torch.ones_like(weight)
    drawn = torch.randn(weight.shape, generator=generator, device=generator.device)
    return (drawn / weight[0].numel() ** 0.5).to(weight.dtype)


def unet(context: int, pooled: int = 0) -> dict[str, Any]:
    """A two-level UNet with one transformer block a level."""
    return {
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
        "context_dim": context,
        "adm_in_channels": pooled or None,
        "num_classes": "sequential" if pooled else None,
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
FLUX_NETWORK = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 64,
    "mlp_ratio": 4.0,
    "num_heads": 4,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
}
WAN_NETWORK = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "dim": 48,
    "ffn_dim": 96,
    "freq_dim": 32,
    "num_heads": 4,
    "num_layers": 2,
}
QWEN_NETWORK = {
    "image_model": "qwen_image",
    "num_layers": 2,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "axes_dims_rope": (8, 12, 12),
}
LTXV_NETWORK = {
    "image_model": "ltxv",
    "cross_attention_dim": 64,
    "attention_head_dim": 16,
    "num_attention_heads": 4,
    "caption_channels": 4096,
    "num_layers": 2,
}
# SD2.1's class takes the spread of this weight as the sign of a model that predicts velocities.
VELOCITY = {"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([-1.0, 1.0])}
SDXL, SD3, FLUX = "SDXL", "SD3.5", "Flux.1"
KINDS = {
    "SD1.5": Kind("SD15", unet(768), 77, 768, 0, 4),
    "SD2.1": Kind("SD20", unet(1024), 77, 1024, 0, 4, weights=VELOCITY),
    SDXL: Kind("SDXL", unet(2048, 2816), 77, 2048, 1280, 4),
    SD3: Kind("SD3", MMDIT, 77, 4096, 2048, 16),
    FLUX: Kind("Flux", FLUX_NETWORK, 40, 4096, 768, 16, extras={"guidance": 3.5}),
    "Wan 2.1": Kind("WAN21_T2V", WAN_NETWORK, 40, 4096, 0, 16, video=True),
    "Qwen-Image": Kind("QwenImage", QWEN_NETWORK, 23, 3584, 0, 16, video=True),
    "LTXV": Kind(
        *("LTXV", LTXV_NETWORK, 32, 4096, 0, 128),
        video=True,
        extras={"attention_mask": None, "frame_rate": 25},
    ),
}
