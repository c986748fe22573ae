"""Two pictures for `photo_to_photo` on the small checkpoint: drawings of scenes that it knows."""

from __future__ import annotations

from pathlib import Path
from random import Random

from torchvision.transforms.functional import to_pil_image

from dev.workflows.settings import SMALL_SETTINGS
from scenes.drawing import draw
from scenes.language import Scene, Thing

# The scenes that prompts A and B of SMALL_SETTINGS describe.
SCENES = (
    Scene("blue", (Thing("star", "yellow", "large"),)),
    Scene("pink", (Thing("heart", "red", "large"),)),
)


def ensure(folder: Path) -> None:
    """Write both pictures into ComfyUI's input folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in zip(SMALL_SETTINGS.photos, SCENES, strict=True):
        to_pil_image(draw(scene, Random(0))).save(folder / name)
