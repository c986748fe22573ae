"""README's first picture: one pair of prompts at equal times and by Morph Sampler, moving.

The pair is chosen by a rule, not by its looks: of the first pairs of the scenes held out from
training, the one whose largest step at equal times is the median.
"""

from __future__ import annotations

import dataclasses
import io

from PIL import Image

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server
from dev.workflows.building_blocks import (
    keyframes,
    morph_sampler,
    path_length,
    render,
    start,
    times,
)
from dev.workflows.graph import Graph
from dev.workflows.settings import SMALL_SETTINGS, Settings
from scenes.language import evaluation_scene, say

from .sheets import Frames, animate, moving

FILE = ROOT / "docs" / "morph.webp"
SEED, PAIRS = 1, 5
SETTINGS = dataclasses.replace(SMALL_SETTINGS, frames=24, frames_per_batch=0)
EQUAL, EVEN = "equal times", "Morph Sampler"


def pair(k: int) -> tuple[str, str]:
    """Captions of the evaluation scenes 2k and 2k + 1."""
    a, b = (say(*evaluation_scene(SEED, i), complete=True) for i in (2 * k, 2 * k + 1))
    return a, b


def settings(k: int) -> Settings:
    prompt_a, prompt_b = pair(k)
    return dataclasses.replace(SETTINGS, prompt_a=prompt_a, prompt_b=prompt_b)


def film(s: Settings, way: str) -> Graph:
    """One way to render a path, measured."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    path = keyframes(graph, common.prompts)
    if way == EVEN:
        images = morph_sampler(graph, s, common, path)[0]
        graph.titled("Morph Sampler").inputs.update(distance="alex")  # by which both are measured
    else:
        images = render(graph, s, common, path, times(graph, s.frames))[0]
        same = {"sampler_name": "euler", "scheduler": "normal"}
        graph.titled("Render").inputs.update(same)
    path_length(graph, s, images)
    graph.add("PreviewImage", "Frames", images=images)
    return graph


def rendered(server: Server, s: Settings, way: str) -> tuple[float, Frames]:
    """The largest step of a film, and its frames."""
    graph = film(s, way)
    outputs = server.run(graph.to_api())
    (steps,) = outputs[graph.find("Measure")]["geodesic_steps"]
    files = outputs[graph.find("Frames")]["images"]
    frames = [Image.open(io.BytesIO(server.fetch(file))).convert("RGB") for file in files]
    return steps["largest"], frames


def draw(server: Server) -> None:
    """Render all pairs at equal times, and the chosen one by Morph Sampler."""
    films = [rendered(server, settings(k), EQUAL) for k in range(PAIRS)]
    chosen = sorted(range(PAIRS), key=lambda k: films[k][0])[PAIRS // 2]
    largest, equal = films[chosen]
    smaller, even = rendered(server, settings(chosen), EVEN)
    print("README's pair:", chosen, *pair(chosen), sep="\n  ")
    print("largest steps at equal times:", *(f"{step:.3f}" for step, _ in films))
    labels = (f"{EQUAL}: largest step {largest:.2f}", f"{EVEN}: largest step {smaller:.2f}")
    animate(moving(dict(zip(labels, (equal, even), strict=True))), FILE, fps=12)
