"""A film in words against an encoder that is asked for every frame.

FizzNodes' batch schedules encode the current and the next prompt of every frame again and blend
both with weights. Here that is counted at its least: one call of the encoder for each frame, then
ComfyUI's ConditioningAverage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dev.comfyui.in_process import import_comfyui, pack_nodes
from dev.measure import Row, cost, readable
from dev.workflows.settings import SMALL

FRAMES = 240
COUNTS = (2, 3, 5)
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

    def plain(self, text: str) -> Tensor:
        """The rows of one prompt."""
        return self.encode_from_tokens_scheduled(self.tokenize(text))[0][0]


def rows(cpu: bool) -> list[Row]:
    nodes, pack = import_comfyui(cpu), pack_nodes()
    with torch.inference_mode():
        clip = Counting(nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)[1])
        film(pack, clip, 2)  # loads the encoder
        # Once for all rows: it is one call for each frame, however many prompts there are.
        theirs = measured(clip, lambda: frame_by_frame(nodes, clip, max(COUNTS)))
        return [_row(pack, clip, count, theirs) for count in COUNTS]


def _row(pack: Any, clip: Counting, count: int, theirs: Measured) -> Row:
    runs = [measured(clip, lambda: film(pack, clip, count)) for _ in range(3)]
    ours = sorted(runs, key=lambda run: run.taken)[1]
    first, last = (clip.plain(PROMPTS[k]) for k in (0, count - 1))
    exact = torch.equal(ours.ends[0], first) and torch.equal(ours.ends[1], last)
    return Row(
        f"a film of {count} prompts in words, {FRAMES} frames",
        f"{ours}; ends {'exact' if exact else 'not exact'}",
        str(theirs),
        f"{theirs.taken / ours.taken:.0f} (aim: at least 20)",
    )


@dataclass(frozen=True)
class Measured:
    """Calls of the encoder, seconds, bytes at the peak; the rows of the first and last frame."""

    calls: int
    taken: float
    used: int
    ends: tuple[Tensor, Tensor]

    def __str__(self) -> str:
        return f"{self.calls} calls, {readable(self.taken)}, {self.used / 2**20:.0f} MB"


def measured(clip: Counting, run: Callable[[], tuple[Tensor, Tensor]]) -> Measured:
    clip.calls = 0
    ends: list[tuple[Tensor, Tensor]] = []
    taken, used = cost(torch.device("cpu"), lambda: ends.append(run()))
    return Measured(clip.calls, taken, used, ends[0])


def places(count: int) -> list[int]:
    """The frames of the prompts."""
    return [round(k * (FRAMES - 1) / (count - 1)) for k in range(count)]


def film(pack: Any, clip: Counting, count: int) -> tuple[Tensor, Tensor]:
    """Prompt Path from Text and Morph Schedule; every batch is read, as a sampler does."""
    lines = zip(places(count), PROMPTS, strict=False)
    text = "\n".join(f"{place}: {prompt}" for place, prompt in lines)
    nodes = pack.schedule.nodes
    settings: dict[str, Any] = {"fps": 24.0, "before": "", "after": "", "seed": 0}
    settings |= {"method": "optimal transport", "ending": "stop"}
    made = nodes.GeodesicPromptText.execute(clip, text=text, frames=FRAMES, **settings)
    latent = {"samples": torch.zeros(1, 4, 64, 64)}
    positive = nodes.GeodesicSchedule.execute(made[0], made[1], latent, 8)[0]
    ends = [rows[[0, -1]] for rows in (entry[0] for (entry,) in positive)]
    return ends[0][:1], ends[-1][1:]


def frame_by_frame(nodes: Any, clip: Counting, count: int) -> tuple[Tensor, Tensor]:
    """A prompt encoded for each frame, and blended with the one of the frame before."""
    where, average = places(count), nodes.ConditioningAverage().addWeighted
    encoded, blended = None, []
    for frame in range(FRAMES):
        leg = min(sum(place <= frame for place in where), count - 1)
        previous, encoded = encoded, nodes.CLIPTextEncode().encode(clip, PROMPTS[leg])[0]
        share = (frame - where[leg - 1]) / (where[leg] - where[leg - 1])
        blended.append(average(encoded, previous or encoded, share)[0][0][0])
    joined = torch.cat(blended)
    return joined[:1], joined[-1:]
