"""Paths of point clouds: the Wasserstein geodesic of two prompts, and chains through keyframes.

Which Way from B to A (arXiv 2511.12757), equation 3: z_i(t) = (1−t)·x_i + t·y_σ(i). With the
optimal coupling it is the constant-speed geodesic; with another it is that coupling's own path.

The contract of a path: t = 0 is the first keyframe and t = 1 the last (the first again, when the
path is closed), both returned exactly, in their own row order, and so is every keyframe between.
Inside a leg t runs at constant speed. A leg's share of [0, 1] is proportional to its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .cloud import PointCloud, repeat_rows
from .conditioning_keys import POOLED, ROWS, average, is_note, mix_extras, same_entry
from .coupling import OPTIMAL, RANDOM, ROW_ORDER, Coupling, common_rows, couple, have_common_rows
from .legs import check_time, check_weight, knots, locate


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A prompt on a path, and how the leg that ends here is made.

    weight: relative length of that leg in time. For the first keyframe these settings describe
    the leg that closes a loop.
    """

    cloud: PointCloud
    weight: float = 1.0
    method: str = OPTIMAL
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Path:
    """A chain of keyframes; legs[k] joins keyframe k to keyframe k+1.

    closing: the leg from the last keyframe back to the first; None until `closed` is called.
    """

    keyframes: tuple[Keyframe, ...]
    legs: tuple[Coupling, ...] = ()
    closing: Coupling | None = None

    def append(self, keyframe: Keyframe, names: tuple[str, str]) -> Path:
        """This path with one more keyframe. Raises what `couple` raises."""
        check_weight(keyframe.weight)
        leg = couple(
            self.keyframes[-1].cloud,
            keyframe.cloud,
            keyframe.method,
            keyframe.seed,
            names=names,
        )
        return replace(self, keyframes=(*self.keyframes, keyframe), legs=(*self.legs, leg))

    def closed(self) -> Path:
        """This path with a leg from the last keyframe back to the first.

        With two keyframes and the same method both ways, the way back uses the same pairs.
        """
        if self.closing is not None:
            return self
        self._check_legs()
        first, last = self.keyframes[0], self.keyframes[-1]
        check_weight(first.weight)
        way_there = self.legs[0]
        same_seed = way_there.seed == first.seed or first.method != RANDOM
        if len(self.legs) == 1 and way_there.method == first.method and same_seed:
            return replace(self, closing=way_there.inverse())
        leg = couple(
            last.cloud,
            first.cloud,
            first.method,
            first.seed,
            names=("the last keyframe", "the first keyframe"),
        )
        return replace(self, closing=leg)

    def _check_legs(self) -> None:
        if not self.legs:
            raise ValueError(
                "path: expected at least two keyframes, got one. Chain another Prompt Keyframe "
                "behind it."
            )

    @property
    def stops(self) -> tuple[PointCloud, ...]:
        """The clouds at the knots, in order; the first again at the end of a closed path."""
        clouds = tuple(keyframe.cloud for keyframe in self.keyframes)
        return clouds if self.closing is None else (*clouds, clouds[0])

    @property
    def all_legs(self) -> tuple[Coupling, ...]:
        return self.legs if self.closing is None else (*self.legs, self.closing)

    @cached_property
    def knots(self) -> np.ndarray:
        """The times of the stops: [number of legs + 1] float64 from 0 to 1."""
        weights = [keyframe.weight for keyframe in self.keyframes[1:]]
        if self.closing is not None:
            weights.append(self.keyframes[0].weight)
        return knots(weights)

    def locate(self, t: float) -> tuple[int, float]:
        """The leg k on which time t lies, and the time within it, in [0, 1); at stop k (k, 0.0)."""
        self._check_legs()
        return locate(self.knots, t)

    def is_stop(self, t: float) -> bool:
        """Whether a keyframe stands at this time."""
        return self.locate(t)[1] == 0

    def at(self, t: float) -> PointCloud:
        """The cloud at one time, [B, N, D]; at a knot the keyframe itself, with its own rows.

        Raises ValueError for t outside [0, 1].
        """
        k, u = self.locate(t)
        if u == 0:
            return self.stops[k]
        return blend(self.all_legs[k], u)


def blend(leg: Coupling, u: float) -> PointCloud:
    """Equation 3 at one time u of a leg: [B, L, D] in the source's type and on its device."""
    check_time(u)
    if u == 0 or u == 1:
        return leg.source if u == 0 else leg.target
    x, y = paired_rows(leg)
    return PointCloud(average((x, y), (1 - u, u)), _mixed_extras(leg, u))


def paired_rows(leg: Coupling) -> tuple[Tensor, Tensor]:
    """The rows x_i and y_σ(i) of a leg's pairs, both [B, L, D]."""
    x, y = leg.points
    batch = torch.arange(leg.source.batch)[:, None]
    return (
        x[batch.to(x.device), leg.source_rows.to(x.device)],
        y[batch.to(y.device), leg.target_rows.to(y.device)].to(x.device, x.dtype),
    )


def sample(path: Path, times: Sequence[float]) -> list[PointCloud]:
    """The clouds at F times, joined into as few batches as possible, in order."""
    return [joined(path, [times[f] for f in group]) for group in groups(path, times)]


def groups(path: Path, times: Sequence[float]) -> list[range]:
    """Ranges of consecutive frames that can share one conditioning, in order.

    Frames can share one when their dictionaries are equal (except `pooled_output` and rows of
    further encoders, which are joined, and words that no model reads) and when the rows of their
    legs have a small common multiple. So where an amount such as guidance changes along the
    path, every frame gets a conditioning of its own.
    The path must hold one prompt per keyframe (batch 1); raises ValueError otherwise.
    """
    if path.stops[0].batch != 1:
        raise ValueError(
            f"path: expected one prompt per keyframe, got a batch of {path.stops[0].batch}. Use "
            "Blend Prompts for batches, or split the batch before the path."
        )
    places = [path.locate(t) for t in times]
    dictionaries = [_extras(path, k, u) for k, u in places]
    ranges: list[range] = []
    counts: set[int] = set()
    for f, place in enumerate(places):
        rows = _row_counts(path, place)
        begins = not ranges or _unshared_keys(dictionaries[ranges[-1][0]], dictionaries[f])
        if begins or not have_common_rows(counts | rows):
            ranges.append(range(f, f + 1))
            counts = rows
        else:
            ranges[-1] = range(ranges[-1].start, f + 1)
            counts |= rows
    return ranges


def changing_keys(path: Path) -> set[str]:
    """The keys of the dictionaries that keep frames of a path from sharing a conditioning."""
    dictionaries = [dict(stop.extras) for stop in path.stops]
    return {key for a, b in pairwise(dictionaries) for key in _unshared_keys(a, b)}


def joined(path: Path, times: Sequence[float]) -> PointCloud:
    """The clouds at the times of one group as one batch: points [F, N, D] and one dictionary.

    N is the least common multiple of the rows of these frames' own legs, not of the whole path.
    """
    return PointCloud(joined_points(path, times), joined_extras(path, times))


def joined_points(path: Path, times: Sequence[float]) -> Tensor:
    """The rows of `joined` alone, [F, N, D]."""
    return _points(path, [path.locate(t) for t in times])


def joined_extras(path: Path, times: Sequence[float]) -> dict[str, Any]:
    """The dictionary of `joined` alone. Raises ValueError for keys that cannot be blended."""
    return _with_joined_pooled([_extras(path, *path.locate(t)) for t in times])


def _row_counts(path: Path, place: tuple[int, float]) -> set[int]:
    """The rows of a stop, or of the two stops around a frame; of a padded leg, its pairs."""
    k, u = place
    if u == 0:
        return {path.stops[k].rows}
    leg = path.all_legs[k]
    return {leg.pairs} if leg.is_padded else {leg.source.rows, leg.target.rows}


def _stops_of(place: tuple[int, float]) -> tuple[int, ...]:
    """The two stops around a frame, or the stop at which it is."""
    k, u = place
    return (k,) if u == 0 else (k, k + 1)


def _points(path: Path, places: Sequence[tuple[int, float]]) -> Tensor:
    """[F, N, D]: the rows of a leg are gathered once and blended for all its frames."""
    device = path.stops[0].points.device
    used = [path.stops[k] for k in sorted({k for place in places for k in _stops_of(place)})]
    rows = common_rows(sorted(set().union(*(_row_counts(path, place) for place in places))), "path")
    # The widest type of the frames' own keyframes, so that each of them is written exactly.
    kind = reduce(torch.promote_types, [stop.points.dtype for stop in used])
    out = torch.empty(len(places), rows, path.stops[0].width, dtype=kind, device=device)
    work = torch.promote_types(kind, torch.float32)
    inside: dict[int, list[int]] = {}
    for f, (k, u) in enumerate(places):
        if u == 0:
            out[f] = repeat_rows(path.stops[k].points[0], rows).to(out)
        else:
            inside.setdefault(k, []).append(f)
    for k, frames in inside.items():
        x, y = (repeat_rows(z.to(device, work), rows) for z in paired_rows(path.all_legs[k]))
        for f in frames:
            out[f] = average((x[0], y[0]), (1 - places[f][1], places[f][1]))
    return out


def _extras(path: Path, k: int, u: float) -> dict[str, Any]:
    if u == 0:
        return dict(path.stops[k].extras)
    return _mixed_extras(path.all_legs[k], u)


def _mixed_extras(leg: Coupling, u: float) -> dict[str, Any]:
    both = leg.source.extras, leg.target.extras
    return mix_extras(both, (1 - u, u), ("source", "target"), leg.method == ROW_ORDER)


def _unshared_keys(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The keys whose values keep two frames from sharing a conditioning."""
    return [
        key
        for key in (a.keys() | b.keys()) - {POOLED}
        if not same_entry(key, a.get(key), b.get(key))
        and not (key in ROWS and _same_shape(a, b, key))
        and not all(is_note(key, one.get(key)) for one in (a, b))
    ]


def _same_shape(a: dict[str, Any], b: dict[str, Any], key: str) -> bool:
    return all(isinstance(one.get(key), Tensor) for one in (a, b)) and a[key].shape == b[key].shape


def _with_joined_pooled(dictionaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first_frame, *others = dictionaries
    combined = {
        key: value
        for key, value in first_frame.items()
        if not is_note(key, value) or all(value == other.get(key) for other in others)
    }
    for key in {POOLED, *ROWS} & combined.keys():
        first = combined[key]
        if isinstance(first, Tensor):
            combined[key] = torch.cat([extras[key].to(first) for extras in dictionaries])
    return combined


def path_of_coupling(coupling: Coupling) -> Path:
    """The path whose only leg is this coupling."""
    ends = coupling.source, coupling.target
    keyframes = tuple(Keyframe(c, method=coupling.method, seed=coupling.seed) for c in ends)
    return Path(keyframes, (coupling,))
