"""The example workflows that travel through noise."""

from __future__ import annotations

from typing import Any

from .building_blocks import (
    ALL,
    GEOMETRY,
    RENDER,
    RESULT,
    prompt_path,
    render_noise,
    save_video,
    shared_number,
    start,
    times,
)
from .graph import Graph, Link
from .settings import Settings


def keyframes(graph: Graph, seeds: list[int], latents: list[Link] | None = None) -> Link:
    """A chain of Noise Keyframe; `latents` are inverted images in place of the seeds."""
    path: Link | None = None
    for number, seed in enumerate(seeds, start=1):
        inputs: dict[str, Any] = {} if path is None else {"previous": path}
        if latents:
            inputs["latent"] = latents[number - 1]
        title = f"Noise {number}" + (", of the photo" if latents else "")
        path = graph.add("GeodesicNoiseKeyframe", title, seed=seed, weight=1.0, **inputs)[0]
    assert path is not None
    return path


def along(graph: Graph, path: Link, when: Link) -> Link:
    node = graph.add(
        "GeodesicNoiseAlong", "One noise per frame", 40, noise_path=path, times=when, method="COG"
    )
    return node[0]


def empty_frames(graph: Graph, s: Settings, count: Link) -> Link:
    """One empty latent for each frame, in batches."""
    latents = graph.add(
        "EmptyLatentImage",
        "Size, one for each frame",
        width=s.size,
        height=s.size,
        batch_size=count,
    )
    batches = graph.add(
        "RebatchLatents",
        "Frames rendered at once",
        latents=latents[0],
        batch_size=s.frames_per_batch or ALL,
    )
    return batches[0]


def seed_travel(s: Settings) -> Graph:
    """One prompt, four seeds in a loop: the noise changes, the prompt does not."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a], with_size=False)
    graph.begin_group("2. Four seeds, as a loop", GEOMETRY)
    path = keyframes(graph, [s.seed + k for k in range(4)])
    graph.begin_group("3. Noise of every frame", GEOMETRY)
    frames = shared_number(graph, "Number of frames", 2 * s.frames)
    noise = along(graph, path, times(graph, frames, ending="loop"))
    graph.begin_group("4. Render", RENDER)
    latents = empty_frames(graph, s, frames)
    images = render_noise(graph, s, common, common.prompts[0], noise, latents)
    graph.begin_group("5. Video", RESULT)
    save_video(graph, s, images, "seed_travel")
    return graph


def prompt_and_seed_travel(s: Settings) -> Graph:
    """Two prompts and two seeds: prompt and noise change together, at the same times."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    graph.begin_group("2. The path of the prompt", GEOMETRY)
    when = times(graph, s.frames, "ease in-out")
    positive, latents = prompt_path(graph, s, common, when)
    graph.begin_group("3. The path of the noise", GEOMETRY)
    noise = along(graph, keyframes(graph, [s.seed, s.seed + 1]), when)
    graph.begin_group("4. Render", RENDER)
    images = render_noise(graph, s, common, positive, noise, latents)
    graph.begin_group("5. Video", RESULT)
    save_video(graph, s, images, "prompt_and_seed_travel")
    return graph


def noise_grid(s: Settings) -> Graph:
    """One prompt on a plane through the space of five seeds, as one contact sheet."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a], with_size=False)
    graph.begin_group("2. Five seeds, numbered 0 to 4", GEOMETRY)
    path = keyframes(graph, [s.seed + k for k in range(5)])
    graph.begin_group("3. A plane: axes 1, 2 or 3, 4", GEOMETRY)
    columns = shared_number(graph, "Columns", 5)
    grid = graph.add(
        "GeodesicNoiseGrid",
        "The first seed in the middle",
        noise_path=path,
        rows=5,
        columns=columns,
        axis_x=1,
        axis_y=2,
        extent=1.0,
    )
    graph.begin_group("4. Render", RENDER)
    latents = empty_frames(graph, s, grid[1])
    images = render_noise(graph, s, common, common.prompts[0], grid[0], latents)
    graph.begin_group("5. Contact sheet", RESULT)
    single = graph.add("RebatchImages", "One by one", images=images, batch_size=1)
    sheet = graph.add(
        "ImageGrid",
        "Contact sheet",
        images=single[0],
        columns=columns,
        cell_width=256,
        cell_height=256,
        padding=4,
    )
    graph.add("SaveImage", "Save", 320, images=sheet[0], filename_prefix="geodesic/noise_grid")
    return graph
