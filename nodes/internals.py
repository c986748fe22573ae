"""The only module that uses functions of ComfyUI outside its public API.

Each is listed here with the behaviour that we rely on. Read this file first when ComfyUI's version
changes; `tests/comfyui/test_internals.py` checks every line on real ones, old and new. The file is
long because there is to be only one.

comfy.samplers.CFGGuider           loads a model with its patches and hooks around a sampler's
                                   `sample`, and restores everything afterwards, also after errors
comfy.samplers.Sampler             the interface of `sample`; the only class that we derive from
comfy.samplers.process_conds       a CONDITIONING → what the model takes, for latents of one shape
comfy.samplers.calc_cond_batch     several conditions in one call: x_σ, σ → D for each, no guidance
comfy.samplers.calculate_sigmas    the σ of a scheduler, from the highest to 0
comfy.sampler_helpers.convert_cond CONDITIONING pairs → dictionaries
comfy.sample.prepare_noise_inner   noise by `batch_index` from a generator, as KSampler draws it
comfy.sample.fix_empty_latent_channels   an empty latent in the channels of the model
comfy.sample.sample_custom         one run of a sampler over given σ, as KSampler's own
comfy.samplers.KSampler            its σ for sampler, scheduler, steps and denoise
comfy.samplers.sampler_object      a sampler by name: a KSAMPLER with `sampler_function`, which is
                                   called with (model, x, sigmas, **options), x in its own scale
latent_preview.get_previewer       a small picture of a denoised latent
model_sampling.noise_scaling       x_σ from image and noise, linear in both
model_sampling.percent_to_sigma    σ at a share of the denoising
latent_preview.prepare_callback    progress with a picture, and a check for cancelling
ModelPatcher.add_weight_wrapper    makes a layer call a function with a copy of its weight
ModelPatcher.backup                the weights that patches have replaced, by name
ModelPatcher.is_dynamic, get_non_dynamic_delegate   newer ComfyUIs: the model without dynamic VRAM
nodes.NODE_CLASS_MAPPINGS          all loaded node classes, with their RETURN_TYPES
ExecutionBlocker                   as an output: nodes that take it do not run, and say why
model_management.in_training       newer ComfyUIs: kernels that can be differentiated
ModelPatcher.memory_required       bytes that a batch of a given shape takes
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import comfy.model_management as management
import comfy.sample
import comfy.samplers
import latent_preview
import torch
from comfy.sampler_helpers import convert_cond
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

T = TypeVar("T")

# ComfyUI keeps the same margin over a model's own estimate when it joins prompts in one batch.
MEMORY_MARGIN = 1.5
# The number of images for which ComfyUI frees memory when it loads the model. Larger batches are
# chosen later, by the memory that is left.
IMAGES_AT_LOADING = 4

# The weights that ComfyUI's layers pass through the functions of a weight wrapper.
WRAPPED = ("weight", "bias")
# What newer ComfyUIs' empty latents say of themselves: pixels and frames per latent value.
EMPTY_RATIOS = ("downscale_ratio_spacial", "downscale_ratio_temporal")

Sampler = comfy.samplers.Sampler
preview_callback = latent_preview.prepare_callback


class LoadedModel:
    """A model that ComfyUI has loaded, with its patches and hooks, inside `with_loaded_model`.

    like [1, C, ...]: a latent of the shape it works on. denoised: the result of the last call of
    `denoise` for its first condition, for previews.
    """

    def __init__(self, guider: Any, options: dict[str, Any], like: Tensor) -> None:
        self.patcher = guider.model_patcher
        self.model = guider.inner_model
        self.options = options
        self.like = like
        self.denoised: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where the model works."""
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

    def conditions(self, conditioning: Any, count: int, kind: str = "positive") -> Any:
        """A CONDITIONING, "positive" or "negative", as this model takes it for `count` images."""
        like = self.like[:1].expand(count, *self.like.shape[1:])
        processed = comfy.samplers.process_conds(
            self.model,
            like,
            {kind: convert_cond(conditioning)},
            self.device,
            like,
            None,
            0,  # a seed, for models that add noise to a conditioning
            latent_shapes=[like.shape],
        )
        return processed[kind]

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Any]) -> list[Tensor]:
        """D(x_σ, σ) for each of the conditions: x [F, C, ...], σ [F] → tensors [F, C, ...].

        Raises ComfyUI's own exception when the run was cancelled.
        """
        management.throw_exception_if_processing_interrupted()
        denoised = comfy.samplers.calc_cond_batch(
            self.model, list(conditions), x, sigma.to(x), self.options
        )
        self.denoised = denoised[0].detach()
        return denoised

    def progress(self) -> Callable[[int, int], None]:
        """A function (done, most) that shows progress and a picture of the last denoised latent."""
        callbacks: list[Any] = []

        def report(done: int, most: int) -> None:
            management.throw_exception_if_processing_interrupted()
            if not callbacks:
                callbacks.append(preview_callback(self.patcher, most))
            if self.denoised is not None:
                middle = len(self.denoised) // 2
                with torch.no_grad():
                    callbacks[0](done - 1, self.denoised[middle : middle + 1], None, most)

        return report


class _Work(comfy.samplers.Sampler):
    """Takes the place of a sampler, so that ComfyUI loads the model and then calls `work`."""

    def __init__(self, work: Callable[[LoadedModel], Any]) -> None:
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
        self.result = self.work(LoadedModel(model_wrap, extra_args["model_options"], latent_image))
        return latent_image


def with_loaded_model(
    model: Any,
    conditionings: Sequence[Any],
    like: Tensor,
    sigma: float,
    work: Callable[[LoadedModel], T],
    images: int = IMAGES_AT_LOADING,
) -> T:
    """Load a model, call `work` with it and return its result.

    conditionings: all that `work` uses, as they may need further models. like [1, C, ...]: a
    latent. sigma: the noise level at which `work` uses the model. images: how many to free memory
    for. Raises ValueError for models with context windows, which only work inside a sampler's
    steps.
    """
    if model.model_options.get("context_handler") is not None:
        raise ValueError(
            "model: expected a model that sees all of a latent, got one with context windows. "
            "Remove the node that sets them."
        )
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({f"prompt {k}": entry for k, entry in enumerate(conditionings)})
    sampler = _Work(work)
    zeros = torch.zeros(images, *like.shape[1:])
    guider.sample(zeros, zeros, sampler, torch.tensor([sigma, 0.0]), disable_pbar=True, seed=0)
    return sampler.result


def run_sampler(
    model: Any,
    sampler: Sampler,
    conditioning: Any,
    latent: Tensor,
    sigmas: Tensor,
    part: tuple[int, int] = (0, 1),
) -> Tensor:
    """Run a sampler on a latent [B, C, ...] without added noise, at guidance 1, with progress.

    part: which of how many runs this is, so that the progress is that of all of them.
    """
    steps = len(sigmas) - 1
    show = preview_callback(model, steps * part[1])

    def callback(step: int, denoised: Tensor, x: Tensor, _: int) -> None:
        show(part[0] * steps + step, denoised, x, steps * part[1])

    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({"positive": conditioning})  # as BasicGuider: no negative, guidance 1
    return guider.sample(
        torch.zeros_like(latent),
        latent,
        sampler,
        sigmas,
        callback=callback,
        disable_pbar=True,
        seed=0,
    ).to(management.intermediate_device())


def output_types(class_type: str) -> Sequence[str]:
    """The types of a node's outputs, of whichever pack; empty for one that is not installed."""
    node_class = import_module("nodes").NODE_CLASS_MAPPINGS.get(class_type)
    return getattr(node_class, "RETURN_TYPES", ())


def blocked(reason: str) -> Any:
    """An output that nothing can be made for; nodes that take it do not run and give the reason."""
    return ExecutionBlocker(reason)


def is_flow(model: Any) -> bool:
    """Whether a model's x_σ is (1−σ) x_0 + σ ε; otherwise it is x_0 + σ ε.

    Asked of the model's own scaling of image and noise, as the class does not tell. Raises
    ValueError for models whose scaling is neither (another noise scale, no noise at all).
    """
    sigma = torch.tensor(float(model.get_model_object("model_sampling").percent_to_sigma(0.5)))
    of_image, of_noise = latent_factor(model, sigma), noise_factor(model, sigma)
    if math.isclose(of_noise, float(sigma), rel_tol=1e-4):
        if math.isclose(of_image, 1, rel_tol=1e-4):
            return False
        if math.isclose(of_image, 1 - float(sigma), rel_tol=1e-4):
            return True
    raise ValueError(
        "model: expected noised images x0 + s*e or (1-s)*x0 + s*e, at noise level s, got "
        f"{of_image:.3g}*x0 + {of_noise:.3g}*e at s = {float(sigma):.3g}. This node can't use this "
        "kind of model; KSampler and Morph Sampler can."
    )


def scheduler_sigmas(model: Any, scheduler: str, steps: int) -> Tensor:
    """The σ of a scheduler, [steps + 1], from the highest to 0."""
    return comfy.samplers.calculate_sigmas(
        model.get_model_object("model_sampling"), scheduler, steps
    )


def with_model_channels(model: Any, latent: dict[str, Any]) -> Tensor:
    """The samples of a LATENT; an empty one gets the channels and dimensions of the model.

    Newer ComfyUIs also give it the size that the same picture has for this model.
    """
    fix = comfy.sample.fix_empty_latent_channels
    known = inspect.signature(fix).parameters
    ratios = {name: latent[name] for name in EMPTY_RATIOS if name in latent and name in known}
    return fix(model, latent["samples"], **ratios)


def without_ratios(latent: dict[str, Any]) -> dict[str, Any]:
    """A LATENT without what only holds for an empty one."""
    return {name: value for name, value in latent.items() if name not in EMPTY_RATIOS}


def seed_noise(like: Tensor, seed: int, images: Sequence[int] | None) -> Tensor:
    """The noise that KSampler draws from a seed for images like `like` [B, C, ...], on the CPU.

    images: which images of a batch, as in `batch_index`; None for the B of this one.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    return comfy.sample.prepare_noise_inner(like, generator, images)


def one_step(
    model: Any, conditioning: Any, samples: Tensor, seed: int, index: Sequence[int] | None
) -> Tensor:
    """The latent after one euler step from the noise of a seed, without guidance, on the CPU."""
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(samples, seed, index),
        steps=1,
        cfg=1.0,
        sampler_name="euler",
        scheduler="normal",
        positive=conditioning,
        negative=conditioning,
        latent_image=samples,
        disable_pbar=True,
        seed=seed,
    ).cpu()


def with_copied_weights(model: Any) -> Any:
    """A clone of the model whose layers work on copies of their weights, for `differentiation`.

    ComfyUI loads weights in inference mode, and gradients cannot pass through such weights. A
    weight wrapper makes ComfyUI copy a weight for each use; the copies themselves get no gradient.
    """
    # Models of newer ComfyUIs may hand out memory that is overwritten before the gradients come.
    dynamic = getattr(model, "is_dynamic", None)
    patcher = model.get_non_dynamic_delegate() if dynamic and dynamic() else model.clone()
    for name, module in model.model.named_modules():
        if hasattr(module, "weight_function"):
            for kind in WRAPPED:
                patcher.add_weight_wrapper(f"{name}.{kind}", _fresh)
    return patcher


def _fresh(weight: Tensor) -> Tensor:
    # Always a copy: what is loaded for one use only lies in memory that the next layer overwrites.
    return weight.detach().clone()


@contextmanager
def differentiation(loaded: LoadedModel) -> Iterator[None]:
    """Outside inference mode, with a model of `with_copied_weights`: gradients for its inputs.

    Weights that layers use without a wrapper (norms, positions) are copies for this time, and newer
    ComfyUIs are told to use kernels that can be differentiated.
    """
    replaced = []
    switch: Any = management  # has `in_training` in newer ComfyUIs
    told = getattr(switch, "in_training", None)
    with torch.inference_mode(False):
        try:
            for module in loaded.model.modules():
                wrapped = WRAPPED if hasattr(module, "weight_function") else ()
                for values in (module._parameters, module._buffers):
                    for name, value in values.items():
                        if value is None or name in wrapped or not value.is_inference():
                            continue
                        replaced.append((values, name, value))
                        copy = value.detach().clone()
                        learnt = isinstance(value, torch.nn.Parameter)
                        values[name] = torch.nn.Parameter(copy, False) if learnt else copy
            if told is not None:
                switch.in_training = True
            yield
        finally:
            if told is not None:
                switch.in_training = told
            for values, name, value in replaced:
                values[name] = value


def ksampler_sigmas(
    model: Any, sampler_name: str, scheduler: str, steps: int, denoise: float
) -> Tensor:
    """The σ of KSampler with these settings, [steps + 1], on the CPU."""
    sampler = comfy.samplers.KSampler(
        model,
        steps=steps,
        device=model.load_device,
        sampler=sampler_name,
        scheduler=scheduler,
        denoise=denoise,
        model_options=model.model_options,
    )
    return sampler.sigmas.cpu()


def resumable_sampler(
    name: str, start: Tensor | None, keep: Callable[[int, Tensor], None]
) -> Sampler:
    """KSampler's sampler of this name, which can also start from a state, and reports its states.

    A state is x before a step, in the sampler's own scale. start: the state to begin with, or None
    to begin with noise. keep(step, x): called with the state before each step, counted from 0; if a
    step calls the model several times, the last call counts.
    """
    sampler = comfy.samplers.sampler_object(name)

    def run(model: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
        # x comes from noise and latent, which masks still need. The state only replaces x.
        x = x if start is None else start.to(x)
        return sampler.sampler_function(_StateKeeper(model, sigmas, keep), x, sigmas, **options)

    return comfy.samplers.KSAMPLER(run, sampler.extra_options, sampler.inpaint_options)


class _StateKeeper:
    """A sampler's model that reports each x at one of the schedule's σ."""

    def __init__(self, model: Any, sigmas: Tensor, keep: Callable[[int, Tensor], None]) -> None:
        self._model, self._keep = model, keep
        self._sigmas = sigmas[:-1].tolist()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, x: Tensor, sigma: Tensor, *rest: Any, **options: Any) -> Tensor:
        now = float(sigma.flatten()[0])
        for step, wanted in enumerate(self._sigmas):
            if math.isclose(now, wanted, rel_tol=1e-5):
                self._keep(step, x)
        return self._model(x, sigma, *rest, **options)


def sample_custom(
    model: Any,
    sampler: Sampler,
    sigmas: Tensor,
    prompts: tuple[Any, Any],
    cfg: float,
    noise: Tensor,
    latent: Tensor,
    mask: Tensor | None,
    seed: int,
    callback: Callable[[int, Tensor, Tensor, int], None],
) -> Tensor:
    """Run a sampler as KSampler does; returns the latents [B, C, ...], on the CPU.

    prompts: positive and negative.
    """
    positive, negative = prompts
    return comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        sampler,
        sigmas,
        positive,
        negative,
        latent,
        noise_mask=mask,
        callback=callback,
        disable_pbar=True,
        seed=seed,
    ).cpu()


def noise_factor(model: Any, sigma: Tensor) -> float:
    """The factor of the noise in a state at σ: the model's own scaling of a noise of 1."""
    sampling = model.get_model_object("model_sampling")
    unit_noise = torch.ones(1)
    return float(sampling.noise_scaling(sigma.reshape(1), unit_noise, torch.zeros(1), False))


def latent_factor(model: Any, sigma: Tensor) -> float:
    """The factor of the start image in a state at σ: the model's own scaling of an image of 1."""
    sampling = model.get_model_object("model_sampling")
    unit_image = torch.ones(1)
    return float(sampling.noise_scaling(sigma.reshape(1), torch.zeros(1), unit_image, False))


def own_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """The names and weights of a model as its file has them, without LoRAs, in a fixed order."""
    for name, value in sorted(model.model.diffusion_model.named_parameters()):
        replaced = model.backup.get(f"diffusion_model.{name}")
        yield name, value.detach() if replaced is None else replaced.weight


def fitting_frames(model: Any, shape: Sequence[int], wanted: int) -> int:
    """How many frames of a latent shape [C, ...] fit into free memory at once: 1 to `wanted`.

    Each frame is counted with two prompts. Memory for the part of the model that is not loaded yet
    is left free.
    """
    free: Any = management.get_free_memory(model.load_device)
    free -= max(0, model.model_size() - model.loaded_size())
    size = wanted
    while size > 1 and model.memory_required([2 * size, *shape]) * MEMORY_MARGIN >= free:
        size = math.ceil(size / 2)
    return size


def previewer(model: Any) -> Callable[[Tensor], Any]:
    """A function from denoised latents [B, C, ...] to a preview of the middle one, or to None."""
    previewer_of_model = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def preview(denoised: Tensor) -> Any:
        if previewer_of_model is None:
            return None
        middle = len(denoised) // 2
        return previewer_of_model.decode_latent_to_preview_image(
            "JPEG", denoised[middle : middle + 1]
        )

    return preview


def sampler_names() -> list[str]:
    """The names in KSampler's menu."""
    return list(comfy.samplers.KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """The names in KSampler's menu."""
    return list(comfy.samplers.KSampler.SCHEDULERS)
