"""The example workflows that travel from prompt to prompt."""

from __future__ import annotations

from typing import Any

from .building_blocks import (
    COMPARE_ROOM,
    COUPLINGS,
    GEOMETRY,
    RENDER,
    RESULT,
    cloud,
    couple,
    even_film,
    keyframes,
    path_length,
    prompt_keyframes,
    render,
    save_video,
    start,
    times,
)
from .graph import Graph
from .settings import Settings


def even_morph(s: Settings, name: str = "even_morph") -> Graph:
    """Two prompts → keyframes → Morph Sampler → CreateVideo → SaveVideo."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    return even_film(graph, s, common, name)


def two_prompt_morph(s: Settings) -> Graph:
    """Two prompts → keyframes → schedule → KSampler → VAE Decode → CreateVideo → SaveVideo."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    graph.begin_group("2. The shortest path", GEOMETRY)
    film = prompt_keyframes(graph, s, common.prompts)
    graph.begin_group("3. Render", RENDER)
    images = render(graph, s, common, film[0], film[1])
    graph.begin_group("4. Video", RESULT)
    save_video(graph, s, images[0], "two_prompt_morph")
    return graph


def compare_couplings(s: Settings) -> Graph:
    """Two prompts with three couplings, a column each: its cost, its frames, its steps."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b], shared_seed=True)
    graph.begin_group("2. Both prompts as rows", GEOMETRY)
    a, b = (cloud(graph, p, letter) for p, letter in zip(common.prompts, "AB", strict=True))
    when = times(graph, s.frames)
    steps = {}
    for letter, method in zip("abc", COUPLINGS, strict=True):
        graph.begin_group(f"3{letter}. {method}", RENDER)
        path = couple(graph, a, b, method)
        images = render(graph, s, common, path[0], when, f": {method}")
        graph.add("PreviewImage", f"Frames: {method}", 200, images=images[0])
        steps[method] = path_length(graph, s, images[0], f": {method}")[3]
    graph.begin_group("4. Side by side", RESULT)
    compare: dict[str, Any] = {"label_d": "D"}
    for letter, method in zip("abc", COUPLINGS, strict=True):
        compare |= {f"steps_{letter}": steps[method], f"label_{letter}": method}
    graph.add("GeodesicCompare", "Which morph is smoothest?", COMPARE_ROOM, **compare)
    return graph


def keyframes_constant_speed(s: Settings) -> Graph:
    """Three prompts in a loop: a coarse pass, which is measured and re-timed, and a dense pass."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b, s.prompt_c], shared_seed=True)
    graph.begin_group("2. Keyframes, as a loop", GEOMETRY)
    path = keyframes(graph, common.prompts)
    coarse = times(graph, s.frames, ending="loop")
    graph.begin_group("3. Coarse pass", RENDER)
    images = render(graph, s, common, path, coarse, ", coarse")
    measured = path_length(graph, s, images[0])
    graph.begin_group("4. Even pace", GEOMETRY)
    even = graph.add(
        "GeodesicRetime",
        "Constant perceptual speed",
        times=coarse,
        steps=measured[3],
        frames=3 * s.frames,
        step_length="square root",
    )
    graph.begin_group("5. Dense pass", RENDER)
    dense = render(graph, s, common, path, even[0], ", dense")
    again = path_length(graph, s, dense[0], " again")
    graph.begin_group("6. Result", RESULT)
    save_video(graph, s, dense[0], "keyframes_constant_speed")
    graph.add(
        "GeodesicCompare",
        "Before and after",
        COMPARE_ROOM,
        steps_a=measured[3],
        steps_b=again[3],
        label_a="coarse pass",
        label_b="re-timed",
        label_c="C",
        label_d="D",
    )
    return graph
