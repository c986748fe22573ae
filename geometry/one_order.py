"""A path whose rows keep one order from its first prompt to its last.

Every leg of a path stands in the row order of its own source, and every keyframe in its own. So the
order changes at keyframes. A model that reads a point cloud does not see that. Something that mixes
the prompts of neighbouring frames row by row does see it, and jumps.
"""

from __future__ import annotations

import torch

from .cloud import PointCloud
from .coupling import Coupling, common_rows
from .path import Keyframe, Path


def in_one_order(path: Path) -> Path:
    """The same path with row p of every keyframe next to row p of its neighbours.

    The first keyframe's order is kept; the others' rows are reordered, and repeated to the common
    number of rows. As measures, all prompts stay the same. In a closed path the order still changes
    once, where the loop closes. Raises ValueError, naming the input `path`, for more than one
    prompt per keyframe, for row counts without a small common multiple, and for pairs in row order
    with zeros, whose keyframes have no common number of rows.
    """
    first = path.keyframes[0].cloud
    if first.batch != 1:
        raise ValueError(
            f"path: expected one prompt per keyframe, got a batch of {first.batch}. Split the "
            "batch before the path."
        )
    if any(leg.is_padded for leg in path.all_legs):
        raise ValueError(
            "path: expected prompts of equally many rows, or of lengths such as 77 and 154, got a "
            "leg that row order fills up with zeros. Pad all prompts to one length in the text "
            "encoder, or switch one_row_order off."
        )
    rows = common_rows([keyframe.cloud.rows for keyframe in path.keyframes], "path")
    # order[p]: the row of the current keyframe that stands at place p.
    order = torch.arange(rows) % first.rows
    clouds = [_ordered(first, order)]
    legs = []
    for leg in path.all_legs:
        order = _followed(leg, order)
        clouds.append(_ordered(leg.target, order))
        legs.append(_straight(leg, clouds[-2], clouds[-1]))
    keyframes = tuple(
        Keyframe(cloud, old.weight, old.method, old.seed)
        for cloud, old in zip(clouds, path.keyframes, strict=False)
    )
    if path.closing is None:
        return Path(keyframes, tuple(legs))
    return Path(keyframes, tuple(legs[:-1]), legs[-1])


def _followed(leg: Coupling, order: torch.Tensor) -> torch.Tensor:
    """Where the rows at all places go: [N] rows of the leg's target, from [N] of its source."""
    times = len(order) // leg.pairs
    sources, targets = leg.source_rows[0].repeat(times), leg.target_rows[0].repeat(times)
    # Both list every row of the source equally often; copies of a row meet its pairs in turn.
    places, pairs = order.argsort(stable=True), sources.argsort(stable=True)
    followed = torch.empty_like(order)
    followed[places] = targets[pairs]
    return followed


def _ordered(cloud: PointCloud, order: torch.Tensor) -> PointCloud:
    return PointCloud(cloud.points[:, order.to(cloud.points.device)], cloud.extras)


def _straight(leg: Coupling, source: PointCloud, target: PointCloud) -> Coupling:
    """The leg between two clouds of which row p belongs to row p."""
    rows = torch.arange(source.rows)[None]
    return Coupling(source, target, rows, rows, leg.method, leg.seed)
