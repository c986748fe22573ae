"""What newer ComfyUIs are told of a node besides its schema: the words that people search for it,
which inputs are shown only on demand ("advanced"), and its place among the essential nodes.

ComfyUI 0.3.75 knows none of it, and its `Schema` refuses unknown fields: each field is given only
where the running version has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from comfy_api.latest import io

ESSENTIAL = "Video Generation"
# What a first morph is made of.
ESSENTIAL_NODES = ("GeodesicKeyframe", "GeodesicPromptText", "GeodesicMorphSampler")

TRAVEL = ["prompt travel", "interpolate", "tween", "morph", "transition"]
SCHEDULED = ["prompt schedule", "batch prompt schedule", "fizz", "deforum"]
SEEDS = ["seed travel", "slerp", "interpolate", "tween", "variation seed"]

ALIASES: dict[str, list[str]] = {
    "GeodesicPointCloud": ["prompt rows", "prompt embedding", "tokens"],
    "GeodesicConditioning": ["cloud to conditioning", "prompt embedding", "encode"],
    "GeodesicCouple": ["optimal transport", "match tokens", "align prompts", "wasserstein"],
    "GeodesicBlend": ["interpolate", "tween", "mix prompts", "lerp", "conditioning average"],
    "GeodesicKeyframe": [*TRAVEL, *SCHEDULED, "blend prompts"],
    "GeodesicTimes": ["easing", "ease in out", "curve", "timing", "pace", "loop"],
    "GeodesicBeats": ["music", "beat sync", "audio reactive", "bpm", "onset", "deforum"],
    "GeodesicPromptText": [*TRAVEL, *SCHEDULED, "animation prompts", "storyboard"],
    "GeodesicKeyframes": [*TRAVEL, *SCHEDULED, "storyboard", "blend prompts"],
    "GeodesicSchedule": [*TRAVEL, *SCHEDULED, "batch conditioning", "animation"],
    "GeodesicFrames": ["controlnet", "ip-adapter", "image sequence", "mask sequence", "hints"],
    "GeodesicTimesToFloats": ["value schedule", "lora strength", "weights per frame", "fizz"],
    "GeodesicFloatsToTimes": ["value schedule", "curve", "weights per frame", "fizz"],
    "GeodesicBarycenter": ["average prompts", "mix prompts", "blend prompts", "weighted prompts"],
    "GeodesicInvarianceTest": ["permutation", "order of words", "diagnosis"],
    "GeodesicPathLength": ["lpips", "smoothness", "jump", "flicker", "perceptual distance"],
    "GeodesicRetime": ["constant speed", "even pace", "time remap", "speed ramp", "smooth"],
    "GeodesicCompare": ["compare morphs", "which is smoother", "chart"],
    "GeodesicExport": ["csv", "json", "pandas", "save measurements"],
    "GeodesicNoiseKeyframe": [*SEEDS, "morph"],
    "GeodesicNoiseAlong": [*SEEDS, "blend noise", "washed out", "latent walk"],
    "GeodesicNoiseCentroid": ["average noise", "mix seeds", "blend noise", "variation seed"],
    "GeodesicNoiseGrid": ["seed grid", "xy plot", "contact sheet", "latent walk"],
    "GeodesicInvert": ["ddim inversion", "unsampler", "photo to noise", "real image"],
    "GeodesicImageKeyframe": ["photo morph", "image morph", "my own photos", "slideshow", "tween"],
    "GeodesicSaveInversion": ["save latent", "save noise", "keep inversion"],
    "GeodesicLoadInversion": ["load latent", "load noise", "inverted photo"],
    "GeodesicDensityPath": ["image morph", "photo morph", "interpolate images", "tween"],
    "GeodesicDensityFrames": ["more frames", "interpolate images", "tween"],
    "GeodesicDensityExtrapolate": ["extrapolation", "beyond", "exaggerate"],
    "GeodesicDensityAnalysis": ["likelihood", "score", "analyse clip"],
    "GeodesicTextInversion": ["textual inversion", "fit prompt", "prompt from image"],
    "GeodesicMorphSampler": [*TRAVEL, "ksampler", "morph video", "deforum", "smooth", "animate"],
}

# Inputs that a first morph does not need, and that most people never change.
ADVANCED: dict[str, set[str]] = {
    "GeodesicCouple": {"seed", "pin_first_row"},
    "GeodesicKeyframe": {"seed"},
    "GeodesicPromptText": {"seed"},
    "GeodesicKeyframes": {"seed"},
    "GeodesicSchedule": {"noise", "one_row_order", "first_frame", "frame_limit", "after_run"},
    "GeodesicPathLength": {"frames_per_batch"},
    "GeodesicRetime": {"step_length"},
    "GeodesicNoiseCentroid": {"method"},
    "GeodesicInvert": {"refinements"},
    "GeodesicDensityPath": {"levels", "learning_rate", "score", "seed", "frames_per_batch"},
    "GeodesicDensityFrames": {"frames_per_batch"},
    "GeodesicDensityExtrapolate": {"frames_per_batch"},
    "GeodesicDensityAnalysis": {"perturbation", "smoothing", "seed", "score"},
    "GeodesicTextInversion": {"learning_rate"},
    "GeodesicMorphSampler": {
        *("share", "distance", "tolerance", "frames_per_batch", "photo_frames"),
    },
}


def schema(*, node_id: str, inputs: Iterable[Any], **fields: Any) -> io.Schema:
    """ComfyUI's schema of a node, with all that the running ComfyUI understands of the above."""
    known = {field.name for field in dataclasses.fields(io.Schema)}
    offered: dict[str, Any] = {"search_aliases": ALIASES[node_id]}
    if node_id in ESSENTIAL_NODES:
        offered["essentials_category"] = ESSENTIAL
    by_id = {entry.id: entry for entry in inputs}
    for entry in (by_id[id] for id in ADVANCED.get(node_id, ())):
        if hasattr(entry, "advanced"):
            entry.advanced = True
    fields |= {name: value for name, value in offered.items() if name in known}
    return io.Schema(node_id=node_id, inputs=list(by_id.values()), **fields)
