"""The networks of `python -m dev.gpu_check` are those of the published models."""

from __future__ import annotations

import pytest
import torch

from dev.families.tiny import SDXL
from dev.gpu_check.sizes import SD15, TRUE

from ..generations import BOTH
from .conftest import Comfy

pytestmark = BOTH
# How many weights the published checkpoints have in their UNets.
WEIGHTS = {SD15: 859_520_964, SDXL: 2_567_463_684}


@pytest.mark.parametrize("name", list(TRUE))
def test_comfyui_takes_them_for_the_published_ones(comfy: Comfy, name: str) -> None:
    """It reads the same class and sizes from their tensors; as many weights as published."""
    from comfy import model_detection, supported_models

    assert comfy
    kind = TRUE[name]
    expected = getattr(supported_models, kind.supported)
    config = expected(dict(kind.network))
    config.set_inference_dtype(torch.float16, None)
    # Shapes without memory for them.
    network = config.get_model({}, device=torch.device("meta")).diffusion_model
    assert sum(weight.numel() for weight in network.parameters()) == WEIGHTS[name]
    found = model_detection.model_config_from_unet(dict(network.state_dict()), "")
    assert found is not None
    assert isinstance(found, expected)
    own = config.unet_config
    assert {key: value for key, value in found.unet_config.items() if own.get(key) != value} == {}
