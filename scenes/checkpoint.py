"""The small checkpoint: SD1.5's format, 64x64 pixels, put together from this repository.

ComfyUI's ordinary CheckpointLoaderSimple recognises it as SD1.5: a one-level UNet (26 M weights,
model_channels 320, context_dim 768), a TAESD autoencoder and a CLIP-L text model. There are two, by
their text models: "written" is written down in `text.py`, "reader" was trained (`reader.py`). Each
has a UNet of its own, and both have one autoencoder. Trained weights lie in `weights/`. The result
is the same on every machine, and its digest is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import reader, text, weights

TRAINED = weights.FOLDER / "small_sd15.safetensors"
DIGEST = weights.FOLDER / "small_sd15.digest"
READER_UNET = weights.FOLDER / "reader_unet.safetensors"
READER_DIGEST = weights.FOLDER / "reader.digest"
TextModel = Literal["written", "reader"]
TEXT_MODELS: tuple[TextModel, ...] = get_args(TextModel)
UNET, AUTOENCODER, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
# The factor from the autoencoder's latents to SD1.5's.
LATENT_FACTOR = 0.18215


def ensure(path: Path, text_model: TextModel = "written") -> Path:
    """Write the checkpoint, unless an intact one with this digest is already there."""
    expected = expected_digest(text_model)
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("digest") == expected:
                return path
    except (OSError, SafetensorError):
        pass  # absent or damaged: written anew
    return write(path, text_model)


def write(path: Path, text_model: TextModel = "written") -> Path:
    """Write the checkpoint as float16 safetensors, completely or not at all.

    Raises WeightsError if its digest is not that of the trained checkpoint.
    """
    tensors = assemble(text_model)
    expected, actual = expected_digest(text_model), weights.digest(tensors)
    if actual != expected:
        raise weights.WeightsError(
            f"The small checkpoint should have the digest {expected[:12]} but has {actual[:12]}: "
            f"restore {weights.FOLDER} and scenes/text.py with git checkout, or run make train."
        )
    # Only one key: safetensors writes several in random order, so the file's hash would vary.
    weights.write(tensors, path, digest=actual)
    return path


def expected_digest(text_model: TextModel = "written") -> str:
    """The digest of the trained checkpoint. Raises WeightsError if its file is missing."""
    if text_model == "reader":
        reader.stored_tensors()  # says more plainly what is missing
    path = _digest_file(text_model)
    try:
        return path.read_text().strip()
    except OSError as error:
        raise weights.WeightsError(f"{path} is missing: restore it with git checkout.") from error


def assemble(text_model: TextModel = "written") -> dict[str, Tensor]:
    """All tensors: the trained ones from `weights/`, and those of the text model."""
    tensors = weights.load(TRAINED)
    if text_model == "reader":
        words = reader.clip_tensors(reader.stored_tensors())
        own = weights.load(READER_UNET)
        tensors = {name: t for name, t in tensors.items() if not name.startswith(UNET)} | own
    else:
        words = text.weights()
    for name, tensor in words.items():
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
    return sign("written")


def export_unet(unet: dict[str, Tensor]) -> str:
    """Store the UNet that was trained with the stored reader, and the digest of both."""
    weights.save({UNET + name: tensor for name, tensor in unet.items()}, READER_UNET)
    return sign("reader")


def sign(text_model: TextModel) -> str:
    """Store the digest of the checkpoint that the weights make now."""
    digest = weights.digest(assemble(text_model))
    _digest_file(text_model).write_text(digest + "\n")
    return digest


def _digest_file(text_model: TextModel) -> Path:
    return READER_DIGEST if text_model == "reader" else DIGEST
