"""The pack's share of a whole morph's time, node by node, on a real server."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from dev.comfyui.environment import BASE
from dev.comfyui.server import Server
from dev.measure import Row
from dev.workflows.graph import Graph
from dev.workflows.prompt import two_prompt_morph
from dev.workflows.settings import SMALL, Settings
from scenes import checkpoint


def rows(cpu: bool) -> list[Row]:
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    settings = Settings(checkpoint=SMALL, size=128, cfg=4.0, seed=1)
    with Server(cpu=cpu) as server:
        # The first run also imports scipy and matplotlib, once for each server.
        share(server, two_prompt_morph(settings))
        second_settings = dataclasses.replace(settings, prompt_b="another prompt", seed=2)
        own, whole = share(server, two_prompt_morph(second_settings))
    frames = f"{settings.frames} frames of {settings.size}×{settings.size}, {settings.steps} steps"
    return [
        Row(
            f"this pack's share of a morph ({frames})",
            f"{own * 1000:.0f} ms",
            f"{whole:.1f} s (whole run)",
            f"{100 * own / whole:.2f} %",
        )
    ]


def share(server: Server, graph: Graph) -> tuple[float, float]:
    """Seconds spent in this pack's nodes and in the whole run."""
    types = {str(node.id): node.type for node in graph.nodes}
    marks: list[tuple[float, str | None]] = []

    def watch(event: str, data: dict[str, Any]) -> None:
        if event == "executing":
            marks.append((time.perf_counter(), data["node"]))

    start = time.perf_counter()
    server.run(graph.to_api(), watch)
    end = time.perf_counter()
    spans = zip(marks, [*marks[1:], (end, None)], strict=True)
    own = sum(b[0] - a[0] for a, b in spans if types.get(a[1] or "", "").startswith("Geodesic"))
    return own, end - start
