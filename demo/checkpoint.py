"""A small checkpoint in SD1.5's format, written from a seed.

ComfyUI's ordinary CheckpointLoaderSimple recognises it as SD1.5: a one-level UNet (26 M weights,
model_channels 320, context_dim 768), a TAESD autoencoder and a CLIP-L text model. All weights are
drawn from a seed, so its images are abstract; they are finite and depend on the prompt, which is
all that demo and tests need. Trained UNet and autoencoder weights may replace the drawn ones: give
them to `write` as `trained`, in the same names.

Same bytes on every machine: every tensor has its own stream of NumPy's Philox bit generator
(whose raw stream NumPy promises to keep), turned into uniform numbers by exact arithmetic.
"""

from __future__ import annotations

import argparse
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

# Raise it when the weights change, so that older files are written anew.
REVISION = "2"

UNET, AUTOENCODER, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."
CHANNELS, TIME, CONTEXT = 320, 1280, 768
TEXT_LAYERS, TEXT_HIDDEN, VOCABULARY, POSITIONS = 12, 3072, 49408, 77

# An untrained UNet leaves latents about this much larger than the autoencoder's range.
LATENT_SCALE = 1 / 64

# (name, shape, standard deviation); a deviation of 0 means "ones" for .weight, "zeros" for .bias.
Spec = tuple[str, tuple[int, ...], float]


def write(path: Path, seed: int = 0, trained: Mapping[str, Tensor] | None = None) -> Path:
    """Write the checkpoint as float16 safetensors, whole or not at all.

    trained: tensors by full name that replace the drawn ones. Raises KeyError for a name the
    checkpoint does not have.
    """
    tensors = {name: draw(seed, name, shape, std) for name, shape, std in specification()}
    tensors |= {AUTOENCODER + "vae_scale": torch.tensor(LATENT_SCALE)}
    tensors |= {AUTOENCODER + "vae_shift": torch.tensor(0.0)}
    tensors[AUTOENCODER + "taesd_decoder.19.bias"].fill_(0.5)  # mid-grey for an empty latent
    for name, tensor in (trained or {}).items():
        if name not in tensors:
            raise KeyError(f"'{name}' is not a tensor of this checkpoint")
        tensors[name] = tensor.contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    save_file(tensors, unfinished, metadata={"revision": REVISION})
    os.replace(unfinished, path)
    return path


def ensure(path: Path) -> Path:
    """Write the checkpoint unless a whole one of this revision is already there."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("revision") == REVISION:
                return path
    except (OSError, SafetensorError):
        pass  # absent or damaged: written anew
    return write(path)


def draw(seed: int, name: str, shape: tuple[int, ...], std: float) -> Tensor:
    """One float16 tensor, uniform with mean 0; its stream belongs to (seed, name) alone."""
    if std == 0:
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=torch.float16)
    words = np.random.Philox(key=[seed, zlib.crc32(name.encode())]).random_raw(math.prod(shape))
    unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    values = (unit * (std * math.sqrt(3))).astype(np.float16)
    return torch.from_numpy(values.reshape(shape))


def specification() -> Iterator[Spec]:
    """Every tensor of the checkpoint."""
    yield from _prefixed(UNET, _unet())
    yield from _prefixed(AUTOENCODER, _autoencoder())
    yield from _prefixed(TEXT + "transformer.", _text())


def _prefixed(prefix: str, specs: Iterator[Spec]) -> Iterator[Spec]:
    return ((prefix + name, shape, std) for name, shape, std in specs)


def _layer(
    name: str, *shape: int, gain: float = 1.0, bias: bool = True, std: float | None = None
) -> Iterator[Spec]:
    """A linear or convolutional layer that keeps the variance of its input, times gain²."""
    fan_in = math.prod(shape[1:])
    yield f"{name}.weight", shape, gain / math.sqrt(fan_in) if std is None else std
    if bias:
        yield f"{name}.bias", shape[:1], 0.0


def _norm(name: str, width: int) -> Iterator[Spec]:
    yield f"{name}.weight", (width,), 0.0
    yield f"{name}.bias", (width,), 0.0


def _unet() -> Iterator[Spec]:
    yield from _layer("time_embed.0", TIME, CHANNELS)
    yield from _layer("time_embed.2", TIME, TIME)
    yield from _layer("input_blocks.0.0", CHANNELS, 4, 3, 3)
    yield from _residual("input_blocks.1.0", CHANNELS)
    yield from _transformer("input_blocks.1.1")
    yield from _residual("middle_block.0", CHANNELS)
    yield from _transformer("middle_block.1")
    yield from _residual("middle_block.2", CHANNELS)
    for k in (0, 1):
        yield from _residual(f"output_blocks.{k}.0", 2 * CHANNELS)
        yield from _transformer(f"output_blocks.{k}.1")
    yield from _norm("out.0", CHANNELS)
    yield from _layer("out.2", 4, CHANNELS, 3, 3)


def _residual(name: str, width: int) -> Iterator[Spec]:
    yield from _norm(f"{name}.in_layers.0", width)
    yield from _layer(f"{name}.in_layers.2", CHANNELS, width, 3, 3)
    yield from _layer(f"{name}.emb_layers.1", CHANNELS, TIME)
    yield from _norm(f"{name}.out_layers.0", CHANNELS)
    yield from _layer(f"{name}.out_layers.3", CHANNELS, CHANNELS, 3, 3, gain=0.5)
    if width != CHANNELS:
        yield from _layer(f"{name}.skip_connection", CHANNELS, width, 1, 1)


# Strong cross-attention: without training, only a loud prompt is heard over the noise.
PROMPT_GAIN = 3.0


def _transformer(name: str) -> Iterator[Spec]:
    block = f"{name}.transformer_blocks.0"
    yield from _norm(f"{name}.norm", CHANNELS)
    yield from _layer(f"{name}.proj_in", CHANNELS, CHANNELS, 1, 1)
    for attention, width, gain in (("attn1", CHANNELS, 1.0), ("attn2", CONTEXT, PROMPT_GAIN)):
        yield from _layer(f"{block}.{attention}.to_q", CHANNELS, CHANNELS, gain=gain, bias=False)
        yield from _layer(f"{block}.{attention}.to_k", CHANNELS, width, gain=gain, bias=False)
        yield from _layer(f"{block}.{attention}.to_v", CHANNELS, width, gain=gain, bias=False)
        yield from _layer(f"{block}.{attention}.to_out.0", CHANNELS, CHANNELS, gain=gain)
    yield from _layer(f"{block}.ff.net.0.proj", 8 * CHANNELS, CHANNELS)
    yield from _layer(f"{block}.ff.net.2", CHANNELS, 4 * CHANNELS)
    for k in (1, 2, 3):
        yield from _norm(f"{block}.norm{k}", CHANNELS)
    yield from _layer(f"{name}.proj_out", CHANNELS, CHANNELS, 1, 1)


def _autoencoder() -> Iterator[Spec]:
    """TAESD: 64 channels throughout, three halvings there and three doublings back."""
    plain, bare, block = "plain", "bare", "block"
    encoder = [plain, block, *[bare, block, block, block] * 3, plain]
    decoder = [plain, None, *[block, block, block, None, bare] * 3, block, plain]
    yield from _taesd("taesd_encoder", encoder, 0, 3, 4)
    yield from _taesd("taesd_decoder", decoder, 1, 4, 3)


def _taesd(
    name: str, layers: Sequence[str | None], first: int, channels_in: int, channels_out: int
) -> Iterator[Spec]:
    for k, kind in enumerate(layers):
        layer = f"{name}.{k + first}"
        if kind == "block":
            for part in (0, 2, 4):
                gain = 0.5 if part == 4 else math.sqrt(2)
                yield from _layer(f"{layer}.conv.{part}", 64, 64, 3, 3, gain=gain)
        elif kind is not None:
            last = k == len(layers) - 1
            yield from _layer(
                layer,
                channels_out if last else 64,
                channels_in if k == 0 else 64,
                3,
                3,
                bias=kind == "plain",
            )


def _text() -> Iterator[Spec]:
    """CLIP-L, with OpenAI's initial deviation for tokens (0.02).

    Positions get a quarter of theirs: without training, rows would otherwise be told apart by
    their index alone, and row order would always be the optimal coupling.
    """
    embeddings = "text_model.embeddings"
    yield f"{embeddings}.token_embedding.weight", (VOCABULARY, CONTEXT), 0.02
    yield f"{embeddings}.position_embedding.weight", (POSITIONS, CONTEXT), 0.0025
    for k in range(TEXT_LAYERS):
        layer = f"text_model.encoder.layers.{k}"
        yield from _norm(f"{layer}.layer_norm1", CONTEXT)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _layer(f"{layer}.self_attn.{part}", CONTEXT, CONTEXT, std=0.02)
        yield from _norm(f"{layer}.layer_norm2", CONTEXT)
        yield from _layer(f"{layer}.mlp.fc1", TEXT_HIDDEN, CONTEXT, std=0.02)
        yield from _layer(f"{layer}.mlp.fc2", CONTEXT, TEXT_HIDDEN, std=0.02)
    yield from _norm("text_model.final_layer_norm", CONTEXT)
    yield from _layer("text_projection", CONTEXT, CONTEXT, bias=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the small SD1.5-format checkpoint.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(write(arguments.path, arguments.seed))
