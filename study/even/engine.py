"""The small model on ComfyUI's own sampling, and all else that is loaded once for a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dev.comfyui import lpips_weights
from dev.comfyui.environment import BASE
from dev.small_model.painter import Painter
from dev.workflows.settings import SMALL
from scenes import checkpoint, classifier

from .frames import Frame, lpips_distance

STEPS, GUIDANCE, SAMPLER, SCHEDULER, SEED = 20, 4.0, "euler", "karras", 42


class Engine:
    """ComfyUI with the small checkpoint, LPIPS and the judge of scenes, on one thread."""

    def __init__(self, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
        lpips_weights.ensure(BASE / "models" / "lpips")
        self.painter = Painter(SMALL, cpu=True)
        _in_bfloat16(self.painter.model.model)
        # Found only after the painter has loaded ComfyUI.
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
        self.sampler = comfy.samplers.sampler_object(SAMPLER)
        sampling = self.painter.model.get_model_object("model_sampling")
        self.sigmas = comfy.samplers.calculate_sigmas(sampling, SCHEDULER, STEPS)
        self.negative = self.encode("")
        weights = lpips_files.load_backbone("alex").weights
        self.lpips = lpips_distance(perceptual, perceptual.lpips_network("alex", weights))
        self.judge = classifier.load()

    def encode(self, text: str) -> Any:
        return self.painter.nodes.CLIPTextEncode().encode(self.painter.clip, text)[0]

    def renderer(self, caption_a: str, caption_b: str) -> SmallRenderer:
        """Renders along the optimal path between two captions."""
        read = self.cloud.clouds_from_conditioning
        a, b = (read(self.encode(caption))[0] for caption in (caption_a, caption_b))
        return SmallRenderer(self, self.path.path_of_coupling(self.coupling.couple(a, b)))


def _in_bfloat16(model: Any) -> None:
    """Twice as fast on this CPU. Pictures differ from float32's by 1e-6 LPIPS."""
    model.diffusion_model.to(torch.bfloat16)
    model.diffusion_model.dtype = model.manual_cast_dtype = torch.bfloat16


class SmallRenderer:
    """ComfyUI's sampling of slices of the schedule. See `frames.Render`."""

    def __init__(self, engine: Engine, path: Any) -> None:
        self.engine, self.path = engine, path
        import comfy.sample

        self.empty = torch.zeros(1, 4, 8, 8)
        self.noise: Tensor = comfy.sample.prepare_noise(self.empty, SEED)  # type: ignore[assignment]
        self.sample = comfy.sample.sample_custom

    def __call__(
        self,
        times: Sequence[float],
        start_steps: Sequence[int],
        states: Sequence[Tensor | None],
        guidance: float | None = None,
    ) -> list[Frame]:
        """All frames of one start step are one batch."""
        found: dict[int, Frame] = {}
        for k in sorted(set(start_steps)):
            group = [i for i, step in enumerate(start_steps) if step == k]
            taken = [states[i] for i in group]
            frames = self.batch([times[i] for i in group], k, taken, guidance or GUIDANCE)
            found |= dict(zip(group, frames, strict=True))
        return [found[i] for i in range(len(times))]

    def batch(
        self, times: Sequence[float], first: int, taken: Sequence[Tensor | None], guidance: float
    ) -> list[Frame]:
        engine, count = self.engine, len(times)
        (rows,) = engine.path.sample(self.path, times)
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
            engine.sampler,
            engine.sigmas[first:],
            [[rows.points, rows.extras]],
            engine.negative,
            latent,
            callback=keep,
            disable_pbar=True,
            seed=SEED,
        )
        images = engine.painter.decode(done).movedim(1, -1)
        kept = torch.stack(states, dim=1)
        return [Frame(t, first, images[i], done[i], kept[i].clone()) for i, t in enumerate(times)]
