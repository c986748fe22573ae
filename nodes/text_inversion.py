"""Text inversion: a prompt's embedding bent until the model makes one image of it.

Gal et al. 2022 (arXiv 2208.01618) learn one word; arXiv 2504.06675, section 5, all rows of the
encoder's output, starting from the prompt's own: min over c of E ‖ε_θ(z_t, t, c) − ε‖², by AdamW.
"""

from __future__ import annotations

import math
from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor

from ..geometry.density.score import Level, each, predicted_noises
from .evaluation import Evaluator, evaluate
from .frame_prompts import check_one_prompt
from .frames import Prompts
from .inversion import check_images
from .model_score import preview
from .noise_path import NOISE_LEVEL, NOISED
from .noised import is_flow

BATCH = 2  # draws of noise and time a step, as in the paper
# Times of the model, as shares; at the very ends nothing is noise, or nothing else.
FIRST, LAST = 0.001, 0.999
# Training holds what inference forgets: room is asked for as if so many images were sampled.
MEMORY_BATCH = 8
# So that gradients in half precision neither vanish nor overflow; AdamW needs no scale.
LOSS_SCALE = 1024.0


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
    one image, and for steps that lead to no finite numbers; ComfyUI's out-of-memory error, with
    what to do, when memory runs out.
    """
    check_one_prompt("conditioning", conditioning)
    image = check_picture(model, conditioning, latent)
    management.free_memory(
        model.model_size() + model.memory_required([MEMORY_BATCH, *image.shape[1:]]),
        model.load_device,
    )

    def work(evaluator: Evaluator) -> list[Tensor]:
        # Loading is ComfyUI's own, in inference mode; what is differentiated is made outside it.
        with torch.inference_mode(False):
            entries = [[rows.clone(), _copy(extras)] for rows, extras in conditioning]
            learn = Learner(evaluator, model, image.clone(), entries, learning_rate, seed)
            report = preview(model, evaluator)
            for step in range(steps):
                report(step, steps)
                learn.step()
            report(steps, steps)
            return learn.result()

    try:
        found = evaluate(readable(model), [conditioning], image, 1.0, work, MEMORY_BATCH)
    except management.OOM_EXCEPTION as error:
        # Of the same kind, as ComfyUI then unloads all models.
        raise management.OOM_EXCEPTION(
            "latent: bending a prompt to an image of this size does not fit into memory, as it "
            "needs a second copy of the model's weights and several times what sampling does. "
            "Scale the image down; the prompt that comes out fits any size."
        ) from error
    return [
        [new.to(rows.device, rows.dtype), extras]
        for new, (rows, extras) in zip(found, conditioning, strict=True)
    ]


def check_picture(model: Any, conditioning: Any, latent: dict[str, Any]) -> Tensor:
    """One picture [1, C, ...] in the model's own scale. Raises ValueError for anything else."""
    samples = check_images(model, conditioning, latent)
    if len(samples) != 1:
        raise ValueError(
            f"latent: expected one image, got a batch of {len(samples)}. Pick one with "
            "LatentFromBatch."
        )
    if NOISE_LEVEL in latent or NOISED in latent:
        raise ValueError(
            "latent: expected a picture, got noise of Invert Image or a density path. Connect VAE "
            "Encode; Invert Image comes after this node."
        )
    return model.get_model_object("process_latent_in")(samples)


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
        self.evaluator, self.image = evaluator, image.to(evaluator.device)
        self.extras = [extras for _, extras in entries]
        self.space = model.get_model_object("model_sampling")
        self.flow = is_flow(model)
        self.rows = [
            rows.to(evaluator.device, torch.float32).requires_grad_(True) for rows, _ in entries
        ]
        self.optimizer = torch.optim.AdamW(self.rows, lr=learning_rate)
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def step(self) -> float:
        """One step of AdamW; the loss before it, the mean of (ε_θ − ε)².

        Raises ValueError where loss or gradients are not finite; the rows are then as they were.
        """
        with torch.enable_grad():
            loss = self._loss()
            # Not `backward`: only these rows are to be differentiated.
            gradients = torch.autograd.grad(loss * LOSS_SCALE, self.rows)
        finite = [bool(torch.isfinite(gradient).all()) for gradient in gradients]
        if not (math.isfinite(float(loss.detach())) and all(finite)):
            raise ValueError(
                "model: expected finite gradients, got NaN or infinity. Lower learning_rate, or "
                "run the model in a higher precision (--fp32-unet, --bf16-unet)."
            )
        for rows, gradient in zip(self.rows, gradients, strict=True):
            rows.grad = gradient
        self.optimizer.step()
        return float(loss.detach())

    def result(self) -> list[Tensor]:
        """The rows. Raises ValueError for a last step that led to infinity."""
        if not all(bool(torch.isfinite(rows).all()) for rows in self.rows):
            raise ValueError("learning_rate: expected finite rows, got infinity. Lower it.")
        return [rows.detach() for rows in self.rows]

    def _loss(self) -> Tensor:
        shares = torch.rand(BATCH, generator=self.generator) * (LAST - FIRST) + FIRST
        noise = torch.randn((BATCH, *self.image.shape[1:]), generator=self.generator)
        sigma = torch.tensor([float(self.space.percent_to_sigma(float(u))) for u in shares])
        level = Level(sigma, self.flow)
        fresh = noise.to(self.image)
        z = each(level.signal, fresh) * self.image + each(level.noise, fresh) * fresh
        entries = [[rows, extras] for rows, extras in zip(self.rows, self.extras, strict=True)]
        prompt = [self.evaluator.prepared(Prompts(0, BATCH, entries))]
        (predicted,) = predicted_noises(self.evaluator, z, level, [prompt])
        return (predicted - fresh).square().mean()


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
