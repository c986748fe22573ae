"""The autoencoder: ComfyUI's TAESD, 64x64 pixels to 4x8x8 latents and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from comfy.taesd.taesd import TAESD

# The standard deviation of noise on latents (of deviation 1) while the decoder learns. So the small
# errors that a sampler leaves still decode to clean edges.
NOISE = 0.15


def build(seed: int = 0) -> TAESD:
    """TAESD with fresh weights; ComfyUI builds it without any."""
    from comfy.taesd.taesd import TAESD

    network = TAESD(latent_channels=4)
    g = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=g)
            if module.bias is not None:
                module.bias.data.zero_()
    for name, p in network.named_parameters():
        if name.endswith("conv.4.weight"):
            p.data.mul_(
                0.1
            )  # the last layer of a block, so that every block starts near the identity
    return network


def batches(
    pictures: Tensor, count: int, device: torch.device
) -> Callable[[torch.Generator], Tensor]:
    """Batches for training: half are whole pictures, half are crops of a quarter of the area.

    A batch has four times as many crops. It costs the same and shows more different edges.
    """

    def of_step(g: torch.Generator) -> Tensor:
        if torch.rand((), generator=g) < 0.5:
            chosen = pictures[torch.randint(len(pictures), (count,), generator=g)]
        else:
            size = pictures.shape[-1]
            part = size // 2
            which = torch.randint(len(pictures), (4 * count,), generator=g).tolist()
            corners = torch.randint(size - part + 1, (4 * count, 2), generator=g).tolist()
            crops = [
                pictures[k, :, y : y + part, x : x + part]
                for k, (y, x) in zip(which, corners, strict=True)
            ]
            chosen = torch.stack(crops)
        return chosen.to(device).float() / 255

    return of_step


def loss(
    network: TAESD, images: Callable[[torch.Generator], Tensor]
) -> Callable[[torch.Generator], Tensor]:
    """Reconstruction error from noisy latents, plus a term that keeps channels near N(0, 1)."""

    def of_step(g: torch.Generator) -> Tensor:
        x = images(g).to(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            z = network.taesd_encoder(x)
            y = network.taesd_decoder(noisy(z, g))
        z = z.float()
        mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
        spread = mean.square().mean() + (std - 1).square().mean()
        return difference(y.float(), x) + 0.01 * spread

    return of_step


def decoder_loss(
    decoder: nn.Module, pairs: Callable[[torch.Generator], tuple[Tensor, Tensor]]
) -> Callable[[torch.Generator], Tensor]:
    """The reconstruction error only; `pairs` gives latents and the pictures they came from."""

    def of_step(g: torch.Generator) -> Tensor:
        z, x = pairs(g)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            y = decoder(noisy(z, g).to(memory_format=torch.channels_last))
        return difference(y.float(), x)

    return of_step


def noisy(latents: Tensor, g: torch.Generator) -> Tensor:
    level = NOISE * torch.rand(len(latents), 1, 1, 1, generator=g)
    noise = level * torch.randn(latents.shape, generator=g)
    return latents + noise.to(latents.device)


def difference(y: Tensor, x: Tensor) -> Tensor:
    """Squared error for the whole image plus absolute error for sharp edges."""
    return F.mse_loss(y, x) + 0.3 * F.l1_loss(y, x)
