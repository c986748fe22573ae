"""`make train ARGS="--text reader"`: trains the reader, and a denoiser on its rows.

The autoencoder and the classifier are those of this repository. The stages can be stopped at any
time and continue from their last saves. Where the time is short, as on a graphics card that is
there for minutes, they end by the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import autoencoder, checkpoint, classifier, denoiser, reader, reading, weights
from .drawing import SIZE, draw
from .language import Scene, evaluation_scene, training_scene
from .reading import Library, Matching
from .text import POSITIONS
from .tokens import END, START
from .training_loop import Stage, generator, train

if TYPE_CHECKING:
    from comfy.taesd.taesd import TAESD

    from .reader import Reader

SEED = 0


@dataclass(frozen=True)
class Plan:
    """How much is learned from. Batches count scenes; those of the reader bring their families.

    families, scenes: drawn for the reader, and for the denoiser. reader_seconds, seconds: the time
    that a stage has, asked when it begins. saved: gets the averaged denoiser at every save.
    """

    families: int = 24_000
    scenes: int = 48_000
    reader_steps: int = 3000
    reader_batch: int = 64
    reader_rate: float = 1e-3
    steps: int = 4000
    batch: int = 48
    rate: float = 4e-4
    reader_seconds: Callable[[], float] = lambda: math.inf
    seconds: Callable[[], float] = lambda: math.inf
    save_every: int = 0
    saved: Callable[[nn.Module], None] | None = None

    def of_reader(self) -> str:
        return f"{self.families} families, {self.reader_batch} a batch, seed {SEED}"


@dataclass(frozen=True)
class Pictures:
    """What is drawn: families for the reader, scenes for the denoiser, [N, 3, 64, 64] uint8."""

    of_families: Tensor
    of_scenes: Tensor


def scenes_of(plan: Plan) -> tuple[list[Scene], Tensor, list[Scene]]:
    """The families' scenes and their table, and the denoiser's scenes."""
    members, table = reading.families(plan.families, lambda k: training_scene(SEED, k)[0])
    return members, table, [training_scene(SEED, k)[0] for k in range(plan.scenes)]


def drawn(scenes: Sequence[Scene], first: int) -> np.ndarray:
    """Pictures of scenes [N, 3, 64, 64] uint8; `first` is the number of the first, for its seed."""
    torch.set_num_threads(1)
    pictures = np.empty((len(scenes), 3, SIZE, SIZE), np.uint8)
    for k, scene in enumerate(scenes):
        rng = Random(f"picture/{SEED}/{first + k}")
        pictures[k] = (draw(scene, rng) * 255).round().byte().numpy()
    return pictures


def draw_all(plan: Plan) -> Pictures:
    """All pictures, in this process."""
    threads = torch.get_num_threads()
    members, _, scenes = scenes_of(plan)
    both = [torch.from_numpy(drawn(of, 0)) for of in (members, scenes)]
    torch.set_num_threads(threads)
    return Pictures(*both)


def main(
    folder: Path, cpu: bool, plan: Plan, pictures: Pictures | None = None
) -> tuple[Reader, nn.Module]:
    """Train the reader, store it, then train the denoiser on its rows and store that.

    ComfyUI must have been imported (on the CPU if `cpu`). Raises ValueError if `folder` holds a run
    with other settings.
    """
    device = torch.device("cpu" if cpu else "cuda")
    pictures = pictures or draw_all(plan)
    members, table, scenes = scenes_of(plan)
    network = train_reader(members, table, pictures.of_families, folder, device, plan)
    for (change, things), share in told_apart(network, device).items():
        print(f"of {things}, told from the {change}: {share:.1%}", flush=True)
    reader.export(network.reader)
    # The denoiser learns from the rows that the checkpoint will give.
    read = reader.load().to(device)
    latents = encode(pictures.of_scenes, device)
    return read, train_denoiser(read, scenes, latents, folder, device, plan)


def train_reader(
    members: Sequence[Scene],
    table: Tensor,
    pictures: Tensor,
    folder: Path,
    device: torch.device,
    plan: Plan,
) -> Matching:
    library = Library.of(members, reading.WORDINGS, SEED).to(device)
    features = reading.trunk(classifier.load(), pictures, device)
    network = Matching(reader.build(SEED), SEED).to(device)

    def batch(g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = table[torch.randperm(len(table), generator=g)[: plan.reader_batch]]
        chosen = chosen[chosen >= 0]
        return *library.drawn(chosen, g), features[chosen.to(device)]

    stage = Stage(
        "reader",
        network,
        reading.loss(network, batch),
        plan.reader_steps,
        plan.of_reader(),
        rate=plan.reader_rate,
        seconds=plan.reader_seconds(),
        save_every=plan.save_every,
    )
    return cast("Matching", train(stage, folder, SEED))


def told_apart(
    network: Matching, device: torch.device, count: int = 1000
) -> dict[tuple[str, int], float]:
    """How often held-out captions are nearer to their own picture than to a hard one.

    Keys: how the other scene was changed, and how many things there are.
    """
    scenes = [evaluation_scene(SEED, k)[0] for k in range(count)]
    judge, shares = classifier.load(), {}
    for change in (reading.mirrored, reading.recolored):
        for things in (1, 2):
            asked = [scene for scene in scenes if len(scene.things) == things]
            own, far = (
                reading.trunk(judge, torch.from_numpy(drawn(of, 0)), device)
                for of in (asked, [change(scene) for scene in asked])
            )
            library = Library.of(asked, 1, SEED, complete=True).to(device)
            texts = library.drawn(torch.arange(len(asked)), generator(SEED))
            shares[change.__name__, things] = reading.told_apart(network, texts, own, far)
    return shares


@torch.no_grad()
def encode(pictures: Tensor, device: torch.device) -> Tensor:
    """The latents [N, 4, 8, 8] of pictures as SD1.5's UNet gets them, by the stored autoencoder."""
    stored = {
        name.removeprefix(checkpoint.AUTOENCODER): tensor.float()
        for name, tensor in weights.load(checkpoint.TRAINED).items()
        if name.startswith(checkpoint.AUTOENCODER)
    }
    scale, shift = (float(stored[name]) for name in ("vae_scale", "vae_shift"))
    network: TAESD = autoencoder.build()
    network.load_state_dict(stored)
    encoder = network.taesd_encoder.to(device)
    parts = []
    for part in tqdm(pictures.split(256), "encode"):
        with torch.autocast(device.type, dtype=torch.bfloat16):
            z = encoder((part.to(device).float() / 255).to(memory_format=torch.channels_last))
        parts.append((z.float().contiguous() / scale + shift).cpu() * checkpoint.LATENT_FACTOR)
    return torch.cat(parts)


def train_denoiser(
    read: Reader,
    scenes: Sequence[Scene],
    latents: Tensor,
    folder: Path,
    device: torch.device,
    plan: Plan,
) -> nn.Module:
    library = Library.of(scenes, reading.WORDINGS, SEED + 1).to(device)
    made_by = weights.digest({name: p.cpu() for name, p in read.state_dict().items()})
    network = denoiser.build(SEED).to(device)
    latents = latents.to(device)

    def batch(g: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(scenes), (plan.batch,), generator=g)
        tokens, _ = library.drawn(chosen, g)
        tokens[(torch.rand(plan.batch, generator=g) < denoiser.EMPTY).to(device), 1:] = END
        return latents[chosen.to(device)], rows(read, tokens)

    stage = Stage(
        "reader-denoiser",
        network,
        denoiser.loss(network, batch, device),
        plan.steps,
        f"{plan.scenes} scenes, {plan.batch} a batch, seed {SEED}, reader {made_by[:12]}",
        rate=plan.rate,
        seconds=plan.seconds(),
        save_every=plan.save_every,
        saved=plan.saved,
    )
    return train(stage, folder, SEED)


@torch.no_grad()
def rows(read: Reader, tokens: Tensor) -> Tensor:
    """The 77 rows of captions, in the precision of the denoiser's training."""
    whole = torch.full((len(tokens), POSITIONS), END, device=tokens.device)
    whole[:, 0], whole[:, : tokens.shape[1]] = START, tokens
    with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
        return read(whole).bfloat16()
