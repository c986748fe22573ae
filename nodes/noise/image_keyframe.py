"""The node Image Keyframe, apart from `nodes.py` because that file is long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from comfy_api.latest import io, ui
from torch import Tensor

from ..inputs import NOISE, ImagePathSocket, weight_input
from ..newer import schema
from ..ui.status import show_text
from . import images, inversion

SHOWN = 256  # pixels of a photo in the node


class GeodesicImageKeyframe(io.ComfyNode):
    """A photo, its prompt and a path of photos → the path that goes on to it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicImageKeyframe",
            display_name="Image Keyframe",
            category=NOISE,
            description="Appends a photo to a path of photos: finds the noise that makes it, and "
            "keeps it with its prompt. Shows the photos so far. Morph Sampler renders the path; in "
            "a loop the first photo's weight is that of the leg that leads back to it.",
            inputs=[
                io.Model.Input("model", tooltip="The model that will render the film."),
                io.Vae.Input("vae", tooltip="Turns the photo into a latent."),
                io.Image.Input("image", tooltip="One photo. All photos need the same size."),
                io.Conditioning.Input("prompt", tooltip="A prompt that describes the photo."),
                io.Int.Input(
                    "steps",
                    default=images.STEPS,
                    min=1,
                    max=inversion.MAX_STEPS,
                    tooltip="Steps from photo to noise, each corrected once. Morph Sampler takes "
                    "as many back.",
                ),
                io.Float.Input(
                    "noise_level",
                    default=images.NOISE_LEVEL,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of a photo becomes noise, the same for all photos and for "
                    "Morph Sampler's denoise. Flow models (SD3, Flux) need less than 1.",
                ),
                weight_input(),
                ImagePathSocket.Input(
                    "previous",
                    optional=True,
                    tooltip="The photos so far; leave it open at the first one.",
                ),
            ],
            outputs=[
                ImagePathSocket.Output(
                    "image_path", "image_path", tooltip="The path up to this photo."
                ),
                io.Float.Output(
                    "norm_ratio",
                    "norm_ratio",
                    tooltip="Norm of the photo's noise divided by that of unit noise.",
                ),
                io.Latent.Output(
                    "latent",
                    "latent",
                    tooltip="The photo's noise, for Density Path and Save Inversion.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        vae: Any,
        image: Any,
        prompt: Any,
        steps: int,
        noise_level: float,
        weight: float,
        previous: Any = None,
    ) -> io.NodeOutput:
        settings = images.PhotoSettings(steps, noise_level, weight)
        path, inverted = images.append_photo(model, vae, image, prompt, settings, previous)
        show_text(cls, inverted.report)
        shown = ui.PreviewImage(thumbnails(path.photos), cls=cls)
        return io.NodeOutput(path, inverted.worst_ratio, inverted.latent, ui=shown)


def thumbnails(photos: Sequence[Tensor]) -> Tensor:
    """Photos [H, W, 3] of one size as a batch [N, h, w, 3], at most `SHOWN` pixels wide or high."""
    pixels = torch.stack(list(photos)).movedim(-1, 1)
    share = min(1.0, SHOWN / max(pixels.shape[2:]))
    height, width = (max(1, round(side * share)) for side in pixels.shape[2:])
    small = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return small.clamp(0, 1).movedim(1, -1)
