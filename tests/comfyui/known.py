"""Models with known answers: ComfyUI's own sampling around exact denoisers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .conftest import Comfy

KINDS = ("eps", "v", "flow")
DATA = 0.7  # standard deviation of the data that the known models know


def known(comfy: Comfy, kind: str, spread: float | Tensor = DATA) -> Any:
    """The small checkpoint with its network replaced by the exact denoiser of N(0, spread²).

    Everything else (sampling, scaling, memory) stays ComfyUI's own. kind: eps, v or flow. spread:
    the data's standard deviation, one for all numbers of a latent or one for each [C, H, W].
    """
    from comfy_extras import nodes_model_advanced as advanced

    model = comfy.model
    if kind == "v":
        (model,) = advanced.ModelSamplingDiscrete().patch(model, "v_prediction", False)
    elif kind == "flow":
        (model,) = advanced.ModelSamplingSD3().patch(model, 3.0)
    model = model.clone()
    variance = torch.as_tensor(spread) ** 2

    def exact(_: Any, arguments: dict[str, Any]) -> Tensor:
        x = arguments["input"]
        sigma = arguments["timestep"].reshape(-1, *[1] * (x.ndim - 1))
        share = 1 - sigma if kind == "flow" else torch.ones_like(sigma)
        return x * share * variance / (share**2 * variance + sigma**2)

    model.set_model_unet_function_wrapper(exact)
    return model
