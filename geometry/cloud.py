"""Prompts as point clouds (Which Way from B to A, arXiv 2511.12757, section 2.2).

Cross-attention does not see the order of the rows of a text conditioning, nor how often all of
them are repeated. What the model sees is the uniform measure on the rows: a point cloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# SD3 joins the rows of two encoders in one conditioning: CLIP rows, whose features are zero from
# this one on, then T5 rows. A transport plan must not mix them.
SD3_WIDTH = 4096
SD3_CLIP_WIDTH = 2048


@dataclass(frozen=True, eq=False)
class PointCloud:
    """The rows of one conditioning entry, and everything else the entry holds.

    points: [B, N, D], B prompts of N rows in R^D, exactly as the text encoder wrote them.
    extras: the entry's dictionary (`pooled_output`, masks, areas, guidance ...), untouched.
    """

    points: Tensor
    extras: Mapping[str, Any]

    @property
    def batch(self) -> int:
        return self.points.shape[0]

    @property
    def rows(self) -> int:
        return self.points.shape[1]

    @property
    def width(self) -> int:
        return self.points.shape[2]


def clouds_from_conditioning(
    conditioning: Sequence[Any], name: str = "conditioning"
) -> tuple[PointCloud, ...]:
    """Read a CONDITIONING list, one cloud per entry. Nothing is copied, cut or padded.

    conditioning: list of [tensor [B, N, D], dict]; `name` is the input named in errors.
    Raises ValueError for an empty list, another shape, no rows, or rows that are not finite.
    """
    if len(conditioning) == 0:
        raise ValueError(
            f"{name}: expected at least one conditioning entry, got an empty list. "
            "Connect the output of a CLIPTextEncode."
        )
    return tuple(_cloud(entry, f"{name}, entry {k}") for k, entry in enumerate(conditioning))


def _cloud(entry: Any, name: str) -> PointCloud:
    if len(entry) != 2 or not isinstance(entry[0], Tensor) or not isinstance(entry[1], Mapping):
        raise ValueError(
            f"{name}: expected a pair of a tensor and a dictionary, got {_type_names(entry)}. "
            "Connect the CONDITIONING output of a text encoder."
        )
    points, extras = entry
    if points.ndim != 3 or 0 in points.shape:
        raise ValueError(
            f"{name}: expected rows of shape [batch, rows, width], none of them zero, got "
            f"{list(points.shape)}. Connect the CONDITIONING output of a text encoder."
        )
    if not bool(torch.isfinite(points).all()):
        bad = int((~torch.isfinite(points)).any(dim=-1).sum())
        raise ValueError(
            f"{name}: expected finite numbers, got NaN or infinity in {bad} of "
            f"{points.shape[0] * points.shape[1]} rows. Check the text encoder (a half-precision "
            "overflow, or a damaged model file) and the nodes before this one."
        )
    return PointCloud(points, dict(extras))


def _type_names(entry: Any) -> str:
    return "[" + ", ".join(type(part).__name__ for part in entry) + "]"


def conditioning_from_clouds(clouds: Sequence[PointCloud]) -> list[list[Any]]:
    """The CONDITIONING list of clouds, with the same tensors and dictionaries, bit for bit."""
    return [[cloud.points, dict(cloud.extras)] for cloud in clouds]


def populations(cloud: PointCloud) -> Tensor:
    """Labels of all rows, [B, N] int64. A coupling may pair only rows with equal labels.

    Two things split a cloud. Rows that an `attention_mask` hides must not be paired with rows that
    it shows. SD3's rows come from two encoders (see `SD3_WIDTH`); rows of zeros belong to neither.
    """
    labels = torch.zeros(cloud.points.shape[:2], dtype=torch.int64)
    mask = cloud.extras.get("attention_mask")
    if isinstance(mask, Tensor) and mask.numel() in (cloud.rows, cloud.batch * cloud.rows):
        labels += mask.reshape(-1, cloud.rows).cpu().ne(0).long()  # one mask for all, or one each
    if cloud.width == SD3_WIDTH:
        empty = (cloud.points == 0).all(dim=-1).cpu()
        is_clip = (cloud.points[..., SD3_CLIP_WIDTH:] == 0).all(dim=-1).cpu() & ~empty
        labels += 2 * is_clip.long()
    return labels


def repeat_rows(points: Tensor, rows: int) -> Tensor:
    """The same measure on `rows` points: the whole cloud repeated, first row first.

    points: [..., N, D] with N dividing `rows`. This changes nothing for a model with
    cross-attention alone, and ComfyUI itself joins prompts of different lengths in this way.
    """
    times, rest = divmod(rows, points.shape[-2])
    if rest:
        raise ValueError(f"{points.shape[-2]} rows do not divide {rows} rows")
    if times == 1:
        return points
    return points.repeat(*([1] * (points.ndim - 2)), times, 1)


def pad_rows(points: Tensor, rows: int) -> Tensor:
    """[..., N, D] with rows of zeros behind the last one: [..., rows, D]."""
    return torch.nn.functional.pad(points, (0, 0, 0, rows - points.shape[-2]))


def summary(clouds: Sequence[PointCloud]) -> str:
    """A conditioning described in words: its rows, width, norms, and other keys."""
    lines = []
    for k, cloud in enumerate(clouds):
        norms = cloud.points.cpu().double().norm(dim=-1)
        lines.append(
            f"entry {k}: {cloud.rows} rows of {cloud.width} features"
            + (f", batch of {cloud.batch}" if cloud.batch > 1 else "")
            + f"; row norm {norms.min():.2f} to {norms.max():.2f}, mean {norms.mean():.2f}"
        )
        lines.append("  also holds: " + (", ".join(sorted(cloud.extras)) or "nothing"))
    return "\n".join(lines)
