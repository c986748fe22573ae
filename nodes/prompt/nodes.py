"""The nodes of geodesic/prompt: prompts as point clouds, their paths, schedules for KSampler."""

from __future__ import annotations

from typing import Any

from comfy.utils import ProgressBar
from comfy_api.latest import io, ui

from ...geometry.barycenter import barycenter
from ...geometry.cloud import clouds_from_conditioning, conditioning_from_clouds, summary
from ...geometry.coupling import couple, relative_cost, total_cost
from ...geometry.mixing_weights import parse_weights
from ...geometry.path import Keyframe, Path, blend
from ..inputs import (
    PROMPT,
    Cloud,
    CouplingSocket,
    PathSocket,
    as_paths,
    check_entries,
    method_input,
    path_input,
    seed_input,
    weight_input,
)
from ..newer import schema
from ..ui import panel_data
from ..ui.heatmap import coupling_heatmap
from ..ui.status import show_note, show_text
from . import invariance
from .notes import padding_note, path_note
from .tokens import texts_of


class GeodesicPointCloud(io.ComfyNode):
    """CONDITIONING → one cloud per entry. Raises what `clouds_from_conditioning` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicPointCloud",
            display_name="Prompt to Point Cloud",
            category=PROMPT,
            description="Reads a prompt's conditioning as a point cloud: the model does not see "
            "the order of its rows.",
            inputs=[
                io.Conditioning.Input(
                    "conditioning", tooltip="A prompt, from CLIPTextEncode or any text encoder."
                )
            ],
            outputs=[
                Cloud.Output("cloud", "cloud", tooltip="The rows and all other keys, unchanged."),
                io.String.Output("summary", "summary", tooltip="Rows, width, norms, other keys."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, conditioning: Any) -> io.NodeOutput:
        clouds = clouds_from_conditioning(conditioning)
        text = summary(clouds)
        show_text(cls, text)
        return io.NodeOutput(clouds, text)


class GeodesicConditioning(io.ComfyNode):
    """Clouds → the CONDITIONING they were read from, bit for bit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicConditioning",
            display_name="Point Cloud to Prompt",
            category=PROMPT,
            description="The exact way back from a point cloud to a conditioning.",
            inputs=[Cloud.Input("cloud", tooltip="From Prompt to Point Cloud.")],
            outputs=[
                io.Conditioning.Output(
                    "conditioning", "conditioning", tooltip="The conditioning, bit for bit."
                )
            ],
        )

    @classmethod
    def execute(cls, cloud: Any) -> io.NodeOutput:
        return io.NodeOutput(conditioning_from_clouds(cloud))


class GeodesicCouple(io.ComfyNode):
    """Two prompts → their coupling, entry by entry (Which Way from B to A, section 4.1)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicCouple",
            display_name="Couple Prompts",
            category=PROMPT,
            description="Decides which row of one prompt becomes which row of the other. Optimal "
            "transport gives the shortest path between the two.",
            inputs=[
                Cloud.Input("source", tooltip="The prompt at t = 0."),
                Cloud.Input("target", tooltip="The prompt at t = 1."),
                method_input(),
                seed_input(),
                io.Boolean.Input(
                    "pin_first_row",
                    default=True,
                    tooltip="Pair the begin-of-text rows, which all prompts share, with each "
                    "other. Only used by 'random'.",
                ),
            ],
            outputs=[
                CouplingSocket.Output("coupling", "coupling", tooltip="The paired prompts."),
                io.Float.Output("cost", "cost", tooltip="Length of the path between the prompts."),
                io.Float.Output(
                    "relative_cost",
                    "relative_cost",
                    tooltip="Cost divided by the lowest possible cost; 1 is the geodesic.",
                ),
                io.Image.Output(
                    "heatmap",
                    "heatmap",
                    tooltip="Distances between all rows, with the pairs marked.",
                ),
            ],
            # The words behind the rows are read from the graph.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, source: Any, target: Any, method: str, seed: int, pin_first_row: bool
    ) -> io.NodeOutput:
        check_entries(source, target, ("source", "target"))
        couplings = tuple(
            couple(x, y, method, seed, pin_first_row) for x, y in zip(source, target, strict=True)
        )
        show_note(cls, padding_note(couplings))
        texts = texts_of(cls, ("source", "target"))
        return io.NodeOutput(
            couplings,
            total_cost(couplings),
            relative_cost(couplings),
            coupling_heatmap(couplings),
            ui=panel_data.coupling_charts(couplings, texts),
        )


class GeodesicBlend(io.ComfyNode):
    """A coupling → the prompt at t (Which Way from B to A, equation 3)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicBlend",
            display_name="Blend Prompts",
            category=PROMPT,
            description="The prompt at one time on the path between two coupled prompts.",
            inputs=[
                CouplingSocket.Input("coupling", tooltip="From Couple Prompts."),
                io.Float.Input(
                    "t",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="0 is the source prompt itself, 1 the target prompt itself.",
                ),
            ],
            outputs=[
                io.Conditioning.Output("conditioning", "conditioning", tooltip="The prompt at t.")
            ],
        )

    @classmethod
    def execute(cls, coupling: Any, t: float) -> io.NodeOutput:
        clouds = [blend(leg, t) for leg in coupling]
        return io.NodeOutput(conditioning_from_clouds(clouds))


class GeodesicKeyframe(io.ComfyNode):
    """A prompt and a path → the path that goes on to it. Raises what `couple` raises."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicKeyframe",
            display_name="Prompt Keyframe",
            category=PROMPT,
            description="Appends a prompt to a path. The first in a chain starts the path; in a "
            "loop its weight, method and seed describe the leg that leads back to it.",
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="The prompt at this keyframe."),
                weight_input(),
                method_input(),
                seed_input(),
                PathSocket.Input(
                    "previous",
                    optional=True,
                    tooltip="The path so far; leave it open at the first keyframe.",
                ),
            ],
            outputs=[PathSocket.Output("path", "path", tooltip="The path up to this keyframe.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, conditioning: Any, weight: float, method: str, seed: int, previous: Any = None
    ) -> io.NodeOutput:
        clouds = clouds_from_conditioning(conditioning)
        keyframes = [Keyframe(cloud, weight, method, seed) for cloud in clouds]
        if previous is None:
            return io.NodeOutput(tuple(Path((keyframe,)) for keyframe in keyframes))
        names = ("previous", "conditioning")
        check_entries(previous, keyframes, names)
        grown = [p.append(k, names) for p, k in zip(previous, keyframes, strict=True)]
        show_note(cls, path_note(grown))
        return io.NodeOutput(tuple(grown))


class GeodesicBarycenter(io.ComfyNode):
    """Keyframes → their weighted barycentre (Which Way from B to A, equation 4)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicBarycenter",
            display_name="Prompt Barycentre",
            category=PROMPT,
            description="The prompt in the middle of several: their Wasserstein barycentre.",
            inputs=[
                path_input("path", "The path whose keyframes are mixed."),
                io.String.Input(
                    "weights",
                    default="",
                    placeholder="0.5, 0.3, 0.2",
                    tooltip="One number per keyframe, separated by commas; empty means equal. "
                    "Only their proportions matter.",
                ),
            ],
            outputs=[
                io.Conditioning.Output("conditioning", "conditioning", tooltip="The mixed prompt.")
            ],
        )

    @classmethod
    def execute(cls, path: Any, weights: str) -> io.NodeOutput:
        parsed = parse_weights(weights)
        paths = as_paths(path)
        bar = ProgressBar(1)
        mixes = [
            barycenter([k.cloud for k in entry.keyframes], parsed, bar.update_absolute)
            for entry in paths
        ]
        return io.NodeOutput(conditioning_from_clouds([mix.cloud for mix in mixes]))


class GeodesicInvarianceTest(io.ComfyNode):
    """Does this model treat a prompt as a point cloud? Which Way from B to A, section 2.2."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicInvarianceTest",
            display_name="Test Row Invariance",
            category=PROMPT,
            description="Runs one denoising step with the prompt's rows permuted, and reports "
            "whether this model treats them as a point cloud, which justifies optimal transport.",
            inputs=[
                io.Model.Input("model", tooltip="The model to test."),
                io.Conditioning.Input("conditioning", tooltip="Any prompt with several words."),
                io.Latent.Input(
                    "latent", tooltip="Size of the test image; an empty latent will do."
                ),
                seed_input("Seed of the noise and of the permutation."),
            ],
            outputs=[
                io.String.Output("report", "report", tooltip="The result, in words."),
                io.Float.Output(
                    "relative_change",
                    "relative_change",
                    tooltip="Change of the result when the rows are permuted; 0 means invariant.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, model: Any, conditioning: Any, latent: dict[str, Any], seed: int
    ) -> io.NodeOutput:
        measured = invariance.measure_invariance(model, conditioning, latent, seed)
        show_text(cls, measured.report)
        return io.NodeOutput(measured.report, measured.permuted, ui=ui.PreviewText(measured.report))
