"""A 240-frame schedule against 240 calls of ComfyUI's own ConditioningAverage."""

from __future__ import annotations

import torch

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, paired

FRAMES = 240


def rows(cpu: bool) -> list[Row]:
    nodes, pack = import_comfyui(cpu), pack_nodes()
    generator = torch.Generator().manual_seed(0)
    rows, pooled = (torch.randn(2, 1, *shape, generator=generator) for shape in ((77, 768), (768,)))
    a, b = ([[rows[k], {"pooled_output": pooled[k]}]] for k in (0, 1))
    latent = {"samples": torch.zeros(1, 4, 64, 64)}
    prompt = pack.prompt.nodes
    clouds = [prompt.GeodesicPointCloud.execute(conditioning)[0] for conditioning in (a, b)]
    coupled = prompt.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]
    times = pack.times.nodes.GeodesicTimes.execute(FRAMES, "linear", "stop", "")[0]
    average = nodes.ConditioningAverage()

    def ours() -> list[torch.Tensor]:
        positive = pack.schedule.nodes.GeodesicSchedule.execute(coupled, times, latent, 0)[0]
        return [entry[0] for (entry,) in positive]  # made when they are read, as by a sampler

    def theirs() -> torch.Tensor:
        # Joined, as a sampler needs frames that are rendered together.
        return torch.cat([average.addWeighted(b, a, t)[0][0][0] for t in times.values])

    return [paired(f"{FRAMES} frames against {FRAMES} × ConditioningAverage", ours, theirs)]
