"""Density paths: model evaluations by level, and the time that the search itself adds."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, paired, readable, seconds
from dev.workflows.settings import SMALL

LEVELS, ITERATIONS = 4, 10


def rows(cpu: bool) -> list[Row]:
    comfyui, pack = import_comfyui(cpu), pack_nodes()
    with torch.inference_mode():
        return [*_rows(comfyui, pack)]


def _rows(comfyui: Any, pack: Any) -> list[Row]:
    model, clip, _ = comfyui.CheckpointLoaderSimple().load_checkpoint(SMALL)

    def encode(text: str) -> Any:
        return comfyui.CLIPTextEncode().encode(clip, text)[0]

    prompts = [encode(text) for text in ("a red circle", "a yellow star")]
    ends = []
    for seed, prompt in enumerate(prompts):
        generator = torch.Generator().manual_seed(seed)
        latent = {"samples": torch.randn(1, 4, 8, 8, generator=generator)}
        ends.append(pack.noise.nodes.GeodesicInvert.execute(model, prompt, latent, 6, 0.6)[0])
    clouds = [pack.prompt.nodes.GeodesicPointCloud.execute(prompt)[0] for prompt in prompts]
    path = pack.prompt.nodes.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]

    def search(searched_model: Any, levels: int) -> Any:
        settings = (17, 0.1, levels, ITERATIONS, 0.1, "noise difference", 0)
        execute = pack.density.nodes.GeodesicDensityPath.execute
        return execute(searched_model, path, encode(""), *ends, *settings)

    return [*_levels(model, search), _overhead(model, search, prompts)]


def _levels(model: Any, search: Any) -> list[Row]:
    """The evaluations of each level, counted at the network, and 2 · points · iterations."""
    counted = model.clone()
    evaluations = [0]

    def count(apply: Any, arguments: dict[str, Any]) -> Any:
        evaluations[0] += len(arguments["input"])
        return apply(arguments["input"], arguments["timestep"], **arguments["c"])

    counted.set_model_unet_function_wrapper(count)
    result, count_before, time_before = [], 0, 0.0
    for level in range(1, LEVELS + 1):
        evaluations[0] = 0
        search(counted, level)
        points = 2**level - 1
        both_charts = 2 * 2 * (2**level + 1)  # the density of the path and of the great arc
        total = evaluations[0] - both_charts
        time = seconds(partial(search, model, level))
        expected = 2 * points * ITERATIONS
        result.append(
            Row(
                f"density path, level {level}, {ITERATIONS} iterations of {points}: evaluations "
                f"(left), 2 · points · iterations (right); it took {readable(time - time_before)}",
                str(total - count_before),
                str(expected),
                f"{(total - count_before) / expected:.2f}",
            )
        )
        count_before, time_before = total, time
    return result


def _overhead(model: Any, search: Any, prompts: list[Any]) -> Row:
    """A whole search, and the same evaluations by the bare network in the same batches."""
    inner = model.model
    rows = torch.cat([prompts[0][0][0], prompts[1][0][0]]).to(model.load_device)

    def bare() -> None:
        sizes = [2**level - 1 for level in range(1, LEVELS + 1) for _ in range(ITERATIONS)]
        for points in [*sizes, 17, 17]:
            x = torch.zeros(2 * points, 4, 8, 8, device=model.load_device)
            sigma = torch.full((2 * points,), 2.2, device=model.load_device)
            inner.apply_model(x, sigma, c_crossattn=rows[:1].expand(2 * points, -1, -1))

    what = f"density path of {LEVELS} levels, against its evaluations by the bare network"
    return paired(what, lambda: search(model, LEVELS), bare, 5)
