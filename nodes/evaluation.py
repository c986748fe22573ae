"""ComfyUI's own model as the denoiser that `geometry.density` works with.

ComfyUI loads a model, its patches and its hooks around a sampler. So the work runs as one:
`evaluate` hands it an `Evaluator` for as long as the model is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import comfy.model_management as management
import comfy.samplers
import torch
from comfy.sampler_helpers import convert_cond
from torch import Tensor

from ..geometry.path import Path
from .frames import Prompts, prompts_at

T = TypeVar("T")
# Of what a model says it needs; ComfyUI leaves the same room when it joins prompts in one batch.
MEMORY_MARGIN = 1.5


class Evaluator:
    """A loaded model: x_σ and prompts → what it takes for x_0.

    denoised: of the first condition of the last call, for previews.
    """

    def __init__(self, guider: Any, options: dict[str, Any], like: Tensor) -> None:
        self.model = guider.inner_model
        self.options = options
        self.like = like
        self.denoised: Tensor | None = None
        self._known: dict[Any, list[Prompts]] = {}

    @property
    def device(self) -> torch.device:
        return self.like.device

    def fitting(self, count: int) -> int:
        """How many of `count` images fit into free memory with two prompts each; at least one."""
        free = management.get_free_memory(self.device)
        size = count
        while size > 1:
            needed = self.model.memory_required([2 * size, *self.like.shape[1:]])
            if needed * MEMORY_MARGIN < free:
                break
            size = math.ceil(size / 2)
        return size

    def along(self, paths: Sequence[Path], times: Sequence[float]) -> list[Prompts]:
        """The prompts of these times on a path, as the model takes them; made once."""
        key = (id(paths), tuple(times))
        if key not in self._known:
            batches = prompts_at(paths, times, self.fitting(len(times)))
            self._known[key] = [self.prepared(batch) for batch in batches]
        return self._known[key]

    def prepared(self, batch: Prompts) -> Prompts:
        """A CONDITIONING as ComfyUI's sampling functions take it."""
        count = batch.stop - batch.start
        like = self.like[:1].expand(count, *self.like.shape[1:])
        conditions = {"positive": convert_cond(batch.conditioning)}
        found = comfy.samplers.process_conds(
            self.model, like, conditions, self.device, like, None, None, latent_shapes=[like.shape]
        )
        return Prompts(batch.start, batch.stop, found["positive"])

    def __call__(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Sequence[Prompts]]
    ) -> list[Tensor]:
        """`geometry.density.score.Denoiser`: D [F, ...] for each condition.

        The first condition's batches cut the frames; the others hold one prompt for all of them.
        """
        management.throw_exception_if_processing_interrupted()
        first, *others = conditions
        out = [torch.empty_like(x) for _ in conditions]
        for batch in first:
            part = slice(batch.start, batch.stop)
            wanted = [batch.conditioning, *(other[0].conditioning for other in others)]
            found = comfy.samplers.calc_cond_batch(
                self.model, wanted, x[part], sigma[part].to(x), self.options
            )
            for whole, denoised in zip(out, found, strict=True):
                whole[part] = denoised
        self.denoised = out[0]
        return out


class _Work(comfy.samplers.Sampler):
    """ComfyUI's sampler interface around work that is no sampling."""

    def __init__(self, work: Callable[[Evaluator], Any]) -> None:
        self.work = work
        self.result: Any = None

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,  # noqa: ARG002
        extra_args: dict[str, Any],
        callback: Any,  # noqa: ARG002
        noise: Tensor,  # noqa: ARG002
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,  # noqa: ARG002
        disable_pbar: bool = False,  # noqa: ARG002
    ) -> Tensor:
        options = extra_args["model_options"]
        self.result = self.work(Evaluator(model_wrap, options, latent_image))
        return latent_image


def evaluate(
    model: Any, conditionings: Sequence[Any], like: Tensor, work: Callable[[Evaluator], T]
) -> T:
    """What `work` makes of a loaded model.

    conditionings: those it will be asked with, for what they bring (ControlNets, hooks). like
    [B, ...]: latents as large as its largest batch.
    """
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({f"prompt {k}": one for k, one in enumerate(conditionings)})
    sampler = _Work(work)
    sigmas = torch.ones(2)  # not looked at, but none at all would end the sampling before it began
    zeros = torch.zeros_like(like)
    guider.sample(zeros, zeros, sampler, sigmas, disable_pbar=True, seed=0)
    return sampler.result
