"""`make train`: trains the weights in `scenes/weights` from scratch.

The stages are: the autoencoder, the scene classifier, the denoiser on the autoencoder's latents,
and then the decoder alone. Each can be stopped at any time and continues from its last save.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import safe_open
from torch import Tensor, nn
from tqdm import tqdm

from . import autoencoder, checkpoint, classifier, denoiser, text, weights
from .drawing import draw
from .language import training_scene
from .training_loop import Stage, train

if TYPE_CHECKING:
    from comfy.taesd.taesd import TAESD

SCENES, SEED = 48_000, 0
# Steps and batches for which two CPU cores need less than three hours.
AUTOENCODER = {"steps": 1700, "batch": 16}
DECODER = {"steps": 900, "batch": 16}
DENOISER = {"steps": 4000, "batch": 48}
CLASSIFIER = {"steps": 4000, "batch": 64}


def main(folder: Path, cpu: bool) -> None:
    """Train the stages that are not finished in `folder`, then store all weights at once.

    The networks are ComfyUI's, so the caller must have imported ComfyUI first (on the CPU if
    `cpu`). Raises ValueError if `folder` holds a run with other settings.
    """
    device = torch.device("cpu" if cpu else "cuda")
    pictures = draw_all()
    network = train_autoencoder(pictures, folder, device)
    made_by = weights.digest({name: t.cpu() for name, t in network.state_dict().items()})
    latents, mean, std = encode_all(network, made_by, pictures, folder, device)
    judge = train_classifier(pictures, folder, device)
    unet = train_denoiser(latents, made_by, folder, device)
    decoder = train_decoder(network, made_by, pictures, latents * std + mean, folder, device)
    network.taesd_decoder.load_state_dict(decoder.state_dict())
    classifier.export(judge)
    print(checkpoint.export(unet.state_dict(), network.state_dict(), mean, std))


def recipe(batch: int, made_by: str = "") -> str:
    """A stage's settings besides its steps; made_by: digest of the autoencoder of its latents."""
    words = f"{SCENES} scenes, {batch} a batch, seed {SEED}"
    return f"{words}, autoencoder {made_by[:12]}" if made_by else words


def draw_all() -> Tensor:
    """The pictures of the training scenes, [N, 3, 64, 64] uint8."""
    pictures = torch.empty(SCENES, 3, 64, 64, dtype=torch.uint8)
    for k in tqdm(range(SCENES), "draw"):
        pictures[k] = (draw(*training_scene(SEED, k)) * 255).round().byte()
    return pictures


def train_autoencoder(pictures: Tensor, folder: Path, device: torch.device) -> TAESD:
    steps, size = AUTOENCODER["steps"], AUTOENCODER["batch"]
    network = autoencoder.build(SEED).to(device)
    loss = autoencoder.loss(network, autoencoder.batches(pictures, size, device))
    stage = Stage("autoencoder", network, loss, steps, recipe(size), rate=1e-3, muon=2e-3)
    return cast("TAESD", train(stage, folder, SEED))


@torch.no_grad()
def encode_all(
    network: TAESD, made_by: str, pictures: Tensor, folder: Path, device: torch.device
) -> tuple[Tensor, float, float]:
    """The pictures' latents [N, 4, 8, 8] at mean 0, deviation 1; their original mean and std."""
    path, of = folder / "latents.safetensors", recipe(64, made_by)
    if path.is_file():
        with safe_open(path, framework="pt") as file:
            if file.metadata() == {"recipe": of}:
                mean, std = (float(file.get_tensor(name)) for name in ("mean", "std"))
                return file.get_tensor("latents"), mean, std
    parts = []
    for start in tqdm(range(0, len(pictures), 64), "encode"):
        images = pictures[start : start + 64].to(device).float() / 255
        with torch.autocast(device.type, dtype=torch.bfloat16):
            images = images.to(memory_format=torch.channels_last)
            parts.append(network.taesd_encoder(images).float().cpu())
    latents = torch.cat(parts)
    mean, std = latents.mean(), latents.std()
    latents = ((latents - mean) / std).contiguous()
    weights.write({"latents": latents, "mean": mean, "std": std}, path, recipe=of)
    return latents, float(mean), float(std)


def train_classifier(
    pictures: Tensor, folder: Path, device: torch.device
) -> classifier.SceneClassifier:
    steps, size = CLASSIFIER["steps"], CLASSIFIER["batch"]
    network = classifier.build(SEED).to(device)
    answers = [classifier.labels(training_scene(SEED, k)[0]) for k in range(len(pictures))]

    def batch(g: torch.Generator) -> tuple[Tensor, list[dict[str, int]]]:
        chosen = torch.randint(len(pictures), (size,), generator=g)
        return pictures[chosen].to(device).float() / 255, [answers[k] for k in chosen]

    loss = classifier.loss(network, batch)
    stage = Stage("classifier", network, loss, steps, recipe(size), rate=3e-4)
    return cast("classifier.SceneClassifier", train(stage, folder, SEED))


def train_denoiser(latents: Tensor, made_by: str, folder: Path, device: torch.device) -> nn.Module:
    steps, size = DENOISER["steps"], DENOISER["batch"]
    network = denoiser.build(SEED).to(device)
    scenes = [training_scene(SEED, k)[0] for k in range(len(latents))]
    encoder = denoiser.Text(text.weights(), device)

    def batch(g: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(latents), (size,), generator=g)
        return latents[chosen], encoder.rows(denoiser.captions(g, [scenes[k] for k in chosen]))

    loss = denoiser.loss(network, batch, device)
    stage = Stage("denoiser", network, loss, steps, recipe(size, made_by), rate=4e-4)
    return train(stage, folder, SEED)


def train_decoder(
    network: TAESD,
    made_by: str,
    pictures: Tensor,
    latents: Tensor,
    folder: Path,
    device: torch.device,
) -> nn.Module:
    """Train the decoder alone further; a step costs half as much as with the encoder."""
    steps, size = DECODER["steps"], DECODER["batch"]
    decoder = copy.deepcopy(network.taesd_decoder).requires_grad_(True)

    def batch(g: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(pictures), (size,), generator=g)
        return latents[chosen].to(device), pictures[chosen].to(device).float() / 255

    loss = autoencoder.decoder_loss(decoder, batch)
    stage = Stage("decoder", decoder, loss, steps, recipe(size, made_by), rate=1e-3, muon=2e-3)
    return train(stage, folder, SEED)
