"""The settings of an example workflow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenes.checkpoint import TextModel

# ComfyUI's own default for SD1.5.
SD15 = "v1-5-pruned-emaonly-fp16.safetensors"

# Prompts of 77, 154 and 231 rows in one film: Prompt Path from Text pairs any lengths.
FILM = """\
0: a red fox in fresh snow
24: an old lighthouse above a stormy sea, white tower with a red lantern room, waves that break \
on dark rocks, spray in the air, gulls against the wind, heavy clouds with a gap of pale evening \
light, a narrow path with worn stone steps, a small keeper's house with one lit window, wet \
grass, a wooden fence, a rowing boat drawn up on the shingle, nets and a rusty anchor
+12 hold
3.5s: a field of sunflowers under a summer sky, tall stems in long rows, broad leaves, yellow \
petals around dark seeds, every head turned towards the light, bees above the flowers, dust in \
the warm air, a sandy track between the rows, a line of poplars far away, low hills in blue \
haze, a farmhouse with a tiled roof, white walls and green shutters, a well, a cart with two \
wheels, washing on a line, a dog asleep in the shade, swallows high up, a few small clouds, soft \
noon light, long grass at the edge of the field, poppies and cornflowers, a stream with stones, \
a plank as a bridge, willows, a heron that stands in the water, dragonflies, reeds, ripples, a \
distant church tower | ease in-out
end: a red fox in fresh snow
"""


@dataclass(frozen=True)
class Settings:
    """Settings that a person may change; the defaults are those of the shipped files."""

    checkpoint: str = SD15
    prompt_a: str = "a red fox sitting in fresh snow, soft morning light, watercolour"
    prompt_b: str = "an old lighthouse above a stormy sea, soft evening light, watercolour"
    prompt_c: str = "a field of sunflowers under a summer sky, soft noon light, watercolour"
    negative: str = "blurry, low quality, text, watermark"
    size: int = 512
    frames: int = 16
    frames_per_batch: int = 8
    seed: int = 42
    steps: int = 20
    cfg: float = 7.0
    # Of Morph Sampler.
    scheduler: str = "normal"
    backbone: str = "alex"
    fps: float = 12.0
    # ComfyUI brings one example picture, so all photos are the same. Steps of an inversion, and of
    # the render back.
    photos: tuple[str, str] = ("example.png", "example.png")
    photo_c: str = "example.png"
    inversion_steps: int = 50
    # ComfyUI brings no sound: a person chooses a file. How much of it becomes a film.
    music: str = "music.mp3"
    music_seconds: float = 8.0
    # A film in words, and how many of its frames are rendered in one run.
    film: str = FILM
    film_style: str = "watercolour"
    film_frames: int = 97
    film_fps: float = 24.0
    frame_limit: int = 5
    # What a density path avoids, and how strongly (arXiv 2504.06675, section 5).
    artefacts: str = "double exposure, ghosting, blurry, distorted, low detail"
    strength: float = 0.002
    levels: int = 4
    iterations: int = 100
    fitting_steps: int = 500


# Settings for the small checkpoint of this repository: 64 pixels, captions that it knows.
SMALL = "geodesic_small_sd15.safetensors"
# The same with the text model that was trained.
SMALL_READER = "geodesic_small_reader_sd15.safetensors"
# This repository's checkpoints by their text models.
SMALL_MODELS: dict[TextModel, str] = {"written": SMALL, "reader": SMALL_READER}
SMALL_SETTINGS = Settings(
    checkpoint=SMALL,
    prompt_a="a large yellow star on a blue background",
    prompt_b="a pink background, a large red heart",
    prompt_c="on black, a big cyan ring in the middle",
    negative="",
    size=64,
    frames=24,
    cfg=4.0,
    photos=("geodesic_scene_a.png", "geodesic_scene_b.png"),
    photo_c="geodesic_scene_c.png",
    music="geodesic_music.wav",
    film="""\
0: a large yellow star on a blue background
24: a pink background, a large red heart
+12 hold
3.5s: on black, a big cyan ring in the middle | ease in-out
end: a large yellow star on a blue background
""",
    film_style="",
    artefacts="",
    # The study's absolute 0.1, in latents of 256 values.
    strength=0.1 * 256 / 16384,
    fitting_steps=200,
)
# A prompt that leaves place, size and background to the seed, so that seeds can be told apart.
SEED_SETTINGS = replace(
    SMALL_SETTINGS, prompt_a="a yellow heart", prompt_b="a white star", cfg=3.0, seed=1
)
