"""Parts that several example workflows share: models and prompts, rendering, video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .graph import Graph, Link, Node
from .settings import Settings

COUPLINGS = ("optimal transport", "row order", "random")
PROMPTS, GEOMETRY, RENDER, RESULT = "#3f789e", "#8a5aa5", "#88a05a", "#a1723f"
# The heights of the charts that nodes show after a run, and of the text below some of them.
CHART_ROOM = 314
# For the most rows that the chart of a coupling shows at once.
COUPLE_ROOM = 466
COMPARE_ROOM, SEARCH_ROOM, ANALYSIS_ROOM = 440, 400, 440
# A batch size that no path exceeds: all frames in one batch.
ALL = 4096


@dataclass(frozen=True)
class Common:
    """The nodes that every workflow starts with."""

    model: Link
    vae: Link
    prompts: list[Link]
    optional: dict[str, Link]
    # Of all renders; a link where there are several.
    seed: int | Link = 0

    @property
    def negative(self) -> Link:
        return self.optional["negative"]

    @property
    def latent(self) -> Link:
        return self.optional["latent"]


def start(
    graph: Graph,
    s: Settings,
    prompts: list[str],
    with_size: bool = True,
    guided: bool = True,
    shared_seed: bool = False,
    family: str = "SD1.5",
    empty: str = "EmptyLatentImage",
) -> Common:
    """Checkpoint and prompts; if guided, a negative prompt too; if with_size, an empty latent.

    shared_seed: the seed is a node of its own, for several renders. empty: the type of the node
    that makes the empty latent.
    """
    graph.begin_group("1. Model and prompts", PROMPTS)
    checkpoint = graph.add("CheckpointLoaderSimple", f"{family} checkpoint", ckpt_name=s.checkpoint)

    def encode(title: str, text: str) -> Link:
        return graph.add("CLIPTextEncode", title, 60, clip=checkpoint[1], text=text)[0]

    encoded = [encode(f"Prompt {x}", text) for x, text in zip("ABCD", prompts, strict=False)]
    optional = {}
    if guided:
        optional["negative"] = encode("Negative", s.negative)
    if with_size:
        size = {"width": s.size, "height": s.size, "batch_size": 1}
        optional["latent"] = graph.add(empty, "Size (one image)", **size)[0]
    seed = shared_number(graph, "Seed", s.seed) if shared_seed else s.seed
    return Common(checkpoint[0], checkpoint[2], encoded, optional, seed)


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
    sampled = ksampler(graph, s, common, f"Render{label}", schedule[0], schedule[1])
    return graph.add("VAEDecode", f"Decode{label}", samples=sampled, vae=common.vae)


def ksampler(
    graph: Graph, s: Settings, common: Common, title: str, positive: Link, latents: Link
) -> Link:
    """ComfyUI's own KSampler, with guidance; returns the latents."""
    sampled = graph.add(
        "KSampler",
        title,
        model=common.model,
        seed=common.seed,
        steps=s.steps,
        cfg=s.cfg,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        positive=positive,
        negative=common.negative,
        latent_image=latents,
        denoise=1.0,
    )
    return sampled[0]


def render_noise(
    graph: Graph, s: Settings, common: Common, positive: Link, noise: Link, latents: Link
) -> Link:
    """SamplerCustomAdvanced, which takes noise as an input → VAE Decode; returns the images."""
    guider = graph.add(
        "CFGGuider",
        "Guidance",
        model=common.model,
        positive=positive,
        negative=common.negative,
        cfg=s.cfg,
    )
    sampler = graph.add("KSamplerSelect", "Sampler", sampler_name="dpmpp_2m")
    sigmas = graph.add(
        "BasicScheduler",
        "Steps",
        model=common.model,
        scheduler="karras",
        steps=s.steps,
        denoise=1.0,
    )
    return sample_custom(graph, common.vae, noise, guider[0], sampler[0], sigmas[0], latents)


def sample_custom(
    graph: Graph,
    vae: Link,
    noise: Link,
    guider: Link,
    sampler: Link,
    sigmas: Link,
    latents: Link,
    label: str = "",
) -> Link:
    sampled = graph.add(
        "SamplerCustomAdvanced",
        f"Render{label}",
        noise=noise,
        guider=guider,
        sampler=sampler,
        sigmas=sigmas,
        latent_image=latents,
    )
    return graph.add("VAEDecode", f"Decode{label}", samples=sampled[0], vae=vae)[0]


def morph_sampler(graph: Graph, s: Settings, common: Common, path: Link) -> Node:
    """All frames of a path at an even pace, by the distance for which nothing is downloaded."""
    return graph.add(
        "GeodesicMorphSampler",
        "Morph Sampler",
        CHART_ROOM,
        model=common.model,
        path=path,
        negative=common.negative,
        latent=common.latent,
        vae=common.vae,
        frames=s.frames,
        seed=s.seed,
        steps=s.steps,
        cfg=s.cfg,
        sampler_name="euler",
        scheduler=s.scheduler,
        denoise=1.0,
        share=0.5,
        bridge="strong",
        distance="latent",
        ending="stop",
        tolerance=0.0,
        frames_per_batch=0,
    )


def save_video(graph: Graph, s: Settings, images: Link, name: str, **more: Link) -> None:
    """Batches of any size → one video."""
    joined = graph.add("RebatchImages", "Join the frames", images=images, batch_size=ALL)
    save_film(graph, s, joined[0], name, **more)


def save_film(graph: Graph, s: Settings, images: Link, name: str, **more: Link) -> None:
    """One batch → one video. more: links to Create Video's `fps` and `audio`."""
    inputs: dict[str, Any] = {"fps": s.fps, **more}
    video = graph.add("CreateVideo", "Video", images=images, **inputs)
    graph.add(
        "SaveVideo",
        "Save",
        360,
        video=video[0],
        filename_prefix=f"geodesic/{name}",
        format="auto",
        codec="auto",
    )


def even_film(graph: Graph, s: Settings, common: Common, name: str) -> Graph:
    """The rest of a workflow: from the prompts to a film at an even pace, and its video."""
    graph.begin_group("2. From prompt to prompt", GEOMETRY)
    path = keyframes(graph, common.prompts)
    graph.begin_group("3. Render at an even pace", RENDER)
    film = morph_sampler(graph, s, common, path)
    graph.begin_group("4. Video", RESULT)
    save_film(graph, s, film[0], name)
    return graph


def cloud(graph: Graph, prompt: Link, letter: str) -> Link:
    return graph.add("GeodesicPointCloud", f"Rows of prompt {letter}", 40, conditioning=prompt)[0]


def couple(graph: Graph, a: Link, b: Link, method: str) -> Node:
    return graph.add(
        "GeodesicCouple",
        f"Pair the rows: {method}",
        COUPLE_ROOM,
        source=a,
        target=b,
        method=method,
        seed=0,
        pin_first_row=True,
    )


def times(graph: Graph, frames: int | Link, easing: str = "linear", ending: str = "stop") -> Link:
    node = graph.add(
        "GeodesicTimes",
        "Times of the frames",
        frames=frames,
        easing=easing,
        ending=ending,
        curve="[[0, 0], [1, 1]]",
    )
    return node[0]


def keyframes(graph: Graph, prompts: Sequence[Link]) -> Link:
    """Prompts chained into a path by optimal transport, one after another."""
    path: Link | None = None
    for letter, prompt in zip("ABCD", prompts, strict=False):
        inputs: dict[str, Any] = {} if path is None else {"previous": path}
        inputs |= {"conditioning": prompt, "weight": 1.0, "method": COUPLINGS[0], "seed": 0}
        path = graph.add("GeodesicKeyframe", f"Keyframe {letter}", **inputs)[0]
    assert path is not None
    return path


def prompt_keyframes(graph: Graph, s: Settings, prompts: Sequence[Link]) -> Node:
    """All prompts in one node, at equal distances: a path, and the times of its frames."""
    connected: dict[str, Any] = {f"prompt_{k}": prompt for k, prompt in enumerate(prompts, 1)}
    return graph.add(
        "GeodesicKeyframes",
        "Prompts at their frames",
        120,
        frames="",
        length=s.frames,
        fps=s.fps,
        easing="ease in-out",
        method=COUPLINGS[0],
        seed=0,
        ending="stop",
        **connected,
    )


def path_length(graph: Graph, s: Settings, images: Link, label: str = "") -> Node:
    return graph.add(
        "GeodesicPathLength",
        f"Measure{label}",
        CHART_ROOM,
        images=images,
        backbone=s.backbone,
        frames_per_batch=16,
        download=False,
    )


def shared_number(graph: Graph, title: str, value: int) -> Link:
    """A number that several nodes share."""
    return graph.add("PrimitiveInt", title, value=value)[0]


def prompt_path(graph: Graph, s: Settings, common: Common, when: Link) -> tuple[Link, Link]:
    """One conditioning and one latent for each frame."""
    scheduled = graph.add(
        "GeodesicSchedule",
        "One prompt per frame",
        path=keyframes(graph, common.prompts),
        times=when,
        latent=common.latent,
        frames_per_batch=s.frames_per_batch,
    )
    return scheduled[0], scheduled[1]


def cropped_photo(graph: Graph, s: Settings, photo: str, letter: str) -> Link:
    """A photo, cropped to the size of the frames."""
    loaded = graph.add("LoadImage", f"Photo {letter}", 260, image=photo)
    scaled = graph.add(
        "ImageScale",
        f"Crop {letter}",
        image=loaded[0],
        upscale_method="lanczos",
        width=s.size,
        height=s.size,
        crop="center",
    )
    return scaled[0]


def encoded_photo(graph: Graph, s: Settings, common: Common, photo: str, letter: str) -> Link:
    """A photo, cropped to the size of the frames, as a latent."""
    cropped = cropped_photo(graph, s, photo, letter)
    return graph.add("VAEEncode", f"Encode {letter}", pixels=cropped, vae=common.vae)[0]
