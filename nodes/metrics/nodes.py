"""The nodes of geodesic/metrics: how smooth a morph is, and how to make its pace even."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui

from ...geometry.perceptual import BACKBONES, Steps
from ...geometry.times import MAX_FRAMES, Times, retime
from ..inputs import METRICS, StepsSocket, TimesSocket
from ..ui import figures, panels
from ..ui.status import show_text
from .measuring import measure_on_device
from .weights import fingerprint

LABELS = ("A", "B", "C", "D")


class GeodesicPathLength(io.ComfyNode):
    """Frames → LPIPS of consecutive ones. Raises what `measure_on_device` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicPathLength",
            display_name="Perceptual Path Length",
            category=METRICS,
            description="Measures how far consecutive frames look apart (LPIPS), so that morphs "
            "can be compared and re-timed.",
            inputs=[
                io.Image.Input(
                    "images",
                    tooltip="All frames of the morph, in order. A list is measured as one path.",
                ),
                io.Combo.Input(
                    "backbone",
                    options=list(BACKBONES),
                    default="alex",
                    tooltip="The network that compares frames: alex is fast and the usual choice, "
                    "vgg is often used for losses, squeeze is the smallest. Weights come from "
                    "ComfyUI's models/lpips folder.",
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=16,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Frames measured at once. Lower it when memory runs out; the result "
                    "stays the same.",
                ),
                io.Boolean.Input(
                    "download",
                    default=False,
                    # Prompts saved before this input existed must still run.
                    optional=True,
                    tooltip="Allow this node to fetch the backbone's weights from "
                    "download.pytorch.org into models/lpips when they are missing.",
                ),
            ],
            outputs=[
                io.Float.Output("ppl", "ppl", tooltip="Mean distance of consecutive frames."),
                io.Float.Output("total", "total", tooltip="Sum: the length of the morph."),
                io.Float.Output("pdv", "pdv", tooltip="Variance: 0 at an even pace."),
                StepsSocket.Output("steps", "steps", tooltip="All distances, for Retime, Compare."),
                io.Image.Output("chart", "chart", tooltip="The distance of every step."),
            ],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, backbone: Sequence[str | None] = (None,), **_: Any) -> list[str]:
        """The weights file that would be read: ComfyUI measures again when it is swapped."""
        return fingerprint(backbone[0] if backbone else None)

    @classmethod
    def execute(
        cls,
        images: list[Any],
        backbone: list[str],
        frames_per_batch: list[int],
        download: Sequence[bool] = (False,),
    ) -> io.NodeOutput:
        steps = measure_on_device(images, backbone[0], frames_per_batch[0], download[0])
        return io.NodeOutput(
            steps.mean,
            steps.total,
            steps.variance,
            steps,
            figures.steps_chart(steps),
            ui=panels.steps_chart(steps, images),
        )


class GeodesicRetime(io.ComfyNode):
    """Times and their measured steps → times of equal steps (DiffMorpher, IMPUS)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GeodesicRetime",
            display_name="Retime to Constant Speed",
            category=METRICS,
            description="Computes times at which the morph runs at an even perceptual pace, from a "
            "coarse pass and its measured steps.",
            inputs=[
                TimesSocket.Input("times", tooltip="The times of the coarse pass."),
                StepsSocket.Input(
                    "steps", tooltip="The steps of the coarse pass, from Perceptual Path Length."
                ),
                io.Int.Input(
                    "frames",
                    default=48,
                    min=1,
                    max=MAX_FRAMES,
                    tooltip="Number of frames of the final pass.",
                ),
            ],
            outputs=[TimesSocket.Output("times_out", "times_out", tooltip="The new schedule.")],
        )

    @classmethod
    def execute(cls, times: Times, steps: Steps, frames: int) -> io.NodeOutput:
        return io.NodeOutput(retime(times, steps.distances, frames, steps.closing))


class GeodesicCompare(io.ComfyNode):
    """Up to four measured paths → one chart and one table."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        steps = [
            StepsSocket.Input(
                f"steps_{letter.lower()}",
                optional=letter != "A",
                tooltip=f"Perceptual Path Length of path {letter}.",
            )
            for letter in LABELS
        ]
        labels = [
            io.String.Input(
                f"label_{letter.lower()}",
                default=letter,
                tooltip=f"Name of path {letter} in chart and table.",
            )
            for letter in LABELS
        ]
        return io.Schema(
            node_id="GeodesicCompare",
            display_name="Compare Paths",
            category=METRICS,
            description="Up to four morphs in one chart and one table.",
            inputs=[*steps, *labels],
            outputs=[
                io.Image.Output("chart", "chart", tooltip="Steps of all paths, and their means."),
                io.String.Output("table", "table", tooltip="All statistics, as a Markdown table."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        letters = [letter.lower() for letter in LABELS]
        paths = [
            (inputs.get(f"label_{x}", x.upper()), inputs[f"steps_{x}"])
            for x in letters
            if inputs.get(f"steps_{x}") is not None
        ]
        table = compare_table(paths)
        # A table does not fit under a node; one line per path does.
        show_text(cls, "\n".join(f"{label}: PPL {s.mean:.4f}" for label, s in paths))
        drawn = panels.compare_chart(paths) | ui.PreviewText(table).as_dict()
        return io.NodeOutput(figures.compare_chart(paths), table, ui=drawn)


def compare_table(paths: list[tuple[str, Steps]]) -> str:
    """A Markdown table of the statistics of each path."""
    rows = [
        "| path | PPL (mean) | sum | PDV (variance) | largest | smoothness | metric |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {label.replace('|', '/')} | {s.mean:.5f} | {s.total:.5f} | {s.variance:.3e} | "
        f"{s.largest:.5f} | {s.smoothness:.4f} | {s.metric} |"
        for label, s in paths
    ]
    return "\n".join(rows)
