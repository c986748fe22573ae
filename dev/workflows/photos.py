"""The example workflows that morph through photos."""

from __future__ import annotations

from collections.abc import Sequence
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
from .graph import Graph, Link, Node
from .settings import Settings

# 30 steps to noise level 0.6 are steps of the size that 50 would have all the way.
LEVEL = 0.6
PHOTOS_ROOM = 260  # for the photos so far, below the node's widgets


def photos_morph(s: Settings) -> Graph:
    """Three photos in a loop: an Image Keyframe for each → Morph Sampler → CreateVideo."""
    graph = Graph()
    photos = (*s.photos, s.photo_c)
    film, _ = _between(graph, s, [s.prompt_a, s.prompt_b, s.prompt_c], photos)
    film.inputs.update(ending="loop")
    _save(graph, s, film, "photos_morph")
    return graph


def photo_to_photo(s: Settings) -> Graph:
    """From one photo to another, both pasted in; their inversions are kept in files."""
    graph = Graph()
    film, keyframes = _between(graph, s, [s.prompt_a, s.prompt_b], s.photos)
    film.inputs.update(photo_frames="pasted in")
    for letter, keyframe in zip("ab", keyframes, strict=True):
        graph.group = keyframe.group
        graph.add(
            "GeodesicSaveInversion",
            f"Keep inversion {letter.upper()}",
            40,
            latent=keyframe[2],
            filename_prefix=f"geodesic/photo_{letter}",
            conditioning=keyframe.inputs["prompt"],
        )
    _save(graph, s, film, "photo_to_photo")
    return graph


def _between(
    graph: Graph, s: Settings, prompts: list[str], photos: Sequence[str]
) -> tuple[Node, list[Node]]:
    """Morph Sampler of a film through photos, and their keyframes."""
    s = replace(s, cfg=1.0)  # with guidance, photos do not come back
    common = start(graph, s, prompts, guided=False)
    nothing = graph.add(
        "ConditioningZeroOut", "No negative", conditioning=common.prompts[0]
    )  # at CFG 1 nothing is drawn from it
    common = replace(common, optional=common.optional | {"negative": nothing[0]})
    steps = shared_number(graph, "Steps, both ways", round(s.inversion_steps * LEVEL))
    level = graph.add("PrimitiveFloat", "Noise level, both ways", value=LEVEL)[0]
    keyframes: list[Node] = []
    for letter, prompt, photo in zip("ABC", common.prompts, photos, strict=False):
        graph.begin_group(f"2{letter.lower()}. Choose photo {letter}, describe it in 1", PROMPTS)
        image = cropped_photo(graph, s, photo, letter)
        previous = keyframes[-1][0] if keyframes else None
        keyframes.append(
            image_keyframe(graph, common, image, prompt, (steps, level), letter, previous)
        )
    graph.begin_group("3. Render at an even pace", RENDER)
    film = morph_sampler(graph, s, common, keyframes[-1][0])
    film.inputs.update(steps=steps, denoise=level)
    return film, keyframes


def _save(graph: Graph, s: Settings, film: Node, name: str) -> None:
    graph.begin_group("4. Video", RESULT)
    save_film(graph, s, film[0], name)


def image_keyframe(
    graph: Graph,
    common: Common,
    image: Link,
    prompt: Link,
    way: tuple[int | Link, float | Link],
    letter: str,
    previous: Link | None,
) -> Node:
    """One photo behind another. way: steps and noise level."""
    inputs: dict[str, Any] = {} if previous is None else {"previous": previous}
    return graph.add(
        "GeodesicImageKeyframe",
        f"Photo {letter} as a keyframe",
        PHOTOS_ROOM,
        model=common.model,
        vae=common.vae,
        image=image,
        prompt=prompt,
        steps=way[0],
        noise_level=way[1],
        weight=1.0,
        **inputs,
    )
