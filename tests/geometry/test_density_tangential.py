"""The metric JᵀJ of the score: laws of its length, and geodesics that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geometry.density.boundary import Score
from geometry.density.curve import Curve, line
from geometry.density.tangential import length_gradient, measure, solve
from tests.geometry.mixtures import Mixture, banana, gaussian, shell
from tests.geometry.strategies import SEEDS, normal

WIDTH = 0.1  # of the ring
FINE = 2001  # points at which a path is measured that was found with 17
ROUGH = 1.002  # what a path found at few points may be longer at many: gaps narrower than a leg


def ring(points: Tensor, _times: object = ()) -> Tensor:
    """The score of log p = −(r − 1)²/(2·WIDTH²) in the plane."""
    radius = points.norm(dim=1, keepdim=True)
    return -(radius - 1) / WIDTH**2 * points / radius


def on_ring(degrees: float) -> Tensor:
    angle = math.radians(degrees)
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def point(*coordinates: float) -> Tensor:
    return torch.tensor(coordinates, dtype=torch.float64)


def two_gaussians(variance: float) -> Mixture:
    """At (−2, 0) and (2, 0), with a gap between them where the score changes fast."""
    spread = variance * torch.eye(2, dtype=torch.float64)
    means = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    return Mixture(torch.full((2,), 0.5, dtype=torch.float64), means, spread.expand(2, 2, 2))


DENSITIES = {
    "two narrow Gaussians": two_gaussians(0.25),
    "two Gaussians": two_gaussians(0.5),
    "banana": banana(),
    "one Gaussian": gaussian(2),
}


def length(curve: Curve, score: Score) -> float:
    """Measured finely."""
    knots = curve.at(np.linspace(0, 1, FINE).tolist())
    scores = score(knots, ())
    return float((scores[1:] - scores[:-1]).norm(dim=1).sum())


def bent(seed: int, legs: int, dimensions: int) -> Curve:
    return Curve(normal(seed, legs + 1, dimensions, dtype=torch.float64), spherical=False)


@given(SEEDS, st.integers(2, 6), st.floats(-0.9, 3.0))
def test_the_gradient_is_the_lengths(seed: int, legs: int, change: float) -> None:
    """Beside autograd through the exact score of a mixture, whose Jacobian is symmetric.

    The score changes along the path, as a model's does with its prompt.
    """
    density = two_gaussians(2.0)
    curve = bent(seed, legs, 2)

    def score(points: Tensor, times: Sequence[float]) -> Tensor:
        factors = 1 + change * torch.tensor(times, dtype=torch.float64)
        return factors[:, None] * density.score(points)

    knots = curve.knots.clone().requires_grad_(True)
    middles = [(j + 0.5) / legs for j in range(legs)]
    changes = score(knots[1:], middles) - score(knots[:-1], middles)
    norms = changes.detach().norm(dim=1)
    # The law holds where no leg's change is cut short.
    if float(norms.min()) < 0.11 * float(norms.mean()):
        return
    changes.norm(dim=1).sum().backward()
    assert knots.grad is not None
    exact = knots.grad[1:-1]
    found = length_gradient(curve, changes.detach(), score)
    assert float((found - exact).norm()) < 0.02 * float(exact.norm()) + 1e-5


@given(SEEDS, st.sampled_from(sorted(DENSITIES)))
def test_it_is_not_longer_than_the_straight_line(seed: int, name: str) -> None:
    """Also where few points would not see it: a leg may not span a gap between equal scores."""
    score = DENSITIES[name].score
    start, end = 1.5 * normal(seed, 2, 2, dtype=torch.float64)
    found = solve(start, end, score, spherical=False).curve
    assert length(found, score) <= ROUGH * length(line(start, end, spherical=False), score)


@pytest.mark.parametrize(
    ("name", "start", "end", "share"),
    [
        ("two narrow Gaussians", point(-2, 1), point(2, -0.4), 0.998),
        ("banana", point(-2, 0), point(2, 0), 0.9),
        ("banana", point(-2, -0.5), point(2, 0.3), 0.9),
    ],
)
def test_it_is_shorter_where_the_line_crosses_a_gap(
    name: str, start: Tensor, end: Tensor, share: float
) -> None:
    score = DENSITIES[name].score
    found = solve(start, end, score, spherical=False).curve
    assert length(found, score) < share * length(line(start, end, spherical=False), score)


@given(SEEDS)
def test_of_a_gaussian_it_is_the_straight_line(seed: int) -> None:
    """Its Jacobian is the same everywhere, whatever the shape of the Gaussian."""
    density = gaussian(3, seed)
    start, end = normal(seed, 2, 3, dtype=torch.float64)
    straight = line(start, end, spherical=False)
    found = solve(start, end, density.score, spherical=False).curve
    torch.testing.assert_close(found.knots, straight.at(found.times), rtol=1e-6, atol=1e-6)


def test_on_a_sphere_it_stays_on_it_and_is_shorter_than_the_great_arc() -> None:
    density = shell()
    start, end = (p * 8 / p.norm() for p in normal(1, 2, 64, dtype=torch.float64))
    found = solve(start, end, density.score)
    torch.testing.assert_close(found.curve.knots.norm(dim=1), torch.full((17,), 8.0).double())
    assert length(found.curve, density.score) < 0.9 * length(line(start, end), density.score)


@given(SEEDS, st.sampled_from(sorted(DENSITIES)))
def test_the_length_never_rises_and_ends_stay(seed: int, name: str) -> None:
    score = DENSITIES[name].score
    start, end = 1.5 * normal(seed, 2, 2, dtype=torch.float64)
    found = solve(start, end, score, levels=3, iterations=12, spherical=False)
    (lengths,) = found.history
    assert all(after < before for before, after in pairwise(lengths))
    assert measure(found.curve, score).length == pytest.approx(lengths[-1])
    assert torch.equal(found.curve.knots[[0, -1]], torch.stack([start, end]))


@given(SEEDS)
def test_its_knots_are_at_equal_distances(seed: int) -> None:
    start, end = 1.5 * normal(seed, 2, 2, dtype=torch.float64)
    found = solve(start, end, banana().score, iterations=6, spherical=False).curve
    legs = found.leg_lengths()
    assert float(legs.max()) < 1.2 * float(legs.min())


def test_it_keeps_to_a_ring() -> None:
    """The straight line between two places of a ring leaves it; the geodesic follows it."""
    start, end = on_ring(-55), on_ring(55)
    chord = line(start, end, spherical=False)
    assert float(chord.at([0.5]).norm()) < 0.6
    found = solve(start, end, ring, iterations=200, spherical=False).curve
    assert float((found.knots.norm(dim=1) - 1).abs().max()) < 0.08
    assert length(found, ring) < 0.1 * length(chord, ring)


def test_equal_ends_stay_and_what_is_not_finite_is_refused() -> None:
    point = on_ring(10)
    found = solve(point, point.clone(), ring, levels=2, iterations=5)
    assert torch.equal(found.curve.knots, point.expand(5, -1))

    def broken(points: Tensor, _times: object = ()) -> Tensor:
        return points * float("nan")

    with pytest.raises(ValueError, match="model: expected a finite score"):
        solve(on_ring(0), on_ring(50), broken, levels=1, iterations=1)


def test_it_can_be_cancelled_and_watched() -> None:
    seen: list[int] = []
    told: list[tuple[int, int]] = []
    solve(
        on_ring(0),
        on_ring(50),
        ring,
        levels=3,
        iterations=12,
        spherical=False,
        progress=lambda done, most: told.append((done, most)),
        watch=lambda so_far: seen.append(so_far.curve.legs),
    )
    assert seen == [8, 8, 8]
    assert told[-1] == (12, 12)
    assert all(a <= b for (a, _), (b, _) in pairwise(told))
