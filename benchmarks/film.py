"""A film in words against an encoder that is asked for every frame.

FizzNodes' batch schedules encode the current and the next prompt of every frame again and blend
both with weights. Here that is counted at its least: one call of the encoder for each frame, then
ComfyUI's ConditioningAverage.
"""

from __future__ import annotations

from typing import Any

import torch

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, cost, readable
from dev.workflows.settings import SMALL

FRAMES = 240
PROMPTS = (
    "a large yellow star on a blue background",
    "a small red circle on a white background",
    "a large cyan heart on a black background",
    "two green squares on a pink background",
    "a small orange ring on a purple background",
)


class Counting:
    """A text encoder that counts its calls."""

    def __init__(self, clip: Any) -> None:
        self.clip, self.calls = clip, 0

    def tokenize(self, text: str) -> Any:
        return self.clip.tokenize(text)

    def encode_from_tokens_scheduled(self, tokens: Any) -> Any:
        self.calls += 1
        return self.clip.encode_from_tokens_scheduled(tokens)


def rows(cpu: bool) -> list[Row]:
    nodes, pack = import_comfyui(cpu), pack_nodes()
    with torch.inference_mode():
        clip = Counting(nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)[1])
        return [_row(nodes, pack, clip, count) for count in (2, 3, 5)]


def _row(nodes: Any, pack: Any, clip: Counting, count: int) -> Row:
    places = [round(k * (FRAMES - 1) / (count - 1)) for k in range(count)]
    text = "\n".join(f"{p}: {prompt}" for p, prompt in zip(places, PROMPTS, strict=False))
    latent = {"samples": torch.zeros(1, 4, 64, 64)}
    settings: dict[str, Any] = {"fps": 24.0, "before": "", "after": "", "seed": 0}
    settings |= {"method": "optimal transport", "ending": "stop"}

    def ours() -> Any:
        film = pack.schedule.nodes
        path, times, *_ = film.GeodesicPromptText.execute(
            clip, text=text, frames=FRAMES, **settings
        ).result
        return film.GeodesicSchedule.execute(path, times, latent, 8)

    def theirs() -> Any:
        encoded, blended = None, []
        for frame in range(FRAMES):
            leg = min(sum(place <= frame for place in places), count - 1)
            previous, encoded = encoded, nodes.CLIPTextEncode().encode(clip, PROMPTS[leg])[0]
            share = (frame - places[leg - 1]) / (places[leg] - places[leg - 1])
            average = nodes.ConditioningAverage().addWeighted
            blended.append(average(encoded, previous or encoded, share)[0][0][0])
        return torch.cat(blended)

    ours()  # loads the encoder
    calls, costs = [], []
    for run in (ours, theirs):
        clip.calls = 0
        costs.append(cost(torch.device("cpu"), run))
        calls.append(clip.calls)
    mine, others = [
        f"{called} calls, {readable(taken)}, {used / 2**20:.0f} MB"
        for called, (taken, used) in zip(calls, costs, strict=True)
    ]
    ratio = f"{costs[1][0] / costs[0][0]:.0f} (aim: at least 20)"
    return Row(f"a film of {count} prompts in words, {FRAMES} frames", mine, others, ratio)
