"""The metric JᵀJ of the score: laws of its energy, and geodesics that are known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geometry.density.curve import Curve, line
from geometry.density.tangential import changes_along, energy, energy_gradient, relax, solve
from tests.geometry.mixtures import Mixture, banana, gaussian
from tests.geometry.strategies import SEEDS, normal

WIDTH = 0.1  # of the ring


def ring(points: Tensor, _times: object = ()) -> Tensor:
    """The score of log p = −(r − 1)²/(2·WIDTH²) in the plane."""
    radius = points.norm(dim=1, keepdim=True)
    return -(radius - 1) / WIDTH**2 * points / radius


def on_ring(degrees: float) -> Tensor:
    angle = math.radians(degrees)
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def bent(seed: int, legs: int, dimensions: int) -> Curve:
    return Curve(normal(seed, legs + 1, dimensions, dtype=torch.float64), spherical=False)


@given(SEEDS, st.integers(2, 6))
def test_the_gradient_is_the_energys(seed: int, legs: int) -> None:
    """Beside autograd through the exact score of a mixture, whose Jacobian is symmetric."""
    density: Mixture = banana()
    curve = bent(seed, legs, 2)
    knots = curve.knots.clone().requires_grad_(True)
    changes = density.score(knots[1:]) - density.score(knots[:-1])
    (legs * changes.square().sum() / 2).backward()
    assert knots.grad is not None
    exact = knots.grad[1:-1] / legs
    found = energy_gradient(curve, changes_along(curve, density.score), density.score)
    assert float((found - exact).norm()) < 0.05 * float(exact.norm()) + 1e-6


@given(SEEDS, st.integers(2, 8))
def test_of_a_gaussian_it_is_a_straight_line_after_one_step(seed: int, legs: int) -> None:
    """Its Jacobian is the same everywhere; the step is Newton's where it is isotropic."""
    density = gaussian(3, isotropic=True)
    curve = bent(seed, legs, 3)
    straight = Curve(curve.knots[[0, -1]], spherical=False).at(curve.times)
    found, lengths = relax(curve, density.score, 1)
    torch.testing.assert_close(found.knots, straight, rtol=1e-6, atol=1e-6)
    assert len(lengths) == 1


@given(SEEDS, st.integers(2, 6))
def test_the_energy_never_rises_and_ends_stay(seed: int, legs: int) -> None:
    curve = bent(seed, legs, 2)
    found, lengths = relax(curve, banana().score, 12)
    assert all(after <= before for before, after in pairwise(lengths))
    last = energy(changes_along(found, banana().score))
    assert last <= energy(changes_along(curve, banana().score))
    assert torch.equal(found.knots[[0, -1]], curve.knots[[0, -1]])


def test_it_keeps_to_a_ring() -> None:
    """The straight line between two places of a ring leaves it; the geodesic follows it."""
    start, end = on_ring(-55), on_ring(55)
    chord = line(start, end, spherical=False)
    assert float(chord.at([0.5]).norm()) < 0.6
    found = solve(start, end, ring, levels=4, iterations=200, spherical=False).curve
    assert float((found.knots.norm(dim=1) - 1).abs().max()) < 0.08
    refined = Curve(chord.at(found.times), spherical=False)
    changes = (changes_along(one, ring) for one in (found, refined))
    assert energy(next(changes)) < 0.05 * energy(next(changes))


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
        iterations=4,
        progress=lambda done, most: told.append((done, most)),
        watch=lambda so_far: seen.append(so_far.curve.legs),
    )
    assert seen == [2, 4]
    assert told[-1] == (12, 12)
    assert all(a <= b for (a, _), (b, _) in pairwise(told))
