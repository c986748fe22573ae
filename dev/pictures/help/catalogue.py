"""The example that each node's help page shows."""

from __future__ import annotations

from collections.abc import Callable

from . import density, noise, prompt, written
from .tiles import Example

EXAMPLES: dict[str, Callable[[], Example]] = {
    "GeodesicMorphSampler": prompt.morph,
    "GeodesicPointCloud": prompt.point_cloud,
    "GeodesicConditioning": prompt.conditioning,
    "GeodesicCouple": prompt.coupling,
    "GeodesicBlend": prompt.blend,
    "GeodesicBarycenter": prompt.barycenter,
    "GeodesicKeyframe": prompt.keyframe,
    "GeodesicTimes": prompt.when,
    "GeodesicBeats": prompt.beats,
    "GeodesicSchedule": prompt.schedule,
    "GeodesicFrames": prompt.in_step,
    "GeodesicPromptText": written.text,
    "GeodesicKeyframes": written.connected,
    "GeodesicTimesToFloats": written.to_floats,
    "GeodesicFloatsToTimes": written.from_floats,
    "GeodesicExport": written.export,
    "GeodesicInvarianceTest": prompt.invariance,
    "GeodesicPathLength": prompt.measured,
    "GeodesicCompare": prompt.compare,
    "GeodesicRetime": prompt.retime,
    "GeodesicNoiseKeyframe": noise.keyframe,
    "GeodesicNoiseAlong": noise.along,
    "GeodesicNoiseCentroid": noise.centroid,
    "GeodesicNoiseGrid": noise.grid,
    "GeodesicInvert": noise.inverted,
    "GeodesicImageKeyframe": noise.photo_keyframe,
    "GeodesicSaveInversion": noise.kept,
    "GeodesicLoadInversion": noise.loaded,
    "GeodesicDensityPath": density.geodesic,
    "GeodesicDensityFrames": density.density_frames,
    "GeodesicDensityExtrapolate": density.extrapolated,
    "GeodesicDensityAnalysis": density.analysis,
    "GeodesicTextInversion": density.text_inversion,
}
