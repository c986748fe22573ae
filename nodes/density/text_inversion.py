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

from ...geometry.density.score import each, predicted_noises
from ...geometry.noise_level import NoiseLevel
from ..internals import LoadedModel, is_flow, with_copied_weights, with_loaded_model
from ..latents import single_picture
from ..prompt.batches import check_one_prompt

BATCH = 2  # draws of noise and time a step, as in the paper
# Times of the model, as shares; at the very ends nothing is noise, or nothing else.
FIRST, LAST = 0.001, 0.999
# Training keeps what inference lets go, so memory is asked for as if this many images were sampled.
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
    samples = single_picture(model, "latent", latent)
    image = model.get_model_object("process_latent_in")(samples)
    management.free_memory(
        model.model_size() + model.memory_required([MEMORY_BATCH, *image.shape[1:]]),
        model.load_device,
    )

    def work(loaded: LoadedModel) -> list[Tensor]:
        # ComfyUI loads models in inference mode; what is differentiated must be made outside it.
        with torch.inference_mode(False):
            entries = [[rows.clone(), _copy(extras)] for rows, extras in conditioning]
            learner = Learner(loaded, image.clone(), entries, learning_rate, seed)
            report = loaded.progress()
            for step in range(steps):
                report(step, steps)
                learner.step()
            report(steps, steps)
            return learner.result()

    try:
        found = with_loaded_model(
            with_copied_weights(model), [conditioning], image, 1.0, work, MEMORY_BATCH
        )
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


class Learner:
    """The rows of a conditioning under AdamW, and the noise they learn from."""

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
        self.space = loaded.patcher.get_model_object("model_sampling")
        self.flow = is_flow(loaded.patcher)
        self.rows = [
            rows.to(loaded.device, torch.float32).requires_grad_(True) for rows, _ in entries
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
        level = NoiseLevel(sigma, self.flow)
        fresh = noise.to(self.image)
        z = each(level.signal, fresh) * self.image + each(level.noise, fresh) * fresh
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
