"""`make demo`: a morph video at an even pace, and three couplings compared with their measures.

Settings come from the environment, so that `make demo PROMPT_A="a cat" FRAMES=24` works.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from PIL import Image

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE, ROOT, locate
from dev.comfyui.models import find_checkpoint
from dev.comfyui.server import Server, ServerError
from dev.pictures.sheets import filmstrip
from dev.small_model.files import place
from dev.workflows.building_blocks import COUPLINGS
from dev.workflows.graph import Graph
from dev.workflows.prompt import compare_couplings, even_morph
from dev.workflows.settings import SMALL, SMALL_MODELS, SMALL_SETTINGS, Settings
from scenes.language import COLORS, SHAPES
from scenes.weights import WeightsError

OUTPUT = ROOT / "demo" / "output"
# How much optimal transport gained in each pair of the study, at the demo's guidance.
STUDY = ROOT / "study" / "results" / "prompts" / "guidance-4" / "standing.json"
PUBLISHED = "alexnet-owt-7be5be79.pth"
PORT = 8189
# On a terminal, progress overwrites its own line; elsewhere it is not shown.
CLEAR = "\r\033[K" if sys.stdout.isatty() else ""


@dataclass(frozen=True)
class Comparison:
    """One row of the demo's table, and the frames behind it."""

    method: str
    cost: float
    relative_cost: float
    ppl: str
    metric: str
    frames: list[Image.Image]


def main(environment: Mapping[str, str]) -> None:
    """Run the demo. ServerError and WeightsError say in one sentence what a person must fix."""
    settings = read_settings(environment)
    announce_checkpoint(settings)
    announce_backbone()
    port = read_integer(environment, "PORT", PORT, 1, 65535)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with Server(port) as server:
        morph = even_morph(settings)
        outputs = run(server, morph, "morph")
        line = pace(outputs[morph.find("Morph Sampler")]["geodesic_steps"][0])
        video = OUTPUT / "morph.mp4"
        video.write_bytes(server.fetch(outputs[morph.find("Save")]["images"][0]))
        graph = compare_couplings(settings)
        # The node draws its chart in the page; a file needs the IMAGE output.
        chart_image = graph.titled("Which morph is smoothest?")[0]
        graph.add("PreviewImage", "Chart", images=chart_image)
        outputs = run(server, graph, "comparison")
        rows = [comparison(server, graph, outputs, method) for method in COUPLINGS]
        chart = OUTPUT / "ppl_chart.png"
        file = outputs[graph.find("Chart")]["images"][0]
        chart.write_bytes(server.fetch(file))
    strip = OUTPUT / "filmstrip.png"
    label = "{}   relative cost {:.3f}"
    filmstrip({label.format(r.method, r.relative_cost): r.frames for r in rows}).save(strip)
    print(line, table(rows), sep="\n\n")
    if settings.checkpoint == SMALL:
        print("", *standing(rows, settings), sep="\n")
    print()
    for path in (video, strip, chart):
        print(path)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings from CHECKPOINT, TEXT_MODEL, PROMPT_A, PROMPT_B, FRAMES and SEED."""
    given = environment.get("CHECKPOINT")
    name = find_checkpoint(given) if given else read_text_model(environment)
    own = name in SMALL_MODELS.values()
    default = replace(SMALL_SETTINGS if own else Settings(), checkpoint=name)
    prompts = {
        name.lower(): environment.get(name) or getattr(default, name.lower())
        for name in ("PROMPT_A", "PROMPT_B")
    }
    return replace(
        default,
        **prompts,
        frames=read_integer(environment, "FRAMES", default.frames, 2, 4096),
        seed=read_integer(environment, "SEED", default.seed, 0, 2**64 - 1),
    )


def read_text_model(environment: Mapping[str, str]) -> str:
    """The small checkpoint with the text model of TEXT_MODEL."""
    asked = environment.get("TEXT_MODEL") or "written"
    for text_model, name in SMALL_MODELS.items():
        if asked == text_model:
            return name
    raise ServerError(f"TEXT_MODEL={asked}: expected one of {', '.join(SMALL_MODELS)}.")


def announce_checkpoint(settings: Settings) -> None:
    """If the small checkpoint is used, put it in place and say what it can draw."""
    if not place(settings.checkpoint):
        return
    print(
        "Using the small checkpoint of this repository (CHECKPOINT= takes your SD1.5). It draws "
        f"one or two of {', '.join(SHAPES)} in {', '.join(COLORS)}."
    )


def read_integer(
    environment: Mapping[str, str], name: str, default: int, lowest: int, highest: int
) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise ServerError(f"{name}={text}: expected a whole number from {lowest} to {highest}.")
    return int(text)


def announce_backbone() -> None:
    """Say which network measures: without published weights it is our own, under its own name."""
    homes = [base / "models" / "lpips" for base in (BASE, locate().comfyui)]
    if any((home / PUBLISHED).is_file() for home in homes):
        return
    lpips_weights.ensure(BASE / "models" / "lpips")
    print(
        f"No LPIPS weights ({PUBLISHED}) in {homes[0]}: measuring with this repository's scene "
        "classifier instead; table and chart show its name. LPIPS weighs channels as people judged "
        "for the published network, not for this one: compare values with each other alone."
    )


def run(server: Server, graph: Graph, what: str) -> dict[str, Any]:
    """Run a graph with its progress on one line."""
    titles = {str(node.id): node.title for node in graph.nodes}
    try:
        outputs = server.run(graph.to_api(), progress_line(what, titles))
    except ServerError as error:
        message = str(error).splitlines()[0]
        if message.startswith("CheckpointLoaderSimple"):
            message = f"ComfyUI can't load this CHECKPOINT ({message})"
        raise ServerError(f"The {what} failed: {message}") from error
    print(f"{CLEAR}{what}: done", flush=True)
    return outputs


def progress_line(
    what: str, titles: Mapping[str, str]
) -> Callable[[str, dict[str, Any]], None] | None:
    def show(event: str, data: dict[str, Any]) -> None:
        if event == "progress":
            title = titles.get(str(data["node"]), "")
            print(f"{CLEAR}{what}: {title} {data['value']}/{data['max']}", end="", flush=True)

    return show if CLEAR else None


def pace(steps: Mapping[str, Any]) -> str:
    """What Morph Sampler's panel shows, in words."""
    frames = len(steps["distances"]) + 1
    return (
        f"Morph Sampler: {frames} frames for {steps['work']:.0%} of the work of plain renders; "
        f"largest step {steps['largest']:.3g}, mean {steps['mean']:.3g} "
        f"({steps['metric']})"
    )


def comparison(server: Server, graph: Graph, outputs: Mapping[str, Any], method: str) -> Comparison:
    lines = outputs[graph.find("Which morph is smoothest?")]["text"][0].splitlines()
    (line,) = (line for line in lines if line.startswith(f"| {method} |"))
    head, row = ([cell.strip() for cell in one.strip("|").split("|")] for one in (lines[0], line))
    measured = dict(zip(head, row, strict=True))
    chart = outputs[graph.find(f"Pair the rows: {method}")]["geodesic_coupling"][0]
    files = outputs[graph.find(f"Frames: {method}")]["images"]
    return Comparison(
        method=method,
        cost=as_number(chart["cost"]),
        relative_cost=as_number(chart["relative_cost"]),
        ppl=measured["PPL (mean)"],
        metric=measured["metric"],
        frames=[Image.open(io.BytesIO(server.fetch(file))).convert("RGB") for file in files],
    )


def as_number(value: float | None) -> float:
    """A panel's number; JSON has no infinity, so panels get None instead."""
    return inf if value is None else value


def table(rows: list[Comparison]) -> str:
    lines = [f"{'coupling':<18} {'cost':>9} {'relative cost':>14} {'PPL':>9}  metric"]
    lines += [
        f"{row.method:<18} {row.cost:>9.3f} {row.relative_cost:>14.4f} {row.ppl:>9}  {row.metric}"
        for row in rows
    ]
    return "\n".join(lines)


def standing(rows: Sequence[Comparison], settings: Settings, file: Path = STUDY) -> list[str]:
    """Where this pair of prompts stands among those of the study: one example proves little."""
    study = json.loads(file.read_text())
    optimal, *others = rows
    if not float(optimal.ppl):
        return ["Optimal transport shows no change at all here, so nothing can be divided by it."]
    lines = [
        "Is this pair typical? PPL divided by that of optimal transport, beside pairs of different",
        f"scenes in the study ({study['frames']} frames in {study['steps']} steps there, "
        f"{settings.frames} in {settings.steps} here):",
    ]
    for row in others:
        ratios = study["ratios"][row.method]
        shown = f"{float(row.ppl) / float(optimal.ppl):.2f}"
        count = sum(ratio >= float(shown) for ratio in ratios)
        lines.append(
            f"{row.method}: {shown} times (at least as much in {count} of {len(ratios)} pairs of "
            f"the study, median {statistics.median(ratios):.2f})"
        )
    return lines


if __name__ == "__main__":
    try:
        main(os.environ)
    except (ServerError, WeightsError) as error:
        sys.exit(f"\ndemo: {error}")
