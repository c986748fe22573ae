"""Fixtures of the tests of nodes/render."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ..conftest import Comfy


@pytest.fixture(autouse=True)
def _as_comfyui_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def render(comfy: Comfy) -> Any:
    """The modules of nodes/render, once `comfy` has loaded the pack."""
    assert comfy
    from geodesic_morph.nodes import render
    from geodesic_morph.nodes.render import distances, film, nodes, sampling

    assert distances
    assert film
    assert nodes
    assert sampling
    return render
