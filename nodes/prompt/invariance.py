"""Does a model treat a prompt as a point cloud? A test by one step of ComfyUI's own sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from comfy.utils import ProgressBar
from torch import Tensor

from ...geometry.cloud import PointCloud, clouds_from_conditioning, conditioning_from_clouds
from ..internals import one_step, with_model_channels
from ..latents import check_one_image

# A change by less than this share of the change without any words counts as rounding. In half
# precision rounding is about 1e-3; a model that uses row positions changes by 1e-1 and more.
INVARIANT = 0.03


@dataclass(frozen=True)
class Invariance:
    """Relative changes of a denoised latent, ‖z' − z‖ / ‖z‖.

    permuted: rows in another order. repeated: all rows twice. emptied: every row replaced by the
    first, which removes the words; the scale for the other two.
    """

    permuted: float
    repeated: float
    emptied: float

    @property
    def report(self) -> str:
        order = "does not see" if self._small(self.permuted) else "SEES"
        copies = "does not see" if self._small(self.repeated) else "SEES"
        return "\n".join(
            [
                f"rows permuted: relative change {self.permuted:.2e}; the model {order} the order",
                f"rows repeated: relative change {self.repeated:.2e}; the model {copies} copies",
                f"words removed: relative change {self.emptied:.2e} (for comparison)",
                self._verdict(),
            ]
        )

    def _small(self, change: float) -> bool:
        return change <= INVARIANT * self.emptied

    def _verdict(self) -> str:
        if self.emptied == 0:
            return "This model did not react to the prompt at all, so the test says nothing."
        if not self._small(self.permuted):
            return "Row order matters here: optimal transport is not justified for this model."
        if not self._small(self.repeated):
            return "A point cloud, but only for prompts with equally many rows."
        return "A point cloud: optimal transport is justified, for prompts of any length."


def measure_invariance(
    model: Any, conditioning: Any, latent: dict[str, Any], seed: int
) -> Invariance:
    """Compare one step of the model on a prompt with the same prompt rearranged.

    Raises ValueError for a latent of several images, and a model whose step is not finite.
    """
    check_one_image(latent)
    clouds = clouds_from_conditioning(conditioning)
    generator = torch.Generator("cpu").manual_seed(seed)
    orders = {"permuted": [], "repeated": [], "emptied": []}
    for cloud in clouds:
        orders["permuted"].append(torch.randperm(cloud.rows, generator=generator))
        orders["repeated"].append(torch.arange(cloud.rows).repeat(2))
        orders["emptied"].append(torch.zeros(cloud.rows, dtype=torch.int64))
    changed = {
        name: [_rearranged(cloud, rows) for cloud, rows in zip(clouds, order, strict=True)]
        for name, order in orders.items()
    }
    bar = ProgressBar(len(changed) + 1)
    reference = _step(model, conditioning, latent, seed)
    bar.update(1)
    changes = {}
    for name, rearranged in changed.items():
        result = _step(model, conditioning_from_clouds(rearranged), latent, seed)
        changes[name] = float((result - reference).norm() / reference.norm())
        if not math.isfinite(changes[name]):
            raise ValueError(
                "model: expected a step that gives finite numbers, got NaN, infinity or all zeros. "
                "Check the model file, or run it in a higher precision."
            )
        bar.update(1)
    return Invariance(**changes)


def _rearranged(cloud: PointCloud, rows: Tensor) -> PointCloud:
    """The cloud of these rows, with the attention mask that goes with them."""
    extras = dict(cloud.extras)
    mask = extras.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape[-1] == cloud.rows:
        extras["attention_mask"] = mask[..., rows.to(mask.device)]
    return PointCloud(cloud.points[:, rows.to(cloud.points.device)], extras)


def _step(model: Any, conditioning: Any, latent: dict[str, Any], seed: int) -> Tensor:
    """The latent after one step from pure noise, [1, C, H, W] float64."""
    samples = with_model_channels(model, latent)
    return one_step(model, conditioning, samples, seed, latent.get("batch_index")).double()
