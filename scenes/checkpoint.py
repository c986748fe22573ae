"""The small checkpoint: SD1.5's format, 64x64 pixels, put together from this repository.

ComfyUI's ordinary CheckpointLoaderSimple recognises it as SD1.5: a one-level UNet (26 M weights,
model_channels 320, context_dim 768), a TAESD autoencoder and a CLIP-L text model. UNet and
autoencoder were trained on the scenes (`make train`) and lie in `weights/`; the text model is
written down in `text.py`. The result is the same on every machine, and its digest is checked.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import text, weights

TRAINED = weights.FOLDER / "small_sd15.safetensors"
DIGEST = weights.FOLDER / "small_sd15.digest"
UNET, AUTOENCODER, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
# The factor from the autoencoder's latents to SD1.5's.
LATENT_FACTOR = 0.18215


def ensure(path: Path) -> Path:
    """Write the checkpoint, unless an intact one with this digest is already there."""
    expected = expected_digest()
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("digest") == expected:
                return path
    except (OSError, SafetensorError):
        pass  # absent or damaged: written anew
    return write(path)


def write(path: Path) -> Path:
    """Write the checkpoint as float16 safetensors, completely or not at all.

    Raises WeightsError if its digest is not that of the trained checkpoint.
    """
    tensors = assemble()
    expected, actual = expected_digest(), weights.digest(tensors)
    if actual != expected:
        raise weights.WeightsError(
            f"The small checkpoint should have the digest {expected[:12]} but has {actual[:12]}: "
            f"restore {weights.FOLDER} and scenes/text.py with git checkout, or run make train."
        )
    # Only one key: safetensors writes several in random order, so the file's hash would vary.
    weights.write(tensors, path, digest=actual)
    return path


def expected_digest() -> str:
    """The digest of the trained checkpoint. Raises WeightsError if its file is missing."""
    try:
        return DIGEST.read_text().strip()
    except OSError as error:
        raise weights.WeightsError(f"{DIGEST} is missing: restore it with git checkout.") from error


def assemble() -> dict[str, Tensor]:
    """All tensors: the trained ones from `weights/`, the text model from its seed."""
    tensors = weights.load(TRAINED)
    for name, tensor in text.weights().items():
        tensors[f"{TEXT}transformer.{name}"] = tensor.contiguous()
    return tensors


def export(unet: dict[str, Tensor], autoencoder: dict[str, Tensor], mean: float, std: float) -> str:
    """Store newly trained weights, and the digest of their checkpoint.

    mean, std: of the encoder's latents. The UNet was trained on (latent - mean) / std.
    """
    stored = {UNET + name: tensor for name, tensor in unet.items()}
    stored |= {AUTOENCODER + name: tensor for name, tensor in autoencoder.items()}
    # ComfyUI's TAESD: latents = encoder(x) / vae_scale + vae_shift.
    scale = std * LATENT_FACTOR
    stored[AUTOENCODER + "vae_scale"] = torch.tensor(scale)
    stored[AUTOENCODER + "vae_shift"] = torch.tensor(-mean / scale)
    weights.save(stored, TRAINED)
    digest = weights.digest(assemble())
    DIGEST.write_text(digest + "\n")
    return digest
