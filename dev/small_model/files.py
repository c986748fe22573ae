"""Where ComfyUI finds this repository's checkpoints."""

from __future__ import annotations

from dev.comfyui.environment import BASE
from dev.workflows.settings import SMALL_MODELS
from scenes import checkpoint


def place(name: str) -> bool:
    """Put a checkpoint into ComfyUI's models; returns whether it is one of this repository's.

    Raises WeightsError if its weights are not here.
    """
    for text_model, own in SMALL_MODELS.items():
        if name == own:
            checkpoint.ensure(BASE / "models" / "checkpoints" / own, text_model)
            return True
    return False
