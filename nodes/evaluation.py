"""ComfyUI's own model as the denoiser that `geometry.density` works with.

ComfyUI loads a model, its patches and its hooks around a sampler. So the work runs as one:
`evaluate` hands it an `Evaluator` for as long as the model is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


# Images that room is asked for when a model is loaded; larger batches take what is left then.
ROOM = 4


@dataclass(frozen=True, eq=False)
class Prepared:
    """The prompts of frames start … stop − 1, as ComfyUI's sampling functions take them."""

    start: int
    stop: int
    conditions: Any


class Evaluator:
    """A loaded model: x_σ and prompts → what it takes for x_0.

    denoised: of the first condition of the last call, for previews.
    """

    def __init__(self, guider: Any, options: dict[str, Any], like: Tensor) -> None:
        self.model = guider.inner_model
        self.options = options
        self.like = like
        self.denoised: Tensor | None = None
        self._known: dict[Any, list[Prepared]] = {}

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

    def along(self, paths: Sequence[Path], times: Sequence[float]) -> list[Prepared]:
        """The prompts of these times on a path, as the model takes them; made once."""
        key = (id(paths), tuple(times))
        if key not in self._known:
            batches = prompts_at(paths, times, self.fitting(len(times)))
            self._known[key] = [self.prepared(batch) for batch in batches]
        return self._known[key]

    def prepared(self, batch: Prompts, kind: str = "positive") -> Prepared:
        """A CONDITIONING, "positive" or "negative", for this model."""
        like = self.like[:1].expand(batch.stop - batch.start, *self.like.shape[1:])
        found = comfy.samplers.process_conds(
            self.model,
            like,
            {kind: convert_cond(batch.conditioning)},
            self.device,
            like,
            None,
            0,  # the seed of models that noise what a prompt brings
            latent_shapes=[like.shape],
        )
        return Prepared(batch.start, batch.stop, found[kind])

    def negative(self, conditioning: Any) -> list[Prepared]:
        """One negative prompt for all frames."""
        return [self.prepared(Prompts(0, 1, conditioning), "negative")]

    def __call__(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Sequence[Prepared]]
    ) -> list[Tensor]:
        """`geometry.density.score.Denoiser`: D [F, ...] for each condition.

        The first condition's batches cut the frames; the others hold one prompt for all of them.
        """
        management.throw_exception_if_processing_interrupted()
        first, *others = conditions
        out = [torch.empty_like(x) for _ in conditions]
        for batch in first:
            part = slice(batch.start, batch.stop)
            wanted = [batch.conditions, *(other[0].conditions for other in others)]
            found = comfy.samplers.calc_cond_batch(
                self.model, wanted, x[part], sigma[part].to(x), self.options
            )
            for whole, denoised in zip(out, found, strict=True):
                whole[part] = denoised
        self.denoised = out[0].detach()
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
    model: Any,
    conditionings: Sequence[Any],
    like: Tensor,
    sigma: float,
    work: Callable[[Evaluator], T],
    room: int = ROOM,
) -> T:
    """What `work` makes of a loaded model, asked at noise level σ.

    conditionings: those it will be asked with, for what they bring. like [1, ...]: a latent. Raises
    ValueError for models that need a sampler's steps around them.
    """
    if model.model_options.get("context_handler") is not None:
        raise ValueError(
            "model: expected a model that sees all of a latent, got one with context windows. "
            "Remove the node that sets them."
        )
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({f"prompt {k}": one for k, one in enumerate(conditionings)})
    sampler = _Work(work)
    zeros = torch.zeros(room, *like.shape[1:])
    guider.sample(zeros, zeros, sampler, torch.tensor([sigma, 0.0]), disable_pbar=True, seed=0)
    return sampler.result
