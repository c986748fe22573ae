"""The example workflows, each written once: run by the demo and the tests, opened by artists.

python -m demo.workflows     writes example_workflows/*.json from what is below
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tomllib

from .environment import ROOT
from .graph import Graph, Link, Node

# ComfyUI's own default for SD1.5.
SD15 = "v1-5-pruned-emaonly-fp16.safetensors"
COUPLINGS = ("optimal transport", "row order", "random")
PROMPTS, GEOMETRY, RENDER, RESULT = "#3f789e", "#8a5aa5", "#88a05a", "#a1723f"


@dataclass(frozen=True)
class Settings:
    """What a person would change; the defaults are those of the shipped files."""

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
    backbone: str = "alex"
    fps: float = 12.0


# What the small checkpoint of this repository was made for: 64 pixels, its own words.
SMALL = "geodesic_small_sd15.safetensors"
SMALL_SETTINGS = Settings(
    checkpoint=SMALL,
    prompt_a="a large yellow star on a blue background",
    prompt_b="a pink background, a large red heart",
    prompt_c="on black, a big cyan ring in the middle",
    negative="",
    size=64,
    frames=24,
    cfg=4.0,
)


@dataclass(frozen=True)
class Common:
    """The nodes that every workflow starts with."""

    model: Link
    vae: Link
    negative: Link
    prompts: list[Link]
    latent: Link


def start(graph: Graph, s: Settings, prompts: list[str]) -> Common:
    graph.begin_group("1. Model and prompts", PROMPTS)
    checkpoint = graph.add("CheckpointLoaderSimple", "SD1.5 checkpoint", ckpt_name=s.checkpoint)
    encoded = [
        graph.add("CLIPTextEncode", f"Prompt {letter}", 60, clip=checkpoint[1], text=text)[0]
        for letter, text in zip("ABC", prompts, strict=False)
    ]
    negative = graph.add("CLIPTextEncode", "Negative", 60, clip=checkpoint[1], text=s.negative)
    latent = graph.add(
        "EmptyLatentImage", "Size (one image)", width=s.size, height=s.size, batch_size=1
    )
    return Common(checkpoint[0], checkpoint[2], negative[0], encoded, latent[0])


def render(
    graph: Graph, s: Settings, common: Common, path: Link, times: Link, label: str = ""
) -> Node:
    """Schedule → KSampler → VAE Decode; returns the decoder."""
    schedule = graph.add(
        "GeodesicSchedule",
        f"One prompt per frame{label}",
        path=path,
        times=times,
        latent=common.latent,
        frames_per_batch=s.frames_per_batch,
    )
    sampler = graph.add(
        "KSampler",
        f"Render{label}",
        model=common.model,
        seed=s.seed,
        steps=s.steps,
        cfg=s.cfg,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        positive=schedule[0],
        negative=common.negative,
        latent_image=schedule[1],
        denoise=1.0,
    )
    return graph.add("VAEDecode", f"Decode{label}", samples=sampler[0], vae=common.vae)


def save_video(graph: Graph, s: Settings, images: Link, name: str) -> None:
    """Batches of any size → one video."""
    # Batches as large as a schedule can be: all frames end up in one.
    joined = graph.add("RebatchImages", "Join the frames", images=images, batch_size=4096)
    video = graph.add("CreateVideo", "Video", images=joined[0], fps=s.fps)
    graph.add(
        "SaveVideo",
        "Save",
        360,
        video=video[0],
        filename_prefix=f"geodesic/{name}",
        format="auto",
        codec="auto",
    )


def cloud(graph: Graph, prompt: Link, letter: str) -> Link:
    return graph.add("GeodesicPointCloud", f"Rows of prompt {letter}", 70, conditioning=prompt)[0]


def couple(graph: Graph, a: Link, b: Link, method: str) -> Node:
    return graph.add(
        "GeodesicCouple",
        f"Pair the rows: {method}",
        260,
        source=a,
        target=b,
        method=method,
        seed=0,
        pin_first_row=True,
    )


def times(graph: Graph, frames: int, easing: str = "linear", ending: str = "stop") -> Link:
    node = graph.add(
        "GeodesicTimes",
        "When the morph is where",
        frames=frames,
        easing=easing,
        ending=ending,
        curve="[[0, 0], [1, 1]]",
    )
    return node[0]


def path_length(graph: Graph, s: Settings, images: Link, label: str = "") -> Node:
    return graph.add(
        "GeodesicPathLength",
        f"Measure{label}",
        230,
        images=images,
        backbone=s.backbone,
        frames_per_batch=16,
        download=False,
    )


def two_prompt_morph(s: Settings) -> Graph:
    """Two prompts → couple → schedule → KSampler → VAE Decode → CreateVideo → SaveVideo."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    graph.begin_group("2. The shortest path", GEOMETRY)
    a, b = (cloud(graph, p, letter) for p, letter in zip(common.prompts, "AB", strict=True))
    coupling = couple(graph, a, b, COUPLINGS[0])
    when = times(graph, s.frames, "ease in-out")
    graph.begin_group("3. Render", RENDER)
    images = render(graph, s, common, coupling[0], when)
    graph.begin_group("4. Video", RESULT)
    save_video(graph, s, images[0], "two_prompt_morph")
    return graph


def compare_couplings(s: Settings) -> Graph:
    """The same two prompts by three couplings: relative cost, PPL of each, one chart."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    graph.begin_group("2. Three ways to pair the rows", GEOMETRY)
    a, b = (cloud(graph, p, letter) for p, letter in zip(common.prompts, "AB", strict=True))
    when = times(graph, s.frames)
    coupled = [couple(graph, a, b, method) for method in COUPLINGS]
    graph.begin_group("3. Their cost (1 = shortest)", GEOMETRY)
    for method, node in zip(COUPLINGS, coupled, strict=True):
        graph.add("PreviewAny", f"Cost: {method}", 60, source=node[1])
        graph.add("PreviewAny", f"Relative cost: {method}", 60, source=node[2])
    steps = {}
    for number, (method, node) in enumerate(zip(COUPLINGS, coupled, strict=True), start=4):
        graph.begin_group(f"{number}. {method}", RENDER)
        images = render(graph, s, common, node[0], when, f": {method}")
        graph.add("PreviewImage", f"Frames: {method}", 200, images=images[0])
        steps[method] = path_length(graph, s, images[0], f": {method}")[3]
    graph.begin_group("7. Side by side", RESULT)
    compare: dict[str, Any] = {"label_d": "D"}
    for letter, method in zip("abc", COUPLINGS, strict=True):
        compare |= {f"steps_{letter}": steps[method], f"label_{letter}": method}
    chart = graph.add("GeodesicCompare", "Which morph is smoothest?", 260, **compare)
    graph.add("PreviewAny", "Table", 160, source=chart[1])
    return graph


def keyframes_constant_speed(s: Settings) -> Graph:
    """Three prompts in a loop: a coarse pass, measured, re-timed, and a dense pass to video."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b, s.prompt_c])
    graph.begin_group("2. Keyframes, as a loop", GEOMETRY)
    path: Link | None = None
    for letter, prompt in zip("ABC", common.prompts, strict=True):
        inputs: dict[str, Any] = {} if path is None else {"previous": path}
        inputs |= {"conditioning": prompt, "weight": 1.0, "method": COUPLINGS[0], "seed": 0}
        path = graph.add("GeodesicKeyframe", f"Keyframe {letter}", **inputs)[0]
    assert path is not None
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
    )
    graph.begin_group("5. Dense pass", RENDER)
    dense = render(graph, s, common, path, even[0], ", dense")
    again = path_length(graph, s, dense[0], " again")
    graph.begin_group("6. Result", RESULT)
    save_video(graph, s, dense[0], "keyframes_constant_speed")
    graph.add(
        "GeodesicCompare",
        "Before and after",
        260,
        steps_a=measured[3],
        steps_b=again[3],
        label_a="coarse pass",
        label_b="re-timed",
        label_c="C",
        label_d="D",
    )
    return graph


WORKFLOWS: dict[str, Callable[[Settings], Graph]] = {
    "two_prompt_morph": two_prompt_morph,
    "compare_couplings": compare_couplings,
    "keyframes_constant_speed": keyframes_constant_speed,
}


def pack_version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def as_text(name: str, schemas: dict) -> str:
    """The file of one example workflow, with the default settings."""
    workflow = WORKFLOWS[name](Settings()).to_workflow(schemas, pack_version())
    return json.dumps(workflow, indent=1) + "\n"


def main() -> None:
    from .server import Server

    with Server() as server:
        schemas = server.get("object_info")
    for name in WORKFLOWS:
        path = ROOT / "example_workflows" / f"{name}.json"
        path.write_text(as_text(name, schemas))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
