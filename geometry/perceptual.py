"""Perceptual distance of consecutive images, and what is read from it.

LPIPS: Zhang et al., The Unreasonable Effectiveness of Deep Features, arXiv 1801.03924. Perceptual
path length is the mean over equally spaced images (Karras et al., arXiv 1812.04948; Which Way
from B to A, section 3); the morphing literature reports the sum, and the variance as PDV
(DiffMorpher, arXiv 2312.07409). Network, linear layers, scaling and normalisation are those of
the `lpips` package; only the order of work differs: each image's features are computed once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

BACKBONES = ("alex", "vgg", "squeeze")

# The smallest image whose deepest AlexNet features still have a pixel.
MIN_SIZE = 32


@dataclass(frozen=True)
class Steps:
    """Perceptual distances along a path.

    distances: one per pair of consecutive frames. closing: from the last frame to the first,
    which a loop needs for re-timing and no statistic counts. metric: what measured them.
    """

    distances: tuple[float, ...]
    closing: float
    metric: str

    @property
    def mean(self) -> float:
        """Perceptual path length as Karras et al. and Which Way from B to A define it."""
        return float(np.mean(self.distances))

    @property
    def total(self) -> float:
        """The sum: the length of the whole morph."""
        return float(np.sum(self.distances))

    @property
    def variance(self) -> float:
        """PDV, the population variance of the steps: 0 at constant perceptual speed."""
        return float(np.var(self.distances))

    @property
    def largest(self) -> float:
        """The worst jump."""
        return float(np.max(self.distances))

    @property
    def smoothness(self) -> float:
        """1 − Gini coefficient of the steps: 1 when all are equal, near 0 for a single jump."""
        d = np.sort(self.distances)
        if d.sum() == 0:
            return 1.0
        rank = np.arange(1, len(d) + 1)
        return float(1 - ((2 * rank - len(d) - 1) * d).sum() / (len(d) * d.sum()))


def lpips_network(backbone: str, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """The `lpips` package's network on given backbone weights, on the CPU, in float32.

    backbone: one of `BACKBONES`. weights: a state dict in torchvision's names (`features.0.weight`
    ...); a classifier's other entries are ignored. Downloads nothing and leaves the random state
    as it was. Raises ValueError for a file of another network.
    """
    check_backbone(backbone)
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # lpips still passes torchvision's old `pretrained=False`.
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    # lpips keeps torchvision's layer numbers inside its slices: slice2.3.weight = features.3.weight
    wanted = {key: "features." + key.split(".", 1)[1] for key in network.net.state_dict()}
    _check_weights(network.net.state_dict(), wanted, weights, backbone)
    network.net.load_state_dict({key: weights[name] for key, name in wanted.items()})
    return network.float().requires_grad_(False)


def check_backbone(backbone: str) -> None:
    """Raise ValueError for a name that is not one of `BACKBONES`."""
    if backbone not in BACKBONES:
        raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, got '{backbone}'.")


def _check_weights(
    own: Mapping[str, Tensor], wanted: Mapping[str, str], weights: Mapping[str, Any], backbone: str
) -> None:
    wrong = [
        name
        for key, name in wanted.items()
        if not isinstance(weights.get(name), Tensor) or weights[name].shape != own[key].shape
    ]
    if wrong:
        raise ValueError(
            f"backbone: the weights do not belong to torchvision's network for '{backbone}': "
            f"{wrong[0]} is missing or has another shape ({len(wrong)} of {len(wanted)} do)."
        )


def measure(
    images: Sequence[Tensor],
    network: torch.nn.Module,
    metric: str,
    frames_per_batch: int = 16,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Steps:
    """LPIPS of every pair of consecutive frames.

    images: batches [F, H, W, 3] in [0, 1] that follow each other, of one size. LPIPS expects
    [-1, 1]; they are scaled here. network: from `lpips_network`, already on `device`. Memory
    grows with `frames_per_batch`, not with the number of frames. `progress(done, frames)` is
    called after every batch and may raise to cancel.
    Raises ValueError for fewer than two frames, other shapes, or pixels that are not finite.
    """
    if frames_per_batch < 1:
        raise ValueError(f"frames_per_batch: expected at least 1, got {frames_per_batch}.")
    frames = check_images(images)
    first: _Seen | None = None
    last: _Seen | None = None
    distances: list[float] = []
    done = 0
    for batch in _batches(images, frames_per_batch):
        if not bool(torch.isfinite(batch).all()):
            raise ValueError(
                f"images: expected finite pixels, got NaN or infinity in frames {done + 1} to "
                f"{done + len(batch)}. Check the VAE and the sampler's settings."
            )
        seen = _Seen(batch, _features(network, batch.to(device, torch.float32)))
        if last is not None:
            distances += _distances(network, last, seen.part(0, 1))
        distances += _distances(network, seen.part(0, -1), seen.part(1, None))
        last = seen.part(-1, None)
        first = first or seen.part(0, 1)
        done += len(batch)
        if progress:
            progress(done, frames)
    assert first is not None
    assert last is not None
    return Steps(tuple(distances), _distances(network, last, first)[0], metric)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Images [F, H, W, 3] and their features, one tensor [F, C, h, w] per layer."""

    images: Tensor
    features: list[Tensor]

    def part(self, start: int, stop: int | None) -> _Seen:
        """A range of frames; a single one is copied, so that it does not hold the others."""
        keep = [x[start:stop] for x in (self.images, *self.features)]
        images, *features = [x.clone() for x in keep] if len(keep[0]) == 1 else keep
        return _Seen(images, features)


def check_images(images: Sequence[Tensor]) -> int:
    """The number of frames; raises ValueError naming what is wrong with them."""
    for batch in images:
        if batch.ndim != 4 or batch.shape[-1] != 3:
            raise ValueError(
                "images: expected images of shape [frames, height, width, 3], got "
                f"{list(batch.shape)}. Remove an alpha channel before this node."
            )
    sizes = {(batch.shape[2], batch.shape[1]) for batch in images}
    if len(sizes) > 1:
        listed = " and ".join(f"{w}×{h}" for w, h in sorted(sizes))
        raise ValueError(f"images: expected images of one size, got {listed}. Resize them first.")
    frames = sum(len(batch) for batch in images)
    if frames < 2:
        raise ValueError(
            f"images: expected at least two frames to measure a path, got {frames}. Connect all "
            "frames of the morph."
        )
    width, height = sizes.pop()
    if min(width, height) < MIN_SIZE:
        raise ValueError(
            f"images: expected at least {MIN_SIZE}×{MIN_SIZE} pixels, got {width}×{height}. "
            "Enlarge them first."
        )
    return frames


def _batches(images: Sequence[Tensor], size: int) -> Iterator[Tensor]:
    """Regroup batches of any size into batches of `size`; the last may be smaller."""
    waiting: list[Tensor] = []
    count = 0
    for batch in images:
        start = 0
        while start < len(batch):
            part = batch[start : start + size - count]
            start += len(part)
            count += len(part)
            waiting.append(part)
            if count == size:
                yield torch.cat(waiting) if len(waiting) > 1 else waiting[0]
                waiting, count = [], 0
    if waiting:
        yield torch.cat(waiting) if len(waiting) > 1 else waiting[0]


@torch.inference_mode()
def _features(network: Any, images: Tensor) -> list[Tensor]:
    """Unit-normalised features of every layer: [F, H, W, 3] in [0, 1] -> L tensors [F, C, h, w]."""
    import lpips

    x = network.scaling_layer(2 * images.movedim(-1, 1) - 1)
    return [lpips.normalize_tensor(layer) for layer in network.net(x)]


@torch.inference_mode()
def _distances(network: Any, a: _Seen, b: _Seen) -> list[float]:
    """Σ_layers mean over pixels of lin((x − y)²), one number per image: arXiv 1801.03924, eq. 1.

    Equal images are at distance 0 whichever batches they were in; features differ by rounding.
    """
    total = torch.zeros(len(a.images), device=a.features[0].device)
    for x, y, linear in zip(a.features, b.features, network.lins, strict=True):
        total += linear((x - y).square_()).mean(dim=(1, 2, 3))
    equal = [torch.equal(x, y) for x, y in zip(a.images, b.images, strict=True)]
    return [0.0 if same else d for same, d in zip(equal, total.tolist(), strict=True)]
