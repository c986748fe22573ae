"""Captions to images by ComfyUI: CheckpointLoaderSimple, CLIPTextEncode, KSampler, VAE Decode."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dev.comfyui.in_process import import_comfyui
from dev.workflows.settings import SMALL_SETTINGS
from scenes.evaluate import Sampling

SAMPLING = Sampling(SMALL_SETTINGS.steps, SMALL_SETTINGS.cfg, "dpmpp_2m", "karras")


class Painter:
    """A checkpoint in ComfyUI that makes images from captions.

    cpu: whether ComfyUI, which is imported here, runs on the CPU.
    """

    def __init__(self, checkpoint: str, cpu: bool) -> None:
        self.nodes = import_comfyui(cpu)
        loaded = self.nodes.CheckpointLoaderSimple().load_checkpoint(checkpoint)
        self.model, self.clip, self.vae = loaded[:3]

    @torch.no_grad()
    def paint(self, captions: Sequence[str], seed: int) -> Tensor:
        """One image for each caption, [B, 3, 64, 64]."""
        encode = self.nodes.CLIPTextEncode().encode
        entries = [encode(self.clip, caption)[0][0] for caption in captions]
        positive = [[torch.cat([rows for rows, _ in entries]), {}]]
        negative = encode(self.clip, "")[0]
        latent = {"samples": torch.zeros(len(captions), 4, 8, 8)}
        (sampled,) = self.nodes.common_ksampler(
            *(self.model, seed, SAMPLING.steps, SAMPLING.guidance),
            *(SAMPLING.sampler, SAMPLING.scheduler, positive, negative, latent),
        )
        return self.decode(sampled["samples"])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents).movedim(-1, 1).cpu()

    @torch.no_grad()
    def again(self, pictures: Tensor) -> Tensor:
        """Pictures after encoding and decoding."""
        return self.decode(self.vae.encode(pictures.movedim(1, -1)))
