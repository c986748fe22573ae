"""The training loop of all networks here: seeded, resumable, with a progress bar.

The data and noise of step k depend only on (seed, stage, k). So a run that was stopped gives the
same result as one that was not (on a CPU to the last bit).
"""

from __future__ import annotations

import copy
import math
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

SAVE_EVERY = 250
# Matrices narrower than this are trained by AdamW.
NARROW = 64


@dataclass
class Stage:
    """A network, its steps and learning rates; `loss` maps a step's generator to its loss.

    recipe: everything else that the result depends on, in words; a stopped run with another recipe
    is refused. rate, muon: the highest learning rates of AdamW, and of Muon for wide matrices (0:
    no Muon). Muon halves the steps of an autoencoder, but on a UNet it costs more time than it
    saves. seconds: where the time is short, the training ends after them, and the rates fall with
    the clock. saved: is called with the averaged network at every save, each `save_every` steps (0:
    SAVE_EVERY).
    """

    name: str
    network: nn.Module
    loss: Callable[[torch.Generator], Tensor]
    steps: int
    recipe: str
    rate: float
    muon: float = 0.0
    warm_up: int = 100
    seconds: float = math.inf
    saved: Callable[[nn.Module], None] | None = None
    save_every: int = 0
    average: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.average = copy.deepcopy(self.network).requires_grad_(False)


def train(stage: Stage, folder: Path, seed: int = 0) -> nn.Module:
    """Train to the end, continuing a stopped run; returns the network with averaged weights.

    Raises ValueError if the folder holds a run of another length or recipe, and FloatingPointError
    if the loss is not finite; the last save is then kept.
    """
    path = folder / f"{stage.name}.pt"
    optimizers = _optimizers(stage)
    done, smooth = _load(stage, optimizers, path), math.nan
    bar = tqdm(range(done, stage.steps), stage.name, initial=done, total=stage.steps)
    started, every = time.monotonic(), stage.save_every or SAVE_EVERY
    for step in bar:
        progress = max(step / stage.steps, (time.monotonic() - started) / stage.seconds)
        if progress >= 1:
            _save(stage, optimizers, path, step)
            break
        loss = stage.loss(generator(seed, stage.name, step))
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"{stage.name}: the loss of step {step} is {value}.")
        stage.network.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(stage.network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step(pace(step, stage, progress))
        _average(stage, step)
        smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
        bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
        if (step + 1) % every == 0 or step + 1 == stage.steps:
            _save(stage, optimizers, path, step + 1)
    return stage.average.train(False)


def generator(seed: int, *names: object) -> torch.Generator:
    """A generator whose seed depends only on the seed and these names."""
    return torch.Generator().manual_seed(zlib.crc32(repr((seed, *names)).encode()))


def pace(step: int, stage: Stage, progress: float | None = None) -> float:
    """The learning rate as a share of the highest: a linear warm-up, then half a cosine to 0.

    progress: the share of the training that is behind, by default by its steps.
    """
    progress = step / stage.steps if progress is None else progress
    return min(1, (step + 1) / stage.warm_up) * 0.5 * (1 + math.cos(math.pi * progress))


class Optimizer:
    """An optimiser of PyTorch on parameters or views of them; a step sets the learning rate."""

    def __init__(self, own: torch.optim.Optimizer, rate: float, matrices: Sequence[Tensor] = ()):
        self.own, self.rate, self.matrices = own, rate, matrices

    def step(self, pace: float) -> None:
        for group in self.own.param_groups:
            group["lr"] = self.rate * pace
        for view, parameter in zip(self.own.param_groups[0]["params"], self.matrices, strict=False):
            assert parameter.grad is not None
            view.grad = parameter.grad.reshape(view.shape)
        self.own.step()


def _optimizers(stage: Stage) -> list[Optimizer]:
    wide, others = [], []
    for p in stage.network.parameters():
        is_wide = stage.muon and p.ndim >= 2 and min(len(p), p[0].numel()) >= NARROW
        (wide if is_wide else others).append(p)
    adam = torch.optim.AdamW(others, stage.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    if not wide:
        return [Optimizer(adam, stage.rate)]
    # Muon only takes matrices: a kernel becomes one with a row for each output channel.
    views = [nn.Parameter(p.data.view(len(p), -1)) for p in wide]
    muon = torch.optim.Muon(views, stage.muon, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [Optimizer(adam, stage.rate), Optimizer(muon, stage.muon, wide)]


@torch.no_grad()
def _average(stage: Stage, step: int) -> None:
    """Exponential moving average of the weights, over few steps at first."""
    keep = min(0.999, (step + 1) / (step + 10))
    pairs = zip(stage.average.parameters(), stage.network.parameters(), strict=True)
    for mean, p in pairs:
        mean.lerp_(p, 1 - keep)


def _save(stage: Stage, optimizers: Sequence[Optimizer], path: Path, done: int) -> None:
    state = {
        "steps": stage.steps,
        "recipe": stage.recipe,
        "done": done,
        "network": stage.network.state_dict(),
        "average": stage.average.state_dict(),
        "optimizers": [optimizer.own.state_dict() for optimizer in optimizers],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    torch.save(state, unfinished)
    os.replace(unfinished, path)
    if stage.saved:
        stage.saved(stage.average)


def _load(stage: Stage, optimizers: Sequence[Optimizer], path: Path) -> int:
    """Restore a run if there is one; returns the number of its finished steps."""
    if not path.is_file():
        return 0
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    saved_run, this_run = (f"{x['steps']} steps, {x['recipe']}" for x in (state, vars(stage)))
    if saved_run != this_run:
        raise ValueError(
            f"{path} is a run of other settings ({saved_run}; now {this_run}): remove it, or put "
            "the settings back."
        )
    stage.network.load_state_dict(state["network"])
    stage.average.load_state_dict(state["average"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.own.load_state_dict(saved)
    return state["done"]
