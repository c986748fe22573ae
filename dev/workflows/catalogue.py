"""All example workflows by the names of their files, and the text of these files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import tomllib

from dev.comfyui.environment import ROOT

from .app_mode import linear_data
from .density import extrapolate, image_to_image_geodesic, is_this_clip_a_geodesic
from .families import flux_morph, sd35_morph, sdxl_morph
from .graph import Graph
from .long import long_morph
from .music import music_morph
from .noise import noise_grid, prompt_and_seed_travel, seed_travel
from .photos import photo_to_photo, photos_morph
from .prompt import compare_couplings, even_morph, keyframes_constant_speed, two_prompt_morph
from .settings import Settings

WORKFLOWS: dict[str, Callable[[Settings], Graph]] = {
    "even_morph": even_morph,
    "two_prompt_morph": two_prompt_morph,
    "compare_couplings": compare_couplings,
    "keyframes_constant_speed": keyframes_constant_speed,
    "music_morph": music_morph,
    "long_morph": long_morph,
    "seed_travel": seed_travel,
    "prompt_and_seed_travel": prompt_and_seed_travel,
    "noise_grid": noise_grid,
    "photo_to_photo": photo_to_photo,
    "photos_morph": photos_morph,
    "image_to_image_geodesic": image_to_image_geodesic,
    "extrapolate": extrapolate,
    "is_this_clip_a_geodesic": is_this_clip_a_geodesic,
}
# Models that the tests can't run: they are opened, and their graphs are checked by the server.
FAMILIES: dict[str, Callable[[Settings], Graph]] = {
    "sdxl_morph": sdxl_morph,
    "sd35_morph": sd35_morph,
    "flux_morph": flux_morph,
}
ALL_WORKFLOWS = WORKFLOWS | FAMILIES


def pack_version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def as_text(name: str, schemas: dict[str, Any]) -> str:
    """The file of one example workflow, with the default settings."""
    graph = ALL_WORKFLOWS[name](Settings())
    workflow = graph.to_workflow(schemas, pack_version())
    workflow["extra"]["linearData"] = linear_data(graph)
    return json.dumps(workflow, indent=1) + "\n"
