"""Perceptual distances of consecutive images, and statistics of them.

LPIPS: Zhang et al., The Unreasonable Effectiveness of Deep Features, arXiv 1801.03924. Perceptual
path length is the mean over equally spaced images (Karras et al., arXiv 1812.04948; Which Way
from B to A, section 3); the morphing literature reports the sum, and the variance as PDV
(DiffMorpher, arXiv 2312.07409). Network, linear layers, scaling and normalisation are those of
the `lpips` package; only the order of work differs: each image's features are computed once.

`measure` walks along a path. `PerceptualMetric` is the same metric for pairs in any order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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

    distances: one per pair of consecutive frames. closing: from the last frame to the first, needed
    to re-time a loop and not part of any statistic. metric: the name of the metric. squared:
    whether distances are squares of lengths, as LPIPS and the distance of latents are. Lengths add
    up along a path; their squares do not, so the total changes with the number of frames.
    """

    distances: tuple[float, ...]
    closing: float
    metric: str
    squared: bool = True

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
    ...); other entries, such as a classifier's, are ignored. The network holds copies. Downloads
    nothing and draws no random numbers. Raises ValueError for weights of another network.
    """
    check_backbone(backbone)
    import lpips

    # On the device "meta" tensors have shapes but no values. So the package neither draws random
    # weights nor takes memory for a classifier's layers, of which LPIPS uses none.
    with torch.device("meta"), warnings.catch_warnings():
        # lpips still passes torchvision's old `pretrained=False`.
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net=backbone, pretrained=False, pnet_rand=True, verbose=False)
    # lpips keeps torchvision's layer numbers inside its slices: slice2.3.weight = features.3.weight
    wanted = {key: "features." + key.split(".", 1)[1] for key in network.net.state_dict()}
    _check_weights(network.net.state_dict(), wanted, weights, backbone)
    copies = {key: weights[name].to(torch.float32, copy=True) for key, name in wanted.items()}
    network.net.load_state_dict(copies, assign=True)
    # The calibrated linear layers come with the package. It names each of them twice (`lin0` and
    # `lins.0` are one layer), and its file holds one of the two names: so not strict.
    file = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{backbone}.pth"
    linear = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict(linear, strict=False, assign=True)
    return network.eval().requires_grad_(False)


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


@dataclass(frozen=True, eq=False)
class Features:
    """The network's features of F images, made by `PerceptualMetric.features`.

    images: the images, float32 [F, H, W, 3]. layers: features of unit length at every pixel, one
    tensor [F, C, h, w] per layer. All are on the metric's device.
    """

    images: Tensor
    layers: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, frames: slice | Sequence[int]) -> Features:
        """Some of the frames, by a slice (shares memory) or by a list of indices (copies)."""
        chosen = frames if isinstance(frames, slice) else list(frames)
        return Features(self.images[chosen], tuple(layer[chosen] for layer in self.layers))

    @staticmethod
    def join(parts: Sequence[Features]) -> Features:
        """The frames of all parts, one after the other; copies."""
        layers = zip(*(part.layers for part in parts), strict=True)
        images = torch.cat([part.images for part in parts])
        return Features(images, tuple(torch.cat(layer) for layer in layers))


@dataclass(frozen=True, eq=False)
class PerceptualMetric:
    """LPIPS of pairs of images in any order; the features of each image are computed once.

        features = metric.features(images)
        metric.distances(features[[0, 0]], features[[1, 2]])  # of images 0 and 1, and of 0 and 2

    network: from `lpips_network`, already on `device`. name: its name in charts and tables.
    """

    network: Any
    name: str
    device: torch.device | str = "cpu"

    @torch.inference_mode()
    def features(self, images: Tensor, first: int = 1) -> Features:
        """Features of images [F, H, W, 3] in [0, 1], computed in float32.

        LPIPS expects [-1, 1]; images are scaled here. first: the number of the first image, for
        the error. Raises ValueError for pixels that are not finite.
        """
        import lpips

        # Checked on the device, where this is fastest.
        pixels = images.to(self.device, torch.float32)
        finite = torch.isfinite(pixels).flatten(1).all(1).tolist()
        if not all(finite):
            raise ValueError(
                "images: expected finite pixels, got NaN or infinity in frame "
                f"{first + finite.index(False)}. Check the VAE and the sampler's settings."
            )
        raw = list(self.network.net(self.network.scaling_layer(2 * pixels.movedim(-1, 1) - 1)))
        layers = []
        while raw:  # frees each layer once it is normalised, which halves the peak memory
            layers.append(lpips.normalize_tensor(raw.pop(0)))
        return Features(pixels, tuple(layers))

    @torch.inference_mode()
    def distances(self, a: Features, b: Features) -> list[float]:
        """LPIPS of image k of `a` and image k of `b`, for every k.

        sum over layers of the mean over pixels of lin((x - y)^2): arXiv 1801.03924, equation 1.
        Equal images are at distance 0 exactly, also where their features differ by rounding because
        they were computed in batches of other sizes. Raises ValueError if `a` and `b` hold
        different numbers of images.
        """
        if len(a) != len(b):
            raise ValueError(f"b: expected {len(a)} images, as many as in a, got {len(b)}.")
        total = torch.zeros(len(a), device=a.images.device)
        for x, y, linear in zip(a.layers, b.layers, self.network.lins, strict=True):
            total += linear((x - y).square_()).mean(dim=(1, 2, 3))
        equal = (a.images == b.images).flatten(1).all(1)
        return total.masked_fill_(equal, 0).tolist()


def measure(
    images: Sequence[Tensor],
    network: torch.nn.Module,
    metric: str,
    frames_per_batch: int = 16,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Steps:
    """LPIPS of every pair of consecutive frames.

    images: batches [F, H, W, 3] in [0, 1] that follow each other, of one size. network, metric,
    device: as `PerceptualMetric` takes them. Memory grows with `frames_per_batch`, not with the
    number of frames. `progress(done, frames)` is called after every batch and may raise to cancel.
    Raises ValueError for fewer than two frames, other shapes, or pixels that are not finite.
    """
    if frames_per_batch < 1:
        raise ValueError(f"frames_per_batch: expected at least 1, got {frames_per_batch}.")
    frames = check_frames(images)
    lpips = PerceptualMetric(network, metric, device)
    first: Features | None = None
    last: Features | None = None
    distances: list[float] = []
    done = 0
    for batch in _batches(images, frames_per_batch):
        features = lpips.features(batch, first=done + 1)
        if last is not None:
            distances += lpips.distances(last, features[:1])
        distances += lpips.distances(features[:-1], features[1:])
        # Lists of indices copy, so that the other frames of the batch are freed.
        last = features[[-1]]
        first = first or features[[0]]
        del features
        done += len(batch)
        if progress:
            progress(done, frames)
    assert first is not None
    assert last is not None
    return Steps(tuple(distances), lpips.distances(last, first)[0], metric)


def check_frames(images: Sequence[Tensor]) -> int:
    """The number of frames in batches [F, H, W, 3] that form one path.

    Raises ValueError for other shapes, different or too small sizes, and fewer than two frames.
    """
    for batch in images:
        if batch.ndim != 4 or batch.shape[-1] != 3:
            raise ValueError(
                "images: expected images of shape [frames, height, width, 3], got "
                f"{list(batch.shape)}. Remove an alpha channel before this node."
            )
    sizes = {(batch.shape[2], batch.shape[1]) for batch in images}
    if len(sizes) > 1:
        listed = " and ".join(f"{w} x {h}" for w, h in sorted(sizes))
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
            f"images: expected at least {MIN_SIZE} x {MIN_SIZE} pixels, got {width} x {height}. "
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
