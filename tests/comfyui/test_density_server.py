"""Density workflows through the real server: regenerated photos, progress, cancelling."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dev.comfyui.environment import BASE
from dev.comfyui.server import Server
from dev.pictures import photos
from dev.workflows.density import extrapolate, image_to_image_geodesic, is_this_clip_a_geodesic
from dev.workflows.graph import Graph
from dev.workflows.settings import SMALL_SETTINGS

from .test_noise_server import cancelled, frames_of

QUICK = dataclasses.replace(
    SMALL_SETTINGS,
    frames=3,
    levels=2,
    iterations=4,
    fitting_steps=6,
    inversion_steps=12,
    steps=6,
    frames_per_batch=0,
)


@pytest.fixture(autouse=True)
def pictures() -> None:
    photos.ensure(BASE / "input")


def quick(**changes: Any) -> Any:
    return dataclasses.replace(QUICK, **changes)


def shorten(graph: Graph, kind: str, **inputs: int) -> None:
    """Change inputs of the only node of a kind."""
    (node,) = (node for node in graph.nodes if node.type == kind)
    node.inputs.update(inputs)


def test_a_search_can_be_cancelled(server: Server) -> None:
    """It reports its steps and stops between two of them; the tests below use the same server."""
    graph = extrapolate(quick(prompt_a="a white star", steps=2, inversion_steps=5))
    changes = {"Through likely images": {"iterations": 5000}}
    told = cancelled(server, graph, "GeodesicDensityPath", **changes)
    assert told[-1]["max"] == 2 * 5000
    assert told[-1]["value"] < 5000


def test_text_inversion_can_be_cancelled(server: Server) -> None:
    graph = image_to_image_geodesic(quick())
    changes = {f"Fit prompt {x} to photo {x}": {"steps": 5000} for x in "AB"}
    told = cancelled(server, graph, "GeodesicTextInversion", **changes)
    assert told[-1]["max"] == 5000
    assert told[-1]["value"] < 2500


def test_an_analysis_can_be_cancelled(server: Server) -> None:
    """It reports all passes: one of all frames, the search, and one for each of four paths."""
    graph = is_this_clip_a_geodesic(quick(prompt_a="a red ring", steps=2))
    (encoded,) = (node for node in graph.nodes if node.type == "VAEEncode")
    (analysis,) = (node for node in graph.nodes if node.type == "GeodesicDensityAnalysis")
    inverted = graph.add(
        "GeodesicInvert",
        model=analysis.inputs["model"],
        conditioning=analysis.inputs["positive"],
        latent=encoded[0],
        steps=3,
        noise_level=0.6,
    )
    analysis.inputs["latents"] = inverted[0]
    graph.nodes.remove(analysis)  # it runs after the node that was added
    graph.nodes.append(analysis)
    changes = {"Is it a geodesic?": {"iterations": 5000, "draws": 1}}
    told = cancelled(server, graph, "GeodesicDensityAnalysis", **changes)
    assert told[-1]["max"] == 5005
    assert told[-1]["value"] < 2500


def test_photos_are_the_ends_of_their_geodesic(server: Server) -> None:
    """Fitted prompts, a density path, an even pace: first and last frame are still the photos."""
    s = quick()
    graph = image_to_image_geodesic(s)
    shorten(graph, "GeodesicDensityPath", frames=5)
    frames = frames_of(server, graph)
    assert len(frames) == 6
    for name, frame in zip(s.photos, (frames[0], frames[-1]), strict=True):
        photo = np.array(Image.open(BASE / "input" / name), dtype=int)
        error = np.square((frame - photo) / 255).mean()
        assert -10 * np.log10(error) > 28
    assert np.abs(frames[3] - frames[0]).mean() > 2


def test_it_goes_on_past_the_end(server: Server) -> None:
    """Batches of three: the five frames of the path, then four new ones."""
    graph = extrapolate(quick(frames_per_batch=3))
    shorten(graph, "GeodesicDensityPath", frames=5)
    shorten(graph, "GeodesicDensityExtrapolate", frames=4, steps=4)
    (joined,) = (node for node in graph.nodes if node.title == "One after the other")
    graph.add("RebatchImages", "Decode", images=joined[0], batch_size=1)
    frames = frames_of(server, graph)
    assert len(frames) == 5 + 4
    assert np.abs(frames[5] - frames[4]).mean() < np.abs(frames[-1] - frames[4]).mean()
