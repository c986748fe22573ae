"""The ComfyUI layer: one explicit list of the nodes this pack brings."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .density import nodes as density_nodes
from .density.analysis_node import GeodesicDensityAnalysis
from .metrics import nodes as metrics_nodes
from .metrics.weights import register_folder
from .music import nodes as music_nodes
from .noise import nodes as noise_nodes
from .noise.image_keyframe import GeodesicImageKeyframe
from .prompt import nodes as prompt_nodes
from .render import nodes as render_nodes
from .schedule import nodes as schedule_nodes
from .times import nodes as times_nodes

NODES: list[type[io.ComfyNode]] = [
    prompt_nodes.GeodesicPointCloud,
    prompt_nodes.GeodesicConditioning,
    prompt_nodes.GeodesicCouple,
    prompt_nodes.GeodesicBlend,
    prompt_nodes.GeodesicKeyframe,
    times_nodes.GeodesicTimes,
    music_nodes.GeodesicBeats,
    schedule_nodes.GeodesicPromptText,
    schedule_nodes.GeodesicKeyframes,
    schedule_nodes.GeodesicSchedule,
    schedule_nodes.GeodesicFrames,
    times_nodes.GeodesicTimesToFloats,
    times_nodes.GeodesicFloatsToTimes,
    prompt_nodes.GeodesicBarycenter,
    prompt_nodes.GeodesicInvarianceTest,
    metrics_nodes.GeodesicPathLength,
    metrics_nodes.GeodesicRetime,
    metrics_nodes.GeodesicCompare,
    metrics_nodes.GeodesicExport,
    noise_nodes.GeodesicNoiseKeyframe,
    noise_nodes.GeodesicNoiseAlong,
    noise_nodes.GeodesicNoiseCentroid,
    noise_nodes.GeodesicNoiseGrid,
    noise_nodes.GeodesicInvert,
    GeodesicImageKeyframe,
    noise_nodes.GeodesicSaveInversion,
    noise_nodes.GeodesicLoadInversion,
    density_nodes.GeodesicDensityPath,
    density_nodes.GeodesicDensityFrames,
    density_nodes.GeodesicDensityExtrapolate,
    GeodesicDensityAnalysis,
    density_nodes.GeodesicTextInversion,
    render_nodes.GeodesicMorphSampler,
]


class GeodesicMorph(ComfyExtension):
    """The pack as ComfyUI sees it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        register_folder()
        return NODES
