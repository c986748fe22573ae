"""Pictures for workflows with photos on the small checkpoint: drawings of scenes that it knows."""

from __future__ import annotations

from pathlib import Path
from random import Random

from torchvision.transforms.functional import to_pil_image

from dev.workflows.settings import SMALL_SETTINGS
from scenes.drawing import draw
from scenes.language import Scene, Thing

# The scenes that prompts A, B and C of SMALL_SETTINGS describe.
SCENES = (
    Scene("blue", (Thing("star", "yellow", "large"),)),
    Scene("pink", (Thing("heart", "red", "large"),)),
    Scene("black", (Thing("ring", "cyan", "large"),)),
)


def ensure(folder: Path) -> None:
    """Write all pictures into ComfyUI's input folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (*SMALL_SETTINGS.photos, SMALL_SETTINGS.photo_c)
    for name, scene in zip(names, SCENES, strict=True):
        to_pil_image(draw(scene, Random(0))).save(folder / name)
