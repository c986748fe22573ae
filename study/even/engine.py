"""A checkpoint on ComfyUI's own sampling, and all else that is loaded once for a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.small_model.painter import Painter
from dev.workflows.settings import SMALL, SMALL_MODELS
from scenes import checkpoint as small_checkpoint
from scenes import classifier
from scenes.checkpoint import TextModel

from ..prompts.plan import OPTIMAL
from .frames import Frame, lpips_distance

PUBLISHED = "LPIPS alex"  # the name of the metric on torchvision's own weights


@dataclass(frozen=True)
class Settings:
    """How a picture is sampled."""

    steps: int = 20
    guidance: float = 4.0
    sampler: str = "euler"
    scheduler: str = "karras"
    seed: int = 42


# The rows of a path at some times: for each group of frames that can be one batch, which of the
# times they are, rows [F, N, D], and the dictionary beside them.
Group = tuple[Sequence[int], Tensor, dict[str, Any]]
Rows = Callable[[Sequence[float]], list[Group]]


class Engine:
    """ComfyUI with a checkpoint, LPIPS and the judge of scenes.

    size: width and height of pictures in pixels. The small checkpoints (the default; TextModel) run
    on the CPU, in the type of `in_fastest_type`; any other one where ComfyUI puts it, with the
    published LPIPS alone. Raises ValueError where that is missing.
    """

    def __init__(
        self,
        threads: int = 1,
        checkpoint: str = SMALL,
        settings: Settings = Settings(),
        size: int = 64,
    ) -> None:
        torch.set_num_threads(threads)
        self.settings, self.size = settings, size
        names: dict[str, TextModel] = {file: name for name, file in SMALL_MODELS.items()}
        text_model = names.get(checkpoint)
        if text_model is not None:
            small_checkpoint.ensure(BASE / "models" / "checkpoints" / checkpoint, text_model)
            lpips_weights.ensure(BASE / "models" / "lpips")
        self.painter = Painter(checkpoint, cpu=text_model is not None)
        if text_model is not None:
            in_fastest_type(self.painter.model.model)
        # Found only after the painter has loaded ComfyUI.
        import comfy.model_management
        import comfy.samplers
        import comfy.utils

        from geodesic_morph.geometry import (
            cloud,
            coupling,
            path,
            perceptual,
            placement,
            playback,
            times,
        )
        from geodesic_morph.nodes.metrics import weights as lpips_files

        comfy.utils.set_progress_bar_enabled(False)
        self.cloud, self.coupling, self.path = cloud, coupling, path
        self.placement, self.playback, self.times = placement, playback, times
        self.samplers = comfy.samplers
        self.negative = self.encode("")
        backbone = lpips_files.load_backbone("alex")
        if text_model is None and backbone.metric != PUBLISHED:
            raise ValueError(
                f"lpips: expected the published weights for {checkpoint}, got {backbone.metric}. "
                f"{lpips_files.missing('alex')}."
            )
        device = torch.device("cpu") if text_model else comfy.model_management.get_torch_device()
        network = perceptual.lpips_network("alex", backbone.weights).to(device)
        self.lpips = lpips_distance(perceptual, network, device)
        self.judge = classifier.load()

    def encode(self, text: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, text)[0]

    def couple(self, caption_a: str, caption_b: str, method: str = OPTIMAL, seed: int = 0) -> Any:
        """A coupling of two captions' rows. seed: of a random one."""
        read = self.cloud.clouds_from_conditioning
        a, b = (read(self.encode(caption))[0] for caption in (caption_a, caption_b))
        return self.coupling.couple(a, b, method, seed)

    def renderer(self, caption_a: str, caption_b: str) -> SmallRenderer:
        """Renders along the optimal path between two captions."""
        return self.along(self.couple(caption_a, caption_b))

    def along(self, coupling: Any, settings: Settings | None = None) -> SmallRenderer:
        """Renders along a coupling's path."""
        path = self.path.path_of_coupling(coupling)

        def rows(times: Sequence[float]) -> list[Group]:
            (at,) = self.path.sample(path, times)
            return [(range(len(times)), at.points, at.extras)]

        return SmallRenderer(self, rows, settings or self.settings)

    def renders(self, rows: Rows) -> SmallRenderer:
        """Renders of any rows."""
        return SmallRenderer(self, rows, self.settings)


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself. Where it does not, float32 is faster."""
    capable = torch.cpu.get_capabilities()
    return any(capable.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def in_fastest_type(model: Any) -> None:
    """In bfloat16 where the CPU has it, which is twice as fast as float32; else as it is.

    Pictures of both types differ by 1e-6 LPIPS.
    """
    if not has_bfloat16():
        return
    model.diffusion_model.to(torch.bfloat16)
    model.diffusion_model.dtype = model.manual_cast_dtype = torch.bfloat16


class SmallRenderer:
    """ComfyUI's sampling of slices of the schedule. See `frames.Render`."""

    def __init__(self, engine: Engine, rows: Rows, settings: Settings) -> None:
        self.engine, self.rows, self.settings = engine, rows, settings
        import comfy.sample

        model = engine.painter.model
        self.sampler = engine.samplers.sampler_object(settings.sampler)
        self.sigmas = engine.samplers.calculate_sigmas(
            model.get_model_object("model_sampling"), settings.scheduler, settings.steps
        )
        self.empty = torch.zeros(1, 4, engine.size // 8, engine.size // 8)
        self.noise: Tensor = comfy.sample.prepare_noise(self.empty, settings.seed)  # type: ignore[assignment]
        self.sample = comfy.sample.sample_custom

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]:
        """All frames of one start step, and of one group of rows, are one batch."""
        found: dict[int, Frame] = {}
        for k in sorted(set(start_steps)):
            own = [i for i, step in enumerate(start_steps) if step == k]
            for part, points, extras in self.rows([times[i] for i in own]):
                members = [own[j] for j in part]
                frames = self.batch(
                    [times[i] for i in members],
                    [[points, extras]],
                    k,
                    [states[i] for i in members],
                    guidance or self.settings.guidance,
                )
                found |= dict(zip(members, frames, strict=True))
        return [found[i] for i in range(len(times))]

    def batch(
        self,
        times: Sequence[float],
        prompt: list[list[Any]],
        first: int,
        taken: Sequence[Tensor | None],
        guidance: float,
    ) -> list[Frame]:
        engine, count = self.engine, len(times)
        states: list[Tensor] = []
        if first == 0:
            noise: Tensor = self.noise.expand(count, -1, -1, -1)
            latent: Tensor = self.empty.expand(count, -1, -1, -1)
        else:
            before = torch.stack([one for one in taken if one is not None], dim=1)
            states += list(before[:first])
            # No noise is added: the state is what the model would see after scaling it.
            noise = torch.zeros_like(before[first])
            latent = engine.painter.model.model.process_latent_out(before[first])

        def keep(_step: int, _denoised: Tensor, x: Tensor, _total: int) -> None:
            states.append(x.clone())

        done = self.sample(
            engine.painter.model,
            noise,
            guidance,
            self.sampler,
            self.sigmas[first:],
            prompt,
            engine.negative,
            latent,
            callback=keep,
            disable_pbar=True,
            seed=self.settings.seed,
        )
        images = engine.painter.decode(done).movedim(1, -1)
        kept = torch.stack(states, dim=1)
        return [Frame(t, first, images[i], done[i], kept[i].clone()) for i, t in enumerate(times)]
