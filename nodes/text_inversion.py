"""Text inversion: a prompt's embedding bent until the model makes one image of it.

Gal et al. 2022 (arXiv 2208.01618) learn one word; arXiv 2504.06675, section 5, all rows of the
encoder's output, starting from the prompt's own: min over c of E ‖ε_θ(z_t, t, c) − ε‖², by AdamW.
"""

from __future__ import annotations

import math
from typing import Any

import comfy.model_management as management
import comfy.model_sampling
import torch
from torch import Tensor

from ..geometry.density.score import Level
from .evaluation import Evaluator, evaluate
from .frames import Prompts
from .inversion import check_images
from .model_score import preview
from .noised import check_one_prompt

BATCH = 2  # draws of noise and time a step, as in the paper
# Times of the model, as shares; at the very ends nothing is noise, or nothing else.
FIRST, LAST = 0.001, 0.999
# Training holds what inference forgets: room is asked for as if so many images were sampled.
MEMORY_BATCH = 8


@torch.inference_mode(False)
def bend(
    model: Any,
    conditioning: Any,
    latent: dict[str, Any],
    steps: int,
    learning_rate: float,
    seed: int,
) -> Any:
    """The CONDITIONING whose rows tell this model most of one image; all else of it is kept.

    The model's weights are read, never written. Raises ValueError for anything but one prompt and
    one image, and for steps that lead to no finite numbers; RuntimeError when memory runs out.
    """
    samples = check_images(model, conditioning, latent)
    if len(samples) != 1:
        raise ValueError(
            f"latent: expected one image, got a batch of {len(samples)}. Pick one with "
            "LatentFromBatch."
        )
    check_one_prompt("conditioning", conditioning)
    inside = model.get_model_object("process_latent_in")(samples.clone())
    like = inside.expand(MEMORY_BATCH, *inside.shape[1:])

    def work(evaluator: Evaluator) -> list[Tensor]:
        entries = [[_copy(rows), _copy(extras)] for rows, extras in conditioning]
        image = inside.to(evaluator.device)
        learn = Learner(evaluator, model, image, entries, learning_rate, seed)
        report = preview(model, evaluator)
        for step in range(steps):
            report(step, steps)
            learn.step()
        report(steps, steps)
        return [rows.detach() for rows in learn.rows]

    try:
        found = evaluate(readable(model), [_copy(conditioning)], like, work)
    except management.OOM_EXCEPTION as error:
        raise RuntimeError(
            "latent: bending a prompt to an image of this size does not fit into memory, as it "
            "needs several times what sampling does. Scale the image down; the prompt that comes "
            "out fits any size."
        ) from error
    return [
        [new.to(rows.device, rows.dtype), extras]
        for new, (rows, extras) in zip(found, conditioning, strict=True)
    ]


class Learner:
    """The rows of a conditioning under AdamW, and the noise they learn from."""

    def __init__(
        self,
        evaluator: Evaluator,
        model: Any,
        image: Tensor,
        entries: list[list[Any]],
        learning_rate: float,
        seed: int,
    ) -> None:
        self.evaluator, self.image, self.entries = evaluator, image, entries
        self.space = model.get_model_object("model_sampling")
        self.rows = [
            entry[0].to(image.device, torch.float32).requires_grad_(True) for entry in entries
        ]
        self.optimizer = torch.optim.AdamW(self.rows, lr=learning_rate)
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def step(self) -> float:
        """One step of AdamW; the loss before it, the mean of (ε_θ − ε)²."""
        with torch.enable_grad():
            loss = self._loss()
            # Not `backward`: only these rows are to be differentiated.
            gradients = torch.autograd.grad(loss, self.rows)
        value = float(loss.detach()) / (BATCH * self.image.numel())
        if not math.isfinite(value):
            raise ValueError(
                "model: expected a finite loss, got NaN or infinity. Lower learning_rate, or run "
                "the model in a higher precision."
            )
        for rows, gradient in zip(self.rows, gradients, strict=True):
            rows.grad = gradient
        self.optimizer.step()
        return value

    def _loss(self) -> Tensor:
        """Σ (ε_θ − ε)²: a mean would underflow in half precision, and AdamW needs no scale."""
        shares = torch.rand(BATCH, generator=self.generator) * (LAST - FIRST) + FIRST
        noise = torch.randn((BATCH, *self.image.shape[1:]), generator=self.generator)
        sigma = torch.tensor([float(self.space.percent_to_sigma(float(u))) for u in shares])
        level = Level(sigma, isinstance(self.space, comfy.model_sampling.CONST))
        each = self._each
        fresh = noise.to(self.image)
        z = each(level.signal) * self.image + each(level.noise) * fresh
        entries = [
            [rows, extras] for rows, (_, extras) in zip(self.rows, self.entries, strict=True)
        ]
        prompt = [self.evaluator.prepared(Prompts(0, BATCH, entries))]
        (denoised,) = self.evaluator(each(level.scale) * z, sigma.to(z), [prompt])
        predicted = (z - each(level.signal) * denoised) / each(level.noise)
        return (predicted - fresh).square().sum()

    def _each(self, values: Tensor) -> Tensor:
        return values.to(self.image).reshape(-1, *[1] * (self.image.ndim - 1))


def readable(model: Any) -> Any:
    """The model for differentiation: its layers work on copies of their weights.

    ComfyUI loads weights in inference mode, where nothing can be differentiated through them. A
    weight wrapper makes ComfyUI copy a weight for each use; the copies ask for no gradient.
    """
    patcher = model.clone()
    for name, module in model.model.named_modules():
        if hasattr(module, "weight_function"):
            for kind in ("weight", "bias"):
                patcher.add_weight_wrapper(f"{name}.{kind}", _constant)
    return patcher


def _constant(weight: Tensor) -> Tensor:
    return weight.detach()


def _copy(value: Any) -> Any:
    """Dictionaries and lists with copies of their tensors, made outside inference mode."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_copy(one) for one in value]
    return value
