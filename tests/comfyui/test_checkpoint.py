"""The small checkpoint, as ComfyUI sees it."""

from __future__ import annotations

import logging

import pytest
import torch

from demo.__main__ import SMALL

from .conftest import PROMPT_A, PROMPT_B, Comfy


def test_comfyui_takes_it_for_sd15(comfy: Comfy, caplog: pytest.LogCaptureFixture) -> None:
    """The ordinary loader finds SD1.5 in it, with no tensor missing, left over or misshapen."""
    with caplog.at_level(logging.INFO):
        model, _, _ = comfy.nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)
    assert type(model.model.model_config).__name__ == "SD15"
    for word in ("missing", "unexpected", "left over keys in diffusion model"):
        assert word not in caplog.text


def test_its_images_are_finite_and_depend_on_the_prompt(comfy: Comfy) -> None:
    """Two prompts make two pictures, in [0, 1], neither blank."""
    pictures = [
        comfy.vae.decode(comfy.sample(comfy.encode(text), comfy.latent())).detach()
        for text in (PROMPT_A, PROMPT_B)
    ]
    for picture in pictures:
        assert picture.shape == (1, 64, 64, 3)
        assert bool(torch.isfinite(picture).all())
        assert float(picture.std()) > 0.05
    assert float((pictures[0] - pictures[1]).abs().mean()) > 0.02
