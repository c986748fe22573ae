"""The ComfyUI layer: one explicit list of the nodes this pack brings."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import density, density_tools, noise, paths, prompt
from .metrics import nodes as metrics_nodes
from .metrics.weights import register_folder

NODES: list[type[io.ComfyNode]] = [
    prompt.GeodesicPointCloud,
    prompt.GeodesicConditioning,
    prompt.GeodesicCouple,
    prompt.GeodesicBlend,
    paths.GeodesicKeyframe,
    paths.GeodesicTimes,
    paths.GeodesicSchedule,
    prompt.GeodesicBarycenter,
    prompt.GeodesicInvarianceTest,
    metrics_nodes.GeodesicPathLength,
    metrics_nodes.GeodesicRetime,
    metrics_nodes.GeodesicCompare,
    noise.GeodesicNoiseKeyframe,
    noise.GeodesicNoiseAlong,
    noise.GeodesicNoiseCentroid,
    noise.GeodesicNoiseGrid,
    noise.GeodesicInvert,
    density.GeodesicDensityPath,
    density.GeodesicDensityFrames,
    density.GeodesicDensityExtrapolate,
    density_tools.GeodesicDensityAnalysis,
    density_tools.GeodesicTextInversion,
]


class GeodesicMorph(ComfyExtension):
    """The pack as ComfyUI sees it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        register_folder()
        return NODES
