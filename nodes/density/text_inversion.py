"""Text inversion: fit a prompt's embedding to one image, so that the model makes this image.

Gal et al. 2022 (arXiv 2208.01618) learn one word; arXiv 2504.06675, section 5, all rows of the
encoder's output, starting from the prompt's own: min over c of E ‖ε_θ(z_t, t, c) − ε‖², by AdamW.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import comfy.model_management as management
import torch
from torch import Tensor
from torch.autograd.graph import allow_mutation_on_saved_tensors

from ...geometry.density.score import per_point, predicted_noises
from ...geometry.noise_level import NoiseLevel
from ..internals import (
    LoadedModel,
    differentiation,
    is_flow,
    with_copied_weights,
    with_loaded_model,
)
from ..latents import single_picture
from ..prompt.batches import check_one_prompt

BATCH = 2  # draws of noise and time a step, as in the paper
# The range of the model's time, as shares. At 0 there is no noise, at 1 nothing but noise.
FIRST, LAST = 0.001, 0.999
# Training keeps activations that inference frees: room is made as for sampling this many images.
MEMORY_BATCH = 8
# What torch says of a model that can't be differentiated; its other errors are something else.
NO_GRADIENTS = ("inplace operation", "does not require grad", "nference tensors", "derivative for")
# Keeps gradients in half precision from vanishing or overflowing; AdamW ignores the scale.
LOSS_SCALE = 1024.0


def fit_prompt(
    model: Any,
    conditioning: Any,
    latent: dict[str, Any],
    steps: int,
    learning_rate: float,
    seed: int,
) -> Any:
    """The CONDITIONING with its rows fitted to one image; its other keys are kept.

    The model's weights are read, never written. Raises ValueError for anything but one prompt and
    one image, and for steps whose result is not finite; and ComfyUI's out-of-memory error, with
    advice, when memory runs out.
    """
    check_one_prompt("conditioning", conditioning)
    samples = single_picture(model, "latent", latent)
    image = model.get_model_object("process_latent_in")(samples)
    management.free_memory(
        model.model_size() + model.memory_required([MEMORY_BATCH, *image.shape[1:]]),
        model.load_device,
    )

    def work(loaded: LoadedModel) -> list[Tensor]:
        # ComfyUI loads models in inference mode; tensors with gradients must be made outside it.
        with differentiation(loaded):
            entries = [[rows.clone(), _copy(extras)] for rows, extras in conditioning]
            learner = Learner(loaded, image.clone(), entries, learning_rate, seed)
            report = loaded.progress()
            for step in range(steps):
                report(step, steps)
                learner.step()
            report(steps, steps)
            return learner.result()

    try:
        fitted = with_loaded_model(
            with_copied_weights(model), [conditioning], image, 1.0, work, MEMORY_BATCH
        )
    except management.OOM_EXCEPTION as error:
        # Of ComfyUI's own kind, so that ComfyUI unloads all models.
        raise management.OOM_EXCEPTION(
            "latent: fitting a prompt to an image of this size needs more memory than there is: a "
            "second copy of the model's weights, and several times the memory of sampling. Scale "
            "the image down; the resulting prompt works for any size."
        ) from error
    return [
        [new.to(rows.device, rows.dtype), extras]
        for new, (rows, extras) in zip(fitted, conditioning, strict=True)
    ]


class Learner:
    """Trains the rows of a conditioning by AdamW, on fresh draws of noise."""

    def __init__(
        self,
        loaded: LoadedModel,
        image: Tensor,
        entries: list[list[Any]],
        learning_rate: float,
        seed: int,
    ) -> None:
        self.loaded, self.image = loaded, image.to(loaded.device)
        self.extras = [extras for _, extras in entries]
        self.sampling = loaded.patcher.get_model_object("model_sampling")
        self.flow = is_flow(loaded.patcher)
        self.rows = [
            rows.to(loaded.device, torch.float32).requires_grad_(True) for rows, _ in entries
        ]
        self.optimizer = torch.optim.AdamW(self.rows, lr=learning_rate)
        self.generator = torch.Generator("cpu").manual_seed(seed)
        self.overwrites = False

    def step(self) -> float:
        """Take one step of AdamW; returns the loss before it, the mean of (ε_θ − ε)².

        Raises ValueError where loss or gradients are not finite; the rows are then unchanged.
        """
        loss, gradients = self._gradients()
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

    def _gradients(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss of fresh draws, and its gradients for the rows, times LOSS_SCALE."""
        drawn = self.generator.get_state()
        keeper = allow_mutation_on_saved_tensors() if self.overwrites else nullcontext()
        try:
            with torch.enable_grad(), keeper:
                loss = self._loss()
                # Not `backward`: only these rows are to be differentiated.
                return loss, torch.autograd.grad(loss * LOSS_SCALE, self.rows)
        except RuntimeError as error:
            if not any(sign in str(error) for sign in NO_GRADIENTS):
                raise
            if "inplace operation" in str(error) and not self.overwrites:
                # Flux and LTXV overwrite what the gradients need. Keeping copies is slower, so
                # only these models pay for it. The same draws again.
                self.overwrites = True
                self.generator.set_state(drawn)
                return self._gradients()
            raise ValueError(
                "model: expected a model that can be differentiated, but torch said: "
                f"{str(error).splitlines()[0]} Use another model, or an older or newer ComfyUI."
            ) from error

    def result(self) -> list[Tensor]:
        """The rows. Raises ValueError where the last step made them infinite."""
        if not all(bool(torch.isfinite(rows).all()) for rows in self.rows):
            raise ValueError("learning_rate: expected finite rows, got infinity. Lower it.")
        return [rows.detach() for rows in self.rows]

    def _loss(self) -> Tensor:
        shares = torch.rand(BATCH, generator=self.generator) * (LAST - FIRST) + FIRST
        noise = torch.randn((BATCH, *self.image.shape[1:]), generator=self.generator)
        sigma = torch.tensor([float(self.sampling.percent_to_sigma(float(u))) for u in shares])
        level = NoiseLevel(sigma, self.flow)
        fresh = noise.to(self.image)
        z = per_point(level.signal, fresh) * self.image + per_point(level.noise, fresh) * fresh
        entries = [[rows, extras] for rows, extras in zip(self.rows, self.extras, strict=True)]
        prompt = self.loaded.conditions(entries, BATCH)
        (predicted,) = predicted_noises(self.loaded.denoise, z, level, [prompt])
        return (predicted - fresh).square().mean()


def _copy(value: Any) -> Any:
    """Dictionaries and lists with copies of their tensors, made outside inference mode."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_copy(part) for part in value]
    return value
