"""LPIPS on ComfyUI's device: the network under its memory management, in batches that fit.

Networks stay loaded between runs, as models do. ComfyUI unloads them when it needs the memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar

from ...geometry.perceptual import (
    PerceptualMetric,
    Steps,
    check_frames,
    lpips_network,
    measure,
)
from .weights import WeightsFile, find_file, read_file

# Memory that `measure` takes at its peak, in bytes per pixel and frame: this times the frames of
# a batch, plus HELD frames. Measured as the growth of the process's resident memory on the CPU
# (dev.measure.peak, torch 2.12, one thread; batches of 1, 4 and 8 frames of 256x256 and
# 512x512): at most 87, 310 and 800 for alex, squeeze and vgg. The rest, about a quarter (alex: a
# third), is for the work space of convolutions on a GPU, where it was not measured.
BYTES_PER_PIXEL = {"alex": 120, "squeeze": 380, "vgg": 1000}
# The first frame of the path and the last one of the batch before.
HELD = 2


def measure_on_device(images: Any, backbone: str, frames_per_batch: int, download: bool) -> Steps:
    """LPIPS of consecutive frames on ComfyUI's device, with progress.

    images: batches [F, H, W, 3] in [0, 1]. frames_per_batch: the most frames at once; fewer if free
    memory does not hold them. Raises what `measure` and `find_file` raise, and ComfyUI's
    OOM_EXCEPTION if a batch still does not fit.
    """
    frames = check_frames(images)
    height, width = images[0].shape[1:3]
    bar = ProgressBar(frames)
    batch = min(frames, frames_per_batch)
    try:
        metric = load_metric(backbone, download, height * width)
        batch = fitting_batch(backbone, batch, height * width, metric.device)
        return measure(
            images, metric.network, metric.name, batch, metric.device, bar.update_absolute
        )
    except management.OOM_EXCEPTION as error:
        # Of ComfyUI's own kind, so that ComfyUI unloads its models before the next try.
        raise management.OOM_EXCEPTION(_no_room(backbone, batch, width, height)) from error
    finally:
        management.soft_empty_cache()


def load_metric(backbone: str, download: bool, pixels: int) -> PerceptualMetric:
    """LPIPS on ComfyUI's device, with room for frames of `pixels` pixels, one at a time.

    Memory for more frames is not requested: ComfyUI would unload other models for it.
    """
    patcher, name = _network(find_file(backbone, download))
    management.load_models_gpu(
        [patcher],
        memory_required=(1 + HELD) * pixels * BYTES_PER_PIXEL[backbone],
        # The network's layers are not ComfyUI's, so none of them may stay on the CPU.
        force_full_load=True,
    )
    # With --novram ComfyUI leaves every model on the CPU. Then LPIPS runs there.
    return PerceptualMetric(patcher.model, name, next(patcher.model.parameters()).device)


def fitting_batch(backbone: str, limit: int, pixels: int, device: torch.device | str) -> int:
    """How many frames of `pixels` pixels fit into free memory at once: 1 to `limit`."""
    # Any: its type allows a pair of numbers too, which it returns only when asked for both.
    available: Any = management.get_free_memory(device)
    free = available - management.extra_reserved_memory()
    return max(1, min(limit, int(free // (pixels * BYTES_PER_PIXEL[backbone])) - HELD))


@lru_cache(maxsize=2)
def _network(file: WeightsFile) -> tuple[ModelPatcher, str]:
    """The network with the weights of a file, and its name. A changed file is a new cache key."""
    backbone = read_file(file)
    network = lpips_network(file.backbone, backbone.weights)
    device, offload = management.get_torch_device(), management.unet_offload_device()
    return ModelPatcher(network, device, offload), backbone.metric


def _no_room(backbone: str, batch: int, width: int, height: int) -> str:
    if batch > 1:
        return (
            f"frames_per_batch: {batch} frames of {width} x {height} do not fit into memory with "
            f"backbone '{backbone}'. Set it below {batch}; the result stays the same."
        )
    lighter = "" if backbone == "alex" else ", or choose the backbone 'alex', which needs less"
    return (
        f"images: a frame of {width} x {height} does not fit into memory with backbone "
        f"'{backbone}'. Make the images smaller{lighter}."
    )
