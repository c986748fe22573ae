"""The example workflow that morphs through several photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .building_blocks import (
    PROMPTS,
    RENDER,
    RESULT,
    Common,
    cropped_photo,
    morph_sampler,
    save_film,
    shared_number,
    start,
)
from .graph import Graph, Link
from .settings import Settings

# 30 steps to noise level 0.6 are steps of the size that 50 would have all the way.
LEVEL = 0.6


def photos_morph(s: Settings) -> Graph:
    """Three photos in a loop: an Image Keyframe for each → Morph Sampler → CreateVideo."""
    graph = Graph()
    s = replace(s, cfg=1.0)  # with guidance, photos do not come back
    common = start(graph, s, [s.prompt_a, s.prompt_b, s.prompt_c], guided=False)
    nothing = graph.add(
        "ConditioningZeroOut", "No negative", conditioning=common.prompts[0]
    )  # at CFG 1 nothing is drawn from it
    common = replace(common, optional=common.optional | {"negative": nothing[0]})
    steps = shared_number(graph, "Steps, both ways", round(s.inversion_steps * LEVEL))
    level = graph.add("PrimitiveFloat", "Noise level, both ways", value=LEVEL)[0]
    path: Link | None = None
    chosen = zip("ABC", common.prompts, (*s.photos, s.photo_c), strict=True)
    for letter, prompt, photo in chosen:
        graph.begin_group(f"2{letter.lower()}. Choose photo {letter}, describe it in 1", PROMPTS)
        image = cropped_photo(graph, s, photo, letter)
        path = image_keyframe(graph, common, image, prompt, (steps, level), letter, path)
    assert path is not None
    graph.begin_group("3. Render at an even pace", RENDER)
    film = morph_sampler(graph, s, common, path)
    film.inputs.update(steps=steps, denoise=level, ending="loop")
    graph.begin_group("4. Video", RESULT)
    save_film(graph, s, film[0], "photos_morph")
    return graph


def image_keyframe(
    graph: Graph,
    common: Common,
    image: Link,
    prompt: Link,
    way: tuple[int | Link, float | Link],
    letter: str,
    previous: Link | None,
) -> Link:
    """One photo behind another. way: steps and noise level."""
    inputs: dict[str, Any] = {} if previous is None else {"previous": previous}
    node = graph.add(
        "GeodesicImageKeyframe",
        f"Photo {letter} as a keyframe",
        40,
        model=common.model,
        vae=common.vae,
        image=image,
        prompt=prompt,
        steps=way[0],
        noise_level=way[1],
        weight=1.0,
        **inputs,
    )
    return node[0]
