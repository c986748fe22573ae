"""The example workflows that follow the model's probability density."""

from __future__ import annotations

from dataclasses import replace

from .building_blocks import (
    ALL,
    ANALYSIS_ROOM,
    GEOMETRY,
    PROMPTS,
    RENDER,
    RESULT,
    SEARCH_ROOM,
    Common,
    encoded_photo,
    keyframes,
    ksampler,
    path_length,
    prompt_path,
    sample_custom,
    save_video,
    shared_number,
    start,
    times,
)
from .graph import Graph, Link, Node
from .settings import Settings


def invert(
    graph: Graph, common: Common, prompt: Link, latent: Link, steps: Link, level: Link, of: str
) -> Link:
    inverted = graph.add(
        "GeodesicInvert",
        f"Invert {of}",
        40,
        model=common.model,
        conditioning=prompt,
        latent=latent,
        steps=steps,
        noise_level=level,
        refinements=1,
    )
    return inverted[0]


def shared(graph: Graph, s: Settings) -> tuple[Link, Link]:
    """Steps and noise level, shared by the inversion and by the render back."""
    steps = shared_number(graph, "Steps, both ways", round(s.inversion_steps * 0.6))
    return steps, graph.add("PrimitiveFloat", "Noise level, both ways", value=0.6)[0]


def density_path(
    graph: Graph, s: Settings, common: Common, prompts: list[Link], latents: list[Link]
) -> Node:
    return graph.add(
        "GeodesicDensityPath",
        "Through likely images",
        SEARCH_ROOM,
        model=common.model,
        path=keyframes(graph, prompts),
        negative=common.negative,
        latent_a=latents[0],
        latent_b=latents[1],
        frames=17,
        strength=s.strength,
        levels=s.levels,
        iterations=s.iterations,
        learning_rate=0.1,
        score="noise difference",
        seed=0,
        frames_per_batch=s.frames_per_batch,
        strength_unit="relative to size",
    )


def render_from(
    graph: Graph,
    common: Common,
    positive: Link,
    latents: Link,
    steps: Link,
    level: Link,
    label: str = "",
) -> Link:
    """Render from the noise level with the inversion's settings, unguided; returns the images."""
    guider = graph.add(
        "BasicGuider", f"No guidance{label}", model=common.model, conditioning=positive
    )
    sampler = graph.add("KSamplerSelect", f"Sampler{label}", sampler_name="euler")
    sigmas = graph.add(
        "BasicScheduler",
        f"Steps{label}",
        model=common.model,
        scheduler="normal",
        steps=steps,
        denoise=level,
    )
    noise = graph.add("DisableNoise", f"No added noise{label}")
    return sample_custom(
        graph, common.vae, noise[0], guider[0], sampler[0], sigmas[0], latents, label
    )


def image_to_image_geodesic(s: Settings) -> Graph:
    """Two photos, each with a prompt fitted to it; a density path, measured and re-timed."""
    graph = Graph()
    s = replace(s, negative=s.artefacts)
    common = start(graph, s, [s.prompt_a, s.prompt_b], with_size=False)
    steps, level = shared(graph, s)
    fitted, latents = [], []
    for letter, prompt, photo in zip("AB", common.prompts, s.photos, strict=True):
        graph.begin_group(f"2{letter.lower()}. Choose photo {letter}, describe it in 1", PROMPTS)
        latent = encoded_photo(graph, s, common, photo, letter)
        fit = graph.add(
            "GeodesicTextInversion",
            f"Fit prompt {letter} to photo {letter}",
            40,
            model=common.model,
            conditioning=prompt,
            latent=latent,
            steps=s.fitting_steps,
            learning_rate=0.005,
            seed=0,
        )
        fitted.append(fit[0])
        of = f"photo {letter}"
        latents.append(invert(graph, common, fit[0], latent, steps, level, of))
    graph.begin_group("3. The path", GEOMETRY)
    path = density_path(graph, s, common, fitted, latents)
    graph.begin_group("4. Coarse pass, measured", RENDER)
    coarse = render_from(graph, common, path[0], path[1], steps, level, ", coarse")
    measured = path_length(graph, s, coarse)
    graph.begin_group("5. Even pace", GEOMETRY)
    even = graph.add(
        "GeodesicRetime",
        "Constant perceptual speed",
        times=path[2],
        steps=measured[3],
        frames=2 * s.frames,
        step_length="square root",
    )
    frames = graph.add(
        "GeodesicDensityFrames",
        "The same path at these times",
        state=path[4],
        times=even[0],
        frames_per_batch=s.frames_per_batch,
    )
    graph.begin_group("6. Dense pass", RENDER)
    dense = render_from(graph, common, frames[0], frames[1], steps, level)
    graph.begin_group("7. Video", RESULT)
    save_video(graph, s, dense, "image_to_image_geodesic")
    return graph


def drawn_image(graph: Graph, s: Settings, common: Common, prompt: Link, letter: str) -> Link:
    """An image of a prompt, as a latent."""
    sampled = ksampler(graph, s, common, f"Image {letter}", prompt, common.latent)
    image = graph.add("VAEDecode", f"Decode {letter}", samples=sampled, vae=common.vae)
    graph.add("PreviewImage", f"Look at {letter}", 200, images=image[0])
    return sampled


def extrapolate(s: Settings) -> Graph:
    """Two images of one seed; the density path from A to B, and its extrapolation past B."""
    graph = Graph()
    s = replace(s, negative=s.artefacts)
    common = start(graph, s, [s.prompt_a, s.prompt_b], shared_seed=True)
    steps, level = shared(graph, s)
    latents = []
    for letter, prompt in zip("AB", common.prompts, strict=True):
        graph.begin_group(f"2{letter.lower()}. Image {letter}", RENDER)
        image = drawn_image(graph, s, common, prompt, letter)
        of = f"image {letter}"
        latents.append(invert(graph, common, prompt, image, steps, level, of))
    graph.begin_group("3. From A to B", GEOMETRY)
    path = density_path(graph, s, common, common.prompts, latents)
    graph.begin_group("4. Beyond B", GEOMETRY)
    extrapolated = graph.add(
        "GeodesicDensityExtrapolate",
        "Beyond B",
        40,
        model=common.model,
        state=path[4],
        negative=common.negative,
        frames=8,
        distance=0.5,
        steps=16,
        seed=0,
        direction="past the end",
        frames_per_batch=s.frames_per_batch,
    )
    graph.begin_group("5. Render A to B", RENDER)
    to_b = render_from(graph, common, path[0], path[1], steps, level, ", A to B")
    graph.begin_group("6. Render past B", RENDER)
    past_b = render_from(graph, common, extrapolated[0], extrapolated[1], steps, level, ", past B")
    graph.begin_group("7. Video", RESULT)
    first, last = (
        graph.add("RebatchImages", title, images=images, batch_size=ALL)[0]
        for title, images in (("Frames to B", to_b), ("Frames past B", past_b))
    )
    joined = graph.add("ImageBatch", "One after the other", image1=first, image2=last)
    save_video(graph, s, joined[0], "extrapolate")
    return graph


def is_this_clip_a_geodesic(s: Settings) -> Graph:
    """A clip (here a prompt morph), encoded again, and its analysis."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b])
    graph.begin_group("2. From prompt to prompt", GEOMETRY)
    positive, latents = prompt_path(graph, s, common, times(graph, 9))
    graph.begin_group("3. A clip; instead: Load Video", RENDER)
    sampled = ksampler(graph, s, common, "Render", positive, latents)
    images = graph.add("VAEDecode", "Decode", samples=sampled, vae=common.vae)
    graph.add("PreviewImage", "The clip", 200, images=images[0])
    graph.begin_group("4. Its frames as latents", GEOMETRY)
    encoded = graph.add("VAEEncode", "Encode", pixels=images[0], vae=common.vae)
    graph.begin_group("5. Is it a geodesic?", RESULT)
    graph.add(
        "GeodesicDensityAnalysis",
        "Is it a geodesic?",
        ANALYSIS_ROOM,
        model=common.model,
        positive=positive,
        negative=common.negative,
        latents=encoded[0],
        draws=4,
        perturbation=0.1,
        smoothing=1.0,
        seed=0,
        strength=s.strength,
        iterations=50,
        score="noise difference",
        strength_unit="relative to size",
    )
    return graph
