"""geodesic/render: a morph rendered where the picture changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from comfy_api.latest import io

from ...geometry.path import Path
from ...geometry.perceptual import Steps
from ...geometry.placement import Rules
from ...geometry.times import MAX_FRAMES
from ..inputs import (
    MAX_SEED,
    RENDER,
    DensitySocket,
    ImagePathSocket,
    NoisePathSocket,
    StepsSocket,
    TimesSocket,
    as_paths,
    ending_input,
    path_input,
)
from ..internals import sampler_names, scheduler_names, without_ratios
from ..latents import FRAME_COUNT, FRAMES, repeat_latent
from ..metrics.weights import fingerprint
from ..newer import schema
from ..noise.images import ImagePath
from ..ui import figures, panel_data
from ..ui.status import LIVE, show_output, show_text
from .distances import DISTANCES, LATENT, Picture, default_distance
from .film import BRIDGES, STRONG, MorphRenderer, Progress, RenderedMorph
from .photo_frames import PHOTO_FRAMES, RENDERED, finish_of
from .sampling import FrameSampler, SamplerSettings

SHARE = 0.5


class GeodesicMorphSampler(io.ComfyNode):
    """A path and a sampler's settings → the frames of a morph at an even perceptual pace."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="GeodesicMorphSampler",
            display_name="Morph Sampler",
            category=RENDER,
            description="Renders a morph at an even pace: new frames go where the picture changes "
            "most, they share the early steps of their neighbours, and jumps are bridged. Looks "
            "like a KSampler with a path in the place of the prompt.",
            inputs=[
                io.Model.Input("model", tooltip="The model that renders the frames."),
                path_input(
                    "path",
                    "From Prompt Keyframe or Couple Prompts. Or the photos of Image Keyframe: then "
                    "their prompts, and the photos too.",
                    ImagePathSocket,
                ),
                io.Conditioning.Input("negative", tooltip="What all frames keep away from."),
                io.Latent.Input("latent", tooltip="One image: its size, or what to start from."),
                io.Vae.Input("vae", tooltip="Turns latents into images."),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=2,
                    max=MAX_FRAMES,
                    tooltip="Number of frames of the film, the way back included.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="Seed of the noise, which all frames share.",
                ),
                io.Int.Input(
                    "steps", default=20, min=1, max=1000, tooltip="Steps of the sampler, as usual."
                ),
                io.Float.Input(
                    "cfg",
                    default=7.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Guidance, as usual. The more of it, the more a morph jumps.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=sampler_names(),
                    default="euler",
                    tooltip="The sampler. Those that draw noise in every step (ancestral, SDE, "
                    "LCM) can't share steps and are refused.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=scheduler_names(),
                    default="normal",
                    tooltip="How the noise falls from step to step.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of the latent is replaced; 1 is all of it.",
                ),
                io.Float.Input(
                    "share",
                    default=SHARE,
                    min=0.0,
                    max=0.8,
                    step=0.05,
                    tooltip="Part of the steps that a new frame takes over from its neighbours. "
                    "More is faster; less lets a frame find a picture of its own.",
                ),
                io.Combo.Input(
                    "bridge",
                    options=list(BRIDGES),
                    default=STRONG,
                    tooltip="What happens where the picture jumps: 'off' leaves the cut, 'soft' "
                    "closes it with frames that begin later, 'strong' also blends late steps, "
                    "which is smoothest and least sharp.",
                ),
                io.Combo.Input(
                    "distance",
                    options=list(DISTANCES),
                    default=default_distance(),
                    tooltip="How frames are compared: by LPIPS (alex, vgg or squeeze; its weights "
                    "must be in models/lpips), or by their latents, which needs no file.",
                ),
                ending_input(),
                NoisePathSocket.Input(
                    "noise_path",
                    optional=True,
                    tooltip="Noises that change along the way, from Noise Keyframe. Without it the "
                    "seed's one noise serves all frames.",
                ),
                TimesSocket.Input(
                    "pace",
                    optional=True,
                    tooltip="Bends the even pace: the times of Morph Times are read as progress.",
                ),
                io.Float.Input(
                    "tolerance",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    round=False,
                    optional=True,
                    tooltip="Stop rendering when no step is larger; frames are then shown more "
                    "than once. 0 renders all frames.",
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=0,
                    min=0,
                    max=MAX_FRAMES,
                    optional=True,
                    tooltip="The most frames rendered at once; 0 is what fits into free memory.",
                ),
                DensitySocket.Input(
                    "density",
                    optional=True,
                    tooltip="Noised images along the way, from Density Path. Set denoise to its "
                    "noise level, and the scheduler to normal.",
                ),
                ImagePathSocket.Input(
                    "image_path",
                    optional=True,
                    tooltip="Photos along the way, from Image Keyframe, where the prompts of the "
                    "path are others than theirs. Set denoise to their noise_level, and the "
                    "scheduler to normal.",
                ),
                io.Combo.Input(
                    "photo_frames",
                    options=list(PHOTO_FRAMES),
                    default=RENDERED,
                    optional=True,
                    tooltip="Where a photo of the image path stands: the frame that the model "
                    "makes of it, or the photo itself, pasted into the images with an ease of two "
                    "frames on both sides. Latents stay as rendered.",
                ),
            ],
            outputs=[
                io.Image.Output("images", "images", tooltip="The frames of the film."),
                io.Latent.Output("latents", "latents", tooltip="Their latents, with one noise."),
                TimesSocket.Output("times", "times", tooltip="Where each frame is on the path."),
                # Ids of outputs and inputs must differ; people see the second name.
                StepsSocket.Output(
                    "steps_out", "steps", tooltip="All distances, for Compare Paths."
                ),
                io.Image.Output("chart", "chart", tooltip="The distance of every step."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, distance: str | None = None, **_: Any) -> list[str]:
        """The weights file that would be read: ComfyUI renders again when it is swapped."""
        return [] if distance == LATENT else fingerprint(distance)

    @classmethod
    def execute(
        cls,
        model: Any,
        path: Any,
        negative: Any,
        latent: dict[str, Any],
        vae: Any,
        frames: int,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        share: float,
        bridge: str,
        distance: str,
        ending: str,
        noise_path: Any = None,
        pace: Any = None,
        tolerance: float = 0.0,
        frames_per_batch: int = 0,
        density: Any = None,
        image_path: Any = None,
        photo_frames: str = RENDERED,
    ) -> io.NodeOutput:
        settings = SamplerSettings(seed, steps, cfg, sampler_name, scheduler, denoise)
        progress = Progress(model)
        prompts, photos = prompts_and_photos(path, image_path)
        finish = finish_of(photo_frames, photos)
        sampler = FrameSampler(
            model,
            prompts,
            negative,
            latent,
            settings,
            ending=ending,
            noise_path=noise_path,
            density=density,
            image_path=photos,
            frames_per_batch=frames_per_batch,
            progress=progress,
        )
        rules = Rules(
            frames,
            sampler.steps,
            ending,
            share=share,
            bridge=max(share, BRIDGES[bridge]),
            tolerance=tolerance,
        )
        renderer = MorphRenderer(sampler, decoder(vae), distance, progress, _live(cls), finish)
        film = renderer.run(rules, pace)
        show_text(cls, _status(film, distance, sampler.was_halved, sampler.frames_per_batch))
        return io.NodeOutput(
            film.images,
            film_latent(latent, film),
            film.times,
            film.steps,
            figures.steps_chart(film.steps),
            ui=panel_data.steps_chart(film.steps, [film.images], film.work),
        )


def prompts_and_photos(
    path: Any, image_path: ImagePath | None
) -> tuple[tuple[Path, ...], ImagePath | None]:
    """The paths of prompts, and the photos if there are any: `path` may be photos too."""
    if isinstance(path, ImagePath):
        return path.prompts, image_path or path
    return as_paths(path), image_path


def _live(cls: type[io.ComfyNode]) -> Callable[[Sequence[Picture], Steps], None]:
    """A function that shows the frames and steps so far in the running node."""

    def show(pictures: Sequence[Picture], steps: Steps) -> None:
        images = [picture.image[None] for picture in pictures]
        show_output(cls, LIVE, panel_data.steps_chart(steps, images))

    return show


def decoder(vae: Any) -> Any:
    """A VAE as a function from latents [F, C, ...] to images [F, H, W, 3] on the CPU."""

    def decode(samples: Any) -> Any:
        images = vae.decode(samples)
        return images.reshape(-1, *images.shape[-3:]).cpu()

    return decode


def film_latent(latent: dict[str, Any], film: RenderedMorph) -> dict[str, Any]:
    """The latents of all frames, with what Morph Schedule says of its own."""
    count = len(film.samples)
    which = {FRAMES: list(range(count)), FRAME_COUNT: count}
    return repeat_latent(without_ratios(latent), count) | {"samples": film.samples} | which


def _status(film: RenderedMorph, distance: str, halved: bool, batch: int) -> str:
    lines = [film.report]
    if distance == LATENT and default_distance() == LATENT:
        lines.append("Frames were compared by their latents, as no LPIPS weights are installed.")
    if halved:
        lines.append(f"Memory ran out, so frames were rendered {batch} at a time.")
    return "\n".join(lines)
