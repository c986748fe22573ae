"""The workflow `even_morph` for families other than SD1.5, with ComfyUI's own loaders and settings.

Sizes, samplers and guidance are those of ComfyUI's own templates for these families. Frames are
rendered as many at once as fit into memory, which Morph Sampler finds out.
"""

from __future__ import annotations

from dataclasses import replace

from .building_blocks import (
    PROMPTS,
    Common,
    even_film,
    start,
)
from .graph import Graph
from .settings import Settings

SDXL = "sd_xl_base_1.0.safetensors"
# With its three text encoders in the same file.
SD35 = "sd3.5_large_fp8_scaled.safetensors"
FLUX = "flux1-dev.safetensors"
FLUX_CLIPS = ("clip_l.safetensors", "t5xxl_fp16.safetensors")
FLUX_VAE = "ae.safetensors"
FLUX_GUIDANCE = 3.5
SIZE = 1024


def sdxl_morph(s: Settings) -> Graph:
    """SDXL: one checkpoint, like SD1.5."""
    s = replace(s, checkpoint=SDXL, size=SIZE)
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b], family="SDXL")
    return even_film(graph, s, common, "sdxl_morph")


def sd35_morph(s: Settings) -> Graph:
    """SD3.5: one checkpoint; latents with 16 channels."""
    s = replace(s, checkpoint=SD35, size=SIZE, cfg=4.0, scheduler="sgm_uniform")
    graph = Graph()
    prompts = [s.prompt_a, s.prompt_b]
    common = start(graph, s, prompts, family="SD3.5", empty="EmptySD3LatentImage")
    return even_film(graph, s, common, "sd35_morph")


def flux_morph(s: Settings) -> Graph:
    """Flux.1 dev: model, text encoders and VAE in files of their own; guidance in the prompt."""
    s = replace(s, size=SIZE, cfg=1.0, scheduler="simple")
    graph = Graph()
    return even_film(graph, s, _flux(graph, s), "flux_morph")


def _flux(graph: Graph, s: Settings) -> Common:
    graph.begin_group("1. Model and prompts", PROMPTS)
    model = graph.add("UNETLoader", "Flux.1 model", unet_name=FLUX, weight_dtype="default")
    clip = graph.add(
        "DualCLIPLoader",
        "Text encoders",
        clip_name1=FLUX_CLIPS[0],
        clip_name2=FLUX_CLIPS[1],
        type="flux",
        device="default",
    )
    vae = graph.add("VAELoader", "VAE", vae_name=FLUX_VAE)
    texts = {"A": s.prompt_a, "B": s.prompt_b}
    encoded = {
        letter: graph.add("CLIPTextEncode", f"Prompt {letter}", 60, clip=clip[0], text=text)[0]
        for letter, text in texts.items()
    }
    guided = [
        graph.add(
            "FluxGuidance", f"Guidance {letter}", conditioning=prompt, guidance=FLUX_GUIDANCE
        )[0]
        for letter, prompt in encoded.items()
    ]
    size = {"width": s.size, "height": s.size, "batch_size": 1}
    optional = {
        # At CFG 1 nothing is drawn from it.
        "negative": graph.add("ConditioningZeroOut", "No negative", conditioning=encoded["A"])[0],
        "latent": graph.add("EmptySD3LatentImage", "Size (one image)", **size)[0],
    }
    return Common(model[0], vae[0], guided, optional)
