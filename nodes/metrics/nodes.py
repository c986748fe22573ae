"""The nodes of geodesic/metrics: how smooth a morph is, and how to make its pace even."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui

from ...geometry.perceptual import BACKBONES, Steps
from ...geometry.times import MAX_FRAMES, Times, retime
from ..inputs import METRICS, CouplingSocket, StepsSocket, TimesSocket
from ..newer import schema
from ..prompt.tokens import texts_behind
from ..ui import figures, panel_data
from ..ui.status import show_note, show_text
from .export import Exported, save
from .measuring import measure_on_device
from .weights import fingerprint

LABELS = ("A", "B", "C", "D")
SQUARE_ROOT, AS_MEASURED = "square root", "as measured"


class GeodesicPathLength(io.ComfyNode):
    """Frames → LPIPS of consecutive ones. Raises what `measure_on_device` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
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
                    tooltip="At most so many frames are measured at once; fewer where memory is "
                    "short. The result stays the same.",
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
            ui=panel_data.steps_chart(steps, images),
        )


class GeodesicRetime(io.ComfyNode):
    """Times and their measured steps → times of equal steps (DiffMorpher, IMPUS)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
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
                io.Combo.Input(
                    "step_length",
                    options=[SQUARE_ROOT, AS_MEASURED],
                    default=SQUARE_ROOT,
                    # Prompts saved before this input existed must still run.
                    optional=True,
                    tooltip="What becomes equal from frame to frame: the square root of the "
                    "distance (LPIPS and the distance of latents are squares), or the distance "
                    "as measured.",
                ),
            ],
            outputs=[TimesSocket.Output("times_out", "times_out", tooltip="The new schedule.")],
        )

    @classmethod
    def execute(
        cls, times: Times, steps: Steps, frames: int, step_length: str = SQUARE_ROOT
    ) -> io.NodeOutput:
        power = length_power(steps, step_length)
        return io.NodeOutput(retime(times, steps.distances, frames, steps.closing, power))


def length_power(steps: Steps, step_length: str) -> float:
    """The power that turns a distance into a length; ValueError for an unknown `step_length`."""
    if step_length not in (SQUARE_ROOT, AS_MEASURED):
        raise ValueError(
            f"step_length: expected '{SQUARE_ROOT}' or '{AS_MEASURED}', got '{step_length}'."
        )
    return 0.5 if step_length == SQUARE_ROOT and steps.squared else 1.0


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
        return schema(
            node_id="GeodesicCompare",
            display_name="Compare Paths",
            category=METRICS,
            description="Up to four morphs in one chart and one table.",
            inputs=[*steps, *labels],
            outputs=[
                io.Image.Output(
                    "chart", "chart", tooltip="All steps, their means and the largest."
                ),
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
        warnings = comparison_warnings(paths)
        table = compare_table(paths, warnings)
        # The panel shows the table; what makes it worthless is also said under the node.
        show_note(cls, "\n".join(warnings))
        drawn = panel_data.compare_chart(paths) | ui.PreviewText(table).as_dict()
        return io.NodeOutput(figures.compare_chart(paths, warnings), table, ui=drawn)


def comparison_warnings(paths: Sequence[tuple[str, Steps]]) -> list[str]:
    """Why the numbers of these paths can't be compared: a sentence per reason."""
    frames = sorted({len(steps.distances) + 1 for _, steps in paths})
    found = []
    if len(frames) > 1:
        counts = ", ".join(map(str, frames[:-1])) + f" and {frames[-1]}"
        found.append(
            f"Warning: the paths have {counts} frames. Their means, sums and largest steps can't "
            "be compared."
        )
    if len({steps.metric for _, steps in paths}) > 1:
        found.append(
            "Warning: the paths were measured with different metrics. Their numbers can't be "
            "compared."
        )
    return found


def compare_table(paths: Sequence[tuple[str, Steps]], warnings: Sequence[str]) -> str:
    """A Markdown table of the statistics of each path, with the warnings as paragraphs below."""
    rows = [
        "| path | frames | PPL (mean) | largest | sum | PDV (variance) | smoothness | metric |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {label.replace('|', '/')} | {len(s.distances) + 1} | {s.mean:.5f} | {s.largest:.5f} | "
        f"{s.total:.5f} | {s.variance:.3e} | {s.smoothness:.4f} | {s.metric} |"
        for label, s in paths
    ]
    return "\n\n".join(["\n".join(rows), *warnings])


class GeodesicExport(io.ComfyNode):
    """Steps, coupling and times → JSON and CSV, as texts and as files in the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicExport",
            display_name="Export Measurements",
            category=METRICS,
            description="Writes what was measured and paired as JSON and CSV into ComfyUI's output "
            "folder, for pandas or a spreadsheet.",
            inputs=[
                io.String.Input(
                    "filename_prefix",
                    default="geodesic/measurements",
                    tooltip="Beginning of the files' names; a number is added.",
                ),
                StepsSocket.Input(
                    "steps", optional=True, tooltip="From Perceptual Path Length or Morph Sampler."
                ),
                CouplingSocket.Input("coupling", optional=True, tooltip="From Couple Prompts."),
                TimesSocket.Input("times", optional=True, tooltip="One time per frame."),
            ],
            outputs=[
                io.String.Output("json", "json", tooltip="All numbers with their names."),
                io.String.Output("csv", "csv", tooltip="The same as one long table."),
            ],
            # The words behind the rows are read from the graph.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, filename_prefix: str, steps: Any = None, coupling: Any = None, times: Any = None
    ) -> io.NodeOutput:
        if steps is None and coupling is None and times is None:
            raise ValueError(
                "steps, coupling, times: expected at least one of them, got none. Connect what is "
                "to be written."
            )
        exported = Exported(steps, coupling, times, texts_behind(cls, "coupling"))
        files = save(exported, filename_prefix)
        show_text(cls, "\n".join(file.name for file in files))
        return io.NodeOutput(exported.as_json(), exported.as_csv())
