"""The nodes of geodesic/noise: paths, mixes and planes of noises, and the noise of an image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...geometry.mixing_weights import normalised, parse_weights
from ...geometry.times import MAX_FRAMES
from ..inputs import (
    NOISE,
    NoisePathSocket,
    TimesSocket,
    seed_input,
    weight_input,
)
from ..internals import blocked
from ..latents import check_inverting_model, keyframe_noise
from ..newer import schema
from ..ui.status import show_text
from . import inversion, kept, mixed
from .path import NoiseKeyframe, NoisePath


class GeodesicNoiseKeyframe(io.ComfyNode):
    """A seed or an inverted image, and a path → the path that goes on to it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicNoiseKeyframe",
            display_name="Noise Keyframe",
            category=NOISE,
            description="Appends a noise to a path: the noise of a seed, or that of an inverted "
            "image. The first in a chain starts the path; in a loop its weight is that of the leg "
            "that leads back to it.",
            inputs=[
                seed_input(
                    "Seed of the noise, the same as in Random Noise and KSampler. Not used with an "
                    "inverted image."
                ),
                weight_input(),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="An image's noise from Invert Image, instead of the seed.",
                ),
                NoisePathSocket.Input(
                    "previous",
                    optional=True,
                    tooltip="The path so far; leave it open at the first keyframe.",
                ),
            ],
            outputs=[
                NoisePathSocket.Output(
                    "noise_path", "noise_path", tooltip="The path up to this keyframe."
                )
            ],
        )

    @classmethod
    def execute(
        cls, seed: int, weight: float, latent: Any = None, previous: Any = None
    ) -> io.NodeOutput:
        noise = None if latent is None else keyframe_noise(latent)
        path = NoisePath() if previous is None else previous
        return io.NodeOutput(path.append(NoiseKeyframe(seed, weight, noise)))


class GeodesicNoiseAlong(io.ComfyNode):
    """A noise path and times → one noise per frame (arXiv 2408.08558, equation 3)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicNoiseAlong",
            display_name="Noise Along",
            category=NOISE,
            description="One noise per frame along a path of noises, for SamplerCustomAdvanced. "
            "With the same times as a Morph Schedule, prompt and noise travel together.",
            inputs=[
                _noise_path(),
                TimesSocket.Input("times", tooltip="From Morph Times or Retime."),
                io.Combo.Input(
                    "method",
                    options=list(mixed.METHODS),
                    default=mixed.COG,
                    tooltip="COG gives every frame noise of full strength. SLERP nearly does. With "
                    "LERP the middle is too weak and looks washed out. NAO optimises for likely "
                    "norms; it is slow and meant for comparison.",
                ),
            ],
            outputs=[_noise("One noise per frame.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, noise_path: Any, times: Any, method: str) -> io.NodeOutput:
        noise = mixed.along(noise_path, times, method)
        show_text(cls, f"{method}: {len(noise_path.keyframes)} keyframes, {len(times)} frames")
        return io.NodeOutput(noise)


class GeodesicNoiseCentroid(io.ComfyNode):
    """All noises of a path → their weighted mix (arXiv 2408.08558, section 2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicNoiseCentroid",
            display_name="Noise Centroid",
            category=NOISE,
            description="The mix of all noises of a path: an image between all of them.",
            inputs=[
                _noise_path(),
                io.String.Input(
                    "weights",
                    default="",
                    tooltip="One number per keyframe, such as '0.5, 0.3, 0.2'; only their "
                    "proportions matter. Empty: all equal.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(mixed.CENTROIDS),
                    default=mixed.COG,
                    tooltip="COG gives a mix of the variance that the model expects. The others "
                    "are the plain mean (Euclidean), the mean scaled to variance 1 (standardised) "
                    "or to the likeliest norm (mode norm), and an optimised mix (NAO, slow).",
                ),
            ],
            outputs=[_noise("The mix. Each image of a batch gets a draw of its own.")],
        )

    @classmethod
    def execute(cls, noise_path: Any, weights: str, method: str) -> io.NodeOutput:
        shares = normalised(parse_weights(weights), len(noise_path.keyframes))
        return io.NodeOutput(mixed.centroid(noise_path, shares, method))


class GeodesicNoiseGrid(io.ComfyNode):
    """The span of K noises → a plane of rows × columns noises (arXiv 2408.08558, appendix C)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicNoiseGrid",
            display_name="Noise Grid",
            category=NOISE,
            description="A plane through the space that all noises of a path span: the first "
            "keyframe is in the middle, and two axes lead away from it. Connect frame_count to the "
            "batch_size of an empty latent, and Image Grid to the pictures.",
            inputs=[
                _noise_path(),
                _count("rows", "Pictures from top to bottom; an odd number has a middle."),
                _count("columns", "Pictures from left to right; an odd number has a middle."),
                _axis("axis_x", 1, "to the right of"),
                _axis("axis_y", 2, "below"),
                io.Float.Input(
                    "extent",
                    default=1.0,
                    min=0.01,
                    max=100.0,
                    step=0.05,
                    tooltip="How far the edges are from the middle, in lengths of one noise. At 1 "
                    "the middle of an edge is half the first keyframe, half the axis.",
                ),
            ],
            outputs=[
                _noise("One noise per picture, row by row."),
                io.Int.Output("frame_count", "frame_count", tooltip="rows × columns."),
            ],
        )

    @classmethod
    def execute(
        cls, noise_path: Any, rows: int, columns: int, axis_x: int, axis_y: int, extent: float
    ) -> io.NodeOutput:
        plane = mixed.plane(noise_path, rows, columns, (axis_x, axis_y), extent)
        return io.NodeOutput(plane, plane.frames)


class GeodesicInvert(io.ComfyNode):
    """An image → the noise that makes it: DDIM inversion (Song et al. 2020, arXiv 2010.02502)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicInvert",
            display_name="Invert Image",
            category=NOISE,
            description="Finds the noise that makes a given image: DDIM inversion without "
            "guidance. To get the image back, render with guidance 1, scheduler 'normal', sampler "
            "euler or ddim and the same number of steps.",
            inputs=[
                io.Model.Input("model", tooltip="The model that will render the noise again."),
                io.Conditioning.Input("conditioning", tooltip="A prompt that describes the image."),
                io.Latent.Input(
                    "latent", tooltip="The image, or a batch of images, from VAE Encode."
                ),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=inversion.MAX_STEPS,
                    tooltip="Steps from image to noise. Too few give noise of a wrong norm.",
                ),
                io.Float.Input(
                    "noise_level",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="1 goes all the way to pure noise, which Noise Keyframe needs. A lower "
                    "level stops where a sampler with that denoise starts.",
                ),
                io.Int.Input(
                    "refinements",
                    default=1,
                    min=0,
                    max=10,
                    optional=True,
                    tooltip="How often each step is corrected; 0 is plain DDIM. 50 steps with 1 "
                    "correction are as exact as 400 steps without, in a quarter of the time.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent_out", "latent_out", tooltip="The noise of the image."),
                io.Float.Output(
                    "norm_ratio",
                    "norm_ratio",
                    tooltip="Norm divided by that of unit noise. Near 1 the inversion can be "
                    "trusted. For a batch, the value furthest from 1.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        conditioning: Any,
        latent: Any,
        steps: int,
        noise_level: float,
        refinements: int = 0,  # prompts saved without this input were made by plain DDIM
    ) -> io.NodeOutput:
        inverted = inversion.invert(model, conditioning, latent, steps, noise_level, refinements)
        show_text(cls, inverted.report)
        return io.NodeOutput(inverted.latent, inverted.worst_ratio)


class GeodesicSaveInversion(io.ComfyNode):
    """An inverted image → a file that keeps its noise level, its model and its prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicSaveInversion",
            display_name="Save Inversion",
            category=NOISE,
            description="Keeps an inverted image in ComfyUI's output folder, so that it need not "
            "be inverted again. Unlike SaveLatent, it also keeps the noise level, which model "
            "was used, and the prompt.",
            inputs=[
                io.Latent.Input("latent", tooltip="The noise of an image, from Invert Image."),
                io.String.Input(
                    "filename_prefix",
                    default="geodesic/inversion",
                    tooltip="Beginning of the file's name; a number is added.",
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="The prompt of the inversion, to keep it in the same file.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent_out", "latent_out", tooltip="The latent, unchanged.")
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, latent: Any, filename_prefix: str, conditioning: Any = None) -> io.NodeOutput:
        show_text(cls, kept.save(latent, conditioning, filename_prefix).name)
        return io.NodeOutput(latent)


class GeodesicLoadInversion(io.ComfyNode):
    """A file of Save Inversion → the latent of Invert Image and its prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicLoadInversion",
            display_name="Load Inversion",
            category=NOISE,
            description="Loads an inverted image that Save Inversion has kept, for Noise Keyframe "
            "or Density Path.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=kept.kept_files(),
                    tooltip="The newest is on top. Press R to see files that were saved since the "
                    "page was opened.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that will render; a file of another model is refused.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", "latent", tooltip="The noise of the image."),
                io.Conditioning.Output(
                    "conditioning",
                    "conditioning",
                    tooltip="The prompt, if it was kept in the same file.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        try:
            kept.existing_file(file)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: Any) -> Any:
        found = kept.existing_file(file).stat()
        return found.st_mtime_ns, found.st_size

    @classmethod
    def execute(cls, file: str, model: Any = None) -> io.NodeOutput:
        loaded = kept.load(file)
        if model is not None:
            check_inverting_model(model, "file", loaded.latent)
        show_text(cls, loaded.summary)
        prompt = loaded.conditioning
        if prompt is None:
            prompt = blocked("file: it was saved without its prompt. Connect CLIP Text Encode.")
        return io.NodeOutput(loaded.latent, prompt)


def _noise_path() -> Any:
    return NoisePathSocket.Input(
        "noise_path", tooltip="From a chain of Noise Keyframe nodes, one for each noise."
    )


def _noise(tooltip: str) -> Any:
    return io.Noise.Output("noise", "noise", tooltip=tooltip)


def _count(id: str, tooltip: str) -> io.Int.Input:
    return io.Int.Input(id, default=5, min=1, max=64, tooltip=tooltip)


def _axis(id: str, default: int, side: str) -> io.Int.Input:
    return io.Int.Input(
        id,
        default=default,
        min=0,
        max=MAX_FRAMES,
        tooltip=f"The keyframe, counted from 0, that the pictures {side} the middle come to "
        "resemble. 0 is the first keyframe, the middle itself.",
    )
