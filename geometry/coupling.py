"""Couplings of two prompts: which row of one becomes which row of the other.

Which Way from B to A (arXiv 2511.12757), equation 2 and section 4.1: the optimal transport
coupling, the row-order ("CLIP") coupling that every linear prompt blend uses, and a random one.

For clouds of m and n rows every coupling is a list of L = lcm(m, n) pairs: the uniform measure
does not change when all rows are repeated L/m and L/n times, and on the repeated clouds a
permutation is always optimal (Birkhoff; Peyré & Cuturi, Computational Optimal Transport,
proposition 2.1). Zero-padding or cutting would change the image; repeating does not.

Models that see more than the cloud (Qwen-Image, LTXV, HiDream ...) have prompts of any length,
such as 23 and 31 rows. Only the row-order coupling takes them: it has max(m, n) pairs, and the last
rows of the longer prompt come from, or go to, rows of zeros, as in ComfyUI's ConditioningAverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from .cloud import PointCloud, pad_rows, populations
from .conditioning_keys import MASKS, ROWS, check_extras

OPTIMAL, ROW_ORDER, RANDOM = "optimal transport", "row order", "random"
METHODS = (OPTIMAL, ROW_ORDER, RANDOM)

# The rows of both prompts in each pair, [L] int64, and how they are found from rows [m, D], [n, D].
Pairs = tuple[np.ndarray, np.ndarray]
Rule = Callable[[Tensor, Tensor], Pairs]

# Costs are rounded to this fraction of the largest before they are compared. Rounding errors of
# the matrix product differ between processors; two couplings closer than this are a tie, and ties
# go to equal indices. So every machine finds the same coupling.
RESOLUTION = 2.0**-32

# A coupling of m and n rows has lcm(m, n) pairs, that is, repetitions of both prompts. More
# repetitions of the longer prompt than this cost too much attention for rows without new
# information.
MAX_REPEATS = 16


@dataclass(frozen=True, eq=False)
class Coupling:
    """A pairing of the rows of two clouds, every pair with the same mass.

    source_rows, target_rows: [B, L] int64; pair l joins row source_rows[b, l] of the source with
    row target_rows[b, l] of the target. Rows stand in the order of the source. The row after a
    prompt's last one, number m or n, stands for a row of zeros (see `is_padded`).
    """

    source: PointCloud
    target: PointCloud
    source_rows: Tensor
    target_rows: Tensor
    method: str
    seed: int = 0

    @property
    def pairs(self) -> int:
        """L, the number of rows in the middle of the path."""
        return self.source_rows.shape[1]

    @cached_property
    def is_padded(self) -> bool:
        """Whether rows of the longer prompt are paired with rows of zeros."""
        rows = (self.source_rows, self.source.rows), (self.target_rows, self.target.rows)
        return any(bool((chosen == count).any()) for chosen, count in rows)

    @property
    def points(self) -> tuple[Tensor, Tensor]:
        """The rows that the pairs number: [B, m, D] and [B, n, D], with zeros behind if padded."""
        x, y = self.source.points, self.target.points
        if not self.is_padded:
            return x, y
        return pad_rows(x, x.shape[1] + 1), pad_rows(y, y.shape[1] + 1)

    def distinct_pairs(self, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs of prompt b, each once: rows [P, 2], distances [P] in float64, counts [P]."""
        rows = torch.stack([self.source_rows[b], self.target_rows[b]], dim=1)
        unique, counts = torch.unique(rows, dim=0, return_counts=True)
        x, y = (points[b].cpu().double() for points in self.points)
        return unique, (x[unique[:, 0]] - y[unique[:, 1]]).norm(dim=1), counts

    @cached_property
    def squared_cost(self) -> float:
        """Σ ‖x_i − y_σ(i)‖² over all pairs of all prompts in the batch, float64."""
        return float(
            sum(
                (x.cpu().double()[i] - y.cpu().double()[j]).square().sum()
                for x, y, i, j in zip(*self.points, self.source_rows, self.target_rows, strict=True)
            )
        )

    @property
    def cost(self) -> float:
        """√(Σ ‖x_i − y_σ(i)‖²): the length of this coupling's path through Wasserstein space."""
        return math.sqrt(self.squared_cost)

    @cached_property
    def optimal(self) -> Coupling:
        """The optimal coupling of the same two clouds; its cost is W₂.

        Where optimal transport refuses two prompts that row order pads, or whose hidden rows
        differ: the optimal pairs of all their rows, padded in the same way.
        """
        if self.method == OPTIMAL:
            return self
        if self.method == ROW_ORDER and not _can_be_optimal(self.source, self.target):
            return _optimal_of_padded(self)
        return couple(self.source, self.target)

    def inverse(self) -> Coupling:
        """The same pairs from target to source, ordered by the target's rows."""
        order = torch.argsort(self.target_rows, dim=1, stable=True)
        return Coupling(
            source=self.target,
            target=self.source,
            source_rows=self.target_rows.gather(1, order),
            target_rows=self.source_rows.gather(1, order),
            method=self.method,
            seed=self.seed,
        )


def couple(
    source: PointCloud,
    target: PointCloud,
    method: str = OPTIMAL,
    seed: int = 0,
    pin_first_row: bool = True,
    names: tuple[str, str] = ("source", "target"),
) -> Coupling:
    """Pair the rows of two clouds.

    method: one of `METHODS`. seed, pin_first_row: only used by "random". pin_first_row pairs row 0,
    the begin-of-text row that all prompts share, with row 0. names: the two inputs, as errors
    should name them. Raises ValueError for clouds of different width or batch, for dictionaries
    that cannot be blended, and for an unknown method; except with "row order", also for row counts
    without a small common multiple and for prompts whose hidden rows or encoders differ.
    """
    rules: dict[str, Rule] = {
        OPTIMAL: optimal_pairs,
        RANDOM: lambda x, y: random_pairs(len(x), len(y), seed, pin_first_row),
    }
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got '{method}'.")
    _check_clouds(source, target, names)
    check_extras((source.extras, target.extras), names, method == ROW_ORDER)
    if method == ROW_ORDER:
        padded = not have_common_rows((source.rows, target.rows)) or _row_by_row(source, target)
        pairs = [row_order_pairs(source.rows, target.rows, padded)] * source.batch
    else:
        common_rows((source.rows, target.rows), f"{names[0]} and {names[1]}")
        labels = _check_populations(source, target, names)
        pairs = [
            _pairs_by_population(x, y, i, j, rules[method])
            for x, y, i, j in zip(source.points, target.points, *labels, strict=True)
        ]
    return _coupling(source, target, pairs, method, seed)


def _coupling(
    source: PointCloud, target: PointCloud, pairs: Sequence[Pairs], method: str, seed: int = 0
) -> Coupling:
    return Coupling(
        source=source,
        target=target,
        source_rows=torch.from_numpy(np.stack([i for i, _ in pairs])),
        target_rows=torch.from_numpy(np.stack([j for _, j in pairs])),
        method=method,
        seed=seed,
    )


def _row_by_row(source: PointCloud, target: PointCloud) -> bool:
    """Whether a prompt has masks or further rows, whose numbers must stay those of its rows."""
    return any(key in cloud.extras for cloud in (source, target) for key in MASKS | ROWS)


def _can_be_optimal(source: PointCloud, target: PointCloud) -> bool:
    """Whether optimal transport takes the rows and masks of two prompts."""
    if not have_common_rows((source.rows, target.rows)):
        return False
    try:
        _check_populations(source, target, ("source", "target"))
    except ValueError:
        return False
    return True


def _optimal_of_padded(coupling: Coupling) -> Coupling:
    rows = max(coupling.source.rows, coupling.target.rows)
    clouds = coupling.source, coupling.target
    x, y = (PointCloud(pad_rows(cloud.points, rows), {}) for cloud in clouds)
    pairs = [optimal_pairs(*both) for both in zip(x.points, y.points, strict=True)]
    return _coupling(x, y, pairs, OPTIMAL)


def squared_distances(x: Tensor, y: Tensor) -> np.ndarray:
    """‖x_i − y_j‖² for x [m, D], y [n, D]: [m, n] float64, one matrix product, never negative."""
    a, b = x.cpu().double(), y.cpu().double()
    centre = a.mean(0)  # a shared offset changes no distance, but would cost digits
    a, b = a - centre, b - centre
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None, :]
    return squares.sub_(2 * (a @ b.T)).clamp_(min=0).numpy()


def optimal_pairs(x: Tensor, y: Tensor) -> Pairs:
    """The pairs of least total squared distance; ties go to equal indices.

    x: [m, D], y: [n, D]. Returns two int64 arrays [lcm(m, n)], ordered by the first.
    """
    m, n = len(x), len(y)
    cost = _with_ties_broken(squared_distances(x, y))
    if m == n:
        from scipy.optimize import linear_sum_assignment

        i, j = linear_sum_assignment(cost)
        return i.astype(np.int64), j.astype(np.int64)
    return _unequal_pairs(cost)


def _with_ties_broken(cost: np.ndarray) -> np.ndarray:
    """Round the costs to `RESOLUTION`, and add a small penalty to pairs off the row order.

    All penalties of a coupling together are smaller than one step of the rounding. Values are
    integers times a power of two, so that sums of them are exact in float64.
    """
    m, n = cost.shape
    largest = cost.max()
    steps = np.rint(cost / largest / RESOLUTION) if largest > 0 else np.zeros_like(cost)
    off_order = (np.arange(m)[:, None] - np.arange(n)[None, :]) % math.gcd(m, n) != 0
    penalty = 2.0 ** -math.ceil(math.log2(math.lcm(m, n) + 1))
    return (steps + penalty * off_order) * RESOLUTION


def _unequal_pairs(cost: np.ndarray) -> Pairs:
    """The optimal m×n transport plan as L pairs; its entries are whole multiples of 1/L."""
    import ot

    m, n = cost.shape
    total = math.lcm(m, n)
    plan, log = ot.emd(
        np.full(m, total / m), np.full(n, total / n), cost, numItermax=10_000_000, log=True
    )
    if log["warning"] is not None:
        raise RuntimeError(f"optimal transport of {m} with {n} rows: {log['warning']}")
    counts = np.rint(plan).astype(np.int64)
    i, j = np.nonzero(counts)
    return np.repeat(i, counts[i, j]), np.repeat(j, counts[i, j])


def row_order_pairs(m: int, n: int, padded: bool = False) -> Pairs:
    """Row i with row i, ordered by the first: both clouds repeated as ComfyUI repeats them.

    padded: the shorter cloud is not repeated, but followed by rows of zeros, whose number is that
    of its rows.
    """
    if padded:
        k = np.arange(max(m, n), dtype=np.int64)
        return np.minimum(k, m), np.minimum(k, n)
    k = np.arange(math.lcm(m, n), dtype=np.int64)
    return _ordered(k % m, k % n)


def random_pairs(m: int, n: int, seed: int, pin_first_row: bool) -> Pairs:
    """A random permutation of the repeated rows, drawn on the CPU.

    pin_first_row pairs the first rows with each other; later copies of them are permuted like all
    rows.
    """
    total = math.lcm(m, n)
    pinned = int(pin_first_row)
    generator = torch.Generator("cpu").manual_seed(seed)
    shuffled = torch.randperm(total - pinned, generator=generator).numpy() + pinned
    k = np.arange(total, dtype=np.int64)
    return _ordered(k % m, np.concatenate([k[:pinned], shuffled]) % n)


def _ordered(i: np.ndarray, j: np.ndarray) -> Pairs:
    order = np.argsort(i, kind="stable")
    return i[order], j[order]


def _pairs_by_population(
    x: Tensor,
    y: Tensor,
    x_labels: Tensor,
    y_labels: Tensor,
    rule: Rule,
) -> Pairs:
    """Couple each population of rows only with rows of the same label."""
    sources, targets = [], []
    for label in torch.unique(x_labels):
        rows_x = torch.nonzero(x_labels == label)[:, 0]
        rows_y = torch.nonzero(y_labels == label)[:, 0]
        i, j = rule(x[rows_x.to(x.device)], y[rows_y.to(y.device)])
        sources.append(rows_x.numpy()[i])
        targets.append(rows_y.numpy()[j])
    return _ordered(np.concatenate(sources), np.concatenate(targets))


def have_common_rows(counts: Collection[int]) -> bool:
    """Whether clouds with these row counts have a small common number of rows."""
    different = combinations(sorted(set(counts) - {1}), 2)
    coprime = any(math.gcd(m, n) == 1 for m, n in different)
    return not coprime and math.lcm(*counts) <= MAX_REPEATS * max(counts)


def common_rows(counts: Sequence[int], name: str) -> int:
    """The common number of rows to which clouds with these row counts are repeated.

    Raises ValueError, naming the input, where that is too many (see `MAX_REPEATS`).
    """
    rows = math.lcm(*counts)
    if not have_common_rows(counts):
        listed = " and ".join(str(count) for count in dict.fromkeys(counts))
        raise ValueError(
            f"{name}: {listed} rows have no small common multiple; they only match after "
            f"repeating them to {rows} rows. Pad all prompts to one length in the text encoder "
            "(its minimum-length option, such as T5TokenizerOptions' min_length), or choose the "
            "method 'row order', which takes any lengths."
        )
    return rows


def _check_clouds(source: PointCloud, target: PointCloud, names: tuple[str, str]) -> None:
    if source.width != target.width:
        raise ValueError(
            f"{names[0]} and {names[1]}: expected rows of one width, got {source.width} and "
            f"{target.width} features (768 is SD1.5, 2048 is SDXL). Encode both prompts with the "
            "text encoder of one model."
        )
    if source.batch != target.batch:
        raise ValueError(
            f"{names[0]} and {names[1]}: expected batches of one size, got {source.batch} and "
            f"{target.batch}. Give both the same number of prompts."
        )


def _check_populations(
    source: PointCloud, target: PointCloud, names: tuple[str, str]
) -> tuple[Tensor, Tensor]:
    """Labels of the rows of both clouds; populations must match one to one in size.

    A prompt of zeros alone has no populations and gets those of the other prompt.
    """
    labels = populations(source), populations(target)
    if source.rows == target.rows:
        if not source.points.any():
            labels = labels[1], labels[1]
        elif not target.points.any():
            labels = labels[0], labels[0]
    split = any(len(torch.unique(of_cloud)) > 1 for of_cloud in labels)
    for x, y in zip(*labels, strict=True):
        counts = [torch.bincount(of_prompt, minlength=4).tolist() for of_prompt in (x, y)]
        if (split or x.unique().tolist() != y.unique().tolist()) and counts[0] != counts[1]:
            raise ValueError(
                f"{names[0]} and {names[1]}: their rows come from several encoders or are partly "
                f"masked, in groups of {_sizes(counts[0])} and {_sizes(counts[1])} rows, which "
                "cannot be paired. Pad both prompts to one length in the text encoder (its "
                "minimum-length option), or choose the method 'row order'."
            )
    return labels


def _sizes(counts: list[int]) -> str:
    return "/".join(str(count) for count in counts if count)


def total_cost(couplings: Sequence[Coupling]) -> float:
    """The cost of all entries of a conditioning together: √ of the sum of their squared costs."""
    return math.sqrt(sum(coupling.squared_cost for coupling in couplings))


def relative_cost(couplings: Sequence[Coupling]) -> float:
    """Cost divided by W₂, at least 1. Where W₂ is 0: 1 for cost 0, otherwise infinity."""
    cost, optimal = total_cost(couplings), total_cost([c.optimal for c in couplings])
    if optimal == 0:
        return 1.0 if cost == 0 else math.inf
    return cost / optimal
