"""The card, the models on it, and ComfyUI's sampler."""

from __future__ import annotations

import gc
import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dev.comfyui.in_process import pack_nodes
from dev.comfyui.lpips_weights import random_weights
from dev.families.tiny import Family, Kind, built
from dev.measure import cost, readable

from .sizes import Sizes

CFG, PIXELS = 7.0, 8  # guidance; pixels for each value of a latent, along a side
PROMPTS = 2  # a guided step evaluates the network with two prompts


class Machine:
    """Models with random weights, loaded as ComfyUI loads them. After `start.start`.

    sizes: true or toy ones. dynamic: models use dynamic VRAM.
    """

    def __init__(self, sizes: Sizes, dynamic: bool = False) -> None:
        self.sizes, self.dynamic = sizes, dynamic
        self.families: dict[str, Family] = {}

    @cached_property
    def pack(self) -> Any:
        """The pack's node modules."""
        return pack_nodes()

    @cached_property
    def management(self) -> Any:
        """comfy.model_management."""
        return importlib.import_module("comfy.model_management")

    @property
    def device(self) -> torch.device:
        return self.management.get_torch_device()

    def family(self, name: str) -> Family:
        """The model of this name in the type that ComfyUI chooses here; built once."""
        if name not in self.families:
            self.families[name] = self.fresh(name, None, not self.dynamic)
        return self.families[name]

    def fresh(self, name: str, dtype: torch.dtype | None, plain: bool = True) -> Family:
        """A model in a type of its own, or in the one that ComfyUI chooses.

        plain: without dynamic VRAM.
        """
        kind = self.sizes.kinds[name]
        return Family(name, self._patcher(kind, dtype, disable_dynamic=plain), kind)

    def _patcher(self, kind: Kind, asked: torch.dtype | None, disable_dynamic: bool) -> Any:
        patchers = importlib.import_module("comfy.model_patcher")
        known = getattr(importlib.import_module("comfy.supported_models"), kind.supported)
        supported = list(known.supported_inference_dtypes)
        dtype: Any = asked or self.management.unet_dtype(supported_dtypes=supported)
        cast = None if asked else self.management.unet_manual_cast(dtype, self.device, supported)
        generator = torch.Generator(self.device).manual_seed(0)
        with self._whole_layers():
            model = built(kind, dtype, generator, cast)
        make = patchers.ModelPatcher if disable_dynamic else patchers.CoreModelPatcher
        offload = self.management.unet_offload_device()
        patcher = make(model, load_device=self.device, offload_device=offload)
        # From this newer ComfyUIs make the same model without dynamic VRAM.
        patcher.cached_patcher_init = (self._patcher, (kind, asked))
        return patcher

    @contextmanager
    def _whole_layers(self) -> Iterator[None]:
        """Under dynamic VRAM layers are made without weights, which come from a file later."""
        if not self.dynamic:
            yield
            return
        memory: Any = importlib.import_module("comfy.memory_management")
        memory.aimdo_enabled = False
        try:
            yield
        finally:
            memory.aimdo_enabled = True

    def clean(self) -> None:
        """Unload all models, so that each measurement begins with an empty card."""
        if self.dynamic:
            # What ComfyUI does after every node.
            self.management.reset_cast_buffers()
            importlib.import_module("comfy_aimdo.model_vbar").vbars_reset_watermark_limits()
        self.management.unload_all_models()
        gc.collect()
        self.management.soft_empty_cache()

    def latent(self, family: Family, side: int) -> dict[str, Any]:
        """An empty latent of a picture of `side` pixels."""
        return family.latent(side // PIXELS)

    def pictures(self, family: Family, side: int, count: int) -> dict[str, Any]:
        """Latents of `count` pictures, of random numbers."""
        drawn = [family.picture(seed, side // PIXELS)["samples"] for seed in range(count)]
        return {"samples": torch.cat(drawn)}

    def coupling(self, family: Family) -> Any:
        """Two random prompts, coupled by optimal transport."""
        nodes = self.pack.prompt.nodes
        clouds = [nodes.GeodesicPointCloud.execute(family.prompt(seed))[0] for seed in (1, 2)]
        return nodes.GeodesicCouple.execute(*clouds, "optimal transport", 0, True)[0]

    def sampled(
        self, family: Family, positive: Any, latent: Any, steps: int, cfg: float = CFG
    ) -> Tensor:
        """KSampler's latents, on the CPU."""
        sampler = importlib.import_module("nodes").common_ksampler
        settings = (1, steps, cfg, "euler", "normal")
        (done,) = sampler(family.model, *settings, positive, family.prompt(0), latent)
        return done["samples"].cpu()

    def copies(self, family: Family, side: int, count: int) -> dict[str, Any]:
        """`count` empty latents that share one noise, as those of Morph Schedule."""
        one = self.latent(family, side)["samples"]
        return {"samples": one.repeat(count, *[1] * (one.ndim - 1)), "batch_index": [0] * count}

    def cost(self, run: Any) -> tuple[float, int]:
        """Seconds and peak bytes of a call."""
        return cost(self.device, run)

    @cached_property
    def lpips_folder(self) -> Path:
        """Where ComfyUI looks for LPIPS weights first; removed when the program ends."""
        self._temporary = tempfile.TemporaryDirectory()
        paths = importlib.import_module("folder_paths")
        paths.add_model_folder_path("lpips", self._temporary.name, is_default=True)
        return Path(self._temporary.name)

    def random_lpips(self, backbone: str) -> None:
        """Put random weights where the pack finds them."""
        from safetensors.torch import save_file

        file = self.lpips_folder / f"{backbone}.safetensors"
        save_file(random_weights(backbone), file, {"name": "random weights"})


def counted(family: Family) -> tuple[Any, list[int]]:
    """The model, and a list that gets the number of pictures of each of its evaluations."""
    model, evaluations = family.model.clone(), []

    def count(apply: Any, given: dict[str, Any]) -> Tensor:
        evaluations.append(len(given["input"]))
        return apply(given["input"], given["timestep"], **given["c"])

    model.set_model_unet_function_wrapper(count)
    return model, evaluations


def told(seconds: float, peak: int) -> str:
    """For a cell: time and peak memory."""
    return f"{readable(seconds)}, {max(peak, 0) / 2**30:.2f} GB"


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a part of the largest value. Raises RuntimeError for NaN."""
    if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise RuntimeError("expected finite latents, got NaN or infinity")
    return float((a.float() - b.float()).abs().max() / b.float().abs().max())
