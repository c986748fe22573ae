"""The initial value problem: conserved quantities, order of accuracy, retracing."""

from __future__ import annotations

import math

import pytest
import torch

from geometry.density.boundary import solve
from geometry.density.curve import line
from geometry.density.initial import random_velocity, shoot
from tests.geometry.mixtures import Mixture, banana, gaussian, shell

START = torch.tensor([1.2, 0.3], dtype=torch.float64)
VELOCITY = torch.tensor([-0.5, 1.4], dtype=torch.float64)


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_angular_momentum_is_conserved(strength: float) -> None:
    """Clairaut's relation: for a density symmetric around 0, p^(−a) · (γ × v̂) is constant."""
    density = gaussian(2, isotropic=True)
    curve = shoot(
        START, VELOCITY, density.score, strength=strength, duration=1.0, steps=1000, spherical=False
    )
    x = curve.inner
    v = (curve.knots[2:] - curve.knots[:-2]) / 2
    cross = (x[:, 0] * v[:, 1] - x[:, 1] * v[:, 0]) / v.norm(dim=1)
    momentum = cross * (-strength * density.log_density(x)).exp()
    assert float((momentum / momentum[0] - 1).abs().max()) < 4e-6
    assert float(cross.max() / cross.min()) > 1.05  # it is a curve, but not a circle


@pytest.mark.parametrize("density", [banana(), gaussian(2, 5)], ids=["mixture", "gaussian"])
def test_speed_is_conserved(density: Mixture) -> None:
    """The solution keeps its speed ‖γ'‖, measured on the knots."""
    curve = shoot(
        START, VELOCITY, density.score, strength=1.0, duration=1.0, steps=500, spherical=False
    )
    steps = (curve.knots[1:] - curve.knots[:-1]).norm(dim=1) * 500
    torch.testing.assert_close(steps, VELOCITY.norm().expand(500), rtol=4e-5, atol=0)


@pytest.mark.parametrize("spherical", [True, False])
def test_it_is_of_fourth_order(spherical: bool) -> None:
    """Half the step, a sixteenth of the error."""
    density = shell(16)
    start = density.means[0]
    velocity = random_velocity(start, 4.0, seed=1)
    ends = [
        shoot(
            start,
            velocity,
            density.score,
            strength=0.1,
            duration=1.0,
            steps=steps,
            spherical=spherical,
        ).knots[-1]
        for steps in (8, 16, 256)
    ]
    coarse, fine = (float((end - ends[2]).norm()) for end in ends[:2])
    assert 10 < coarse / fine < 24


@pytest.mark.parametrize("spherical", [True, False])
def test_it_retraces_the_boundary_value_path(spherical: bool) -> None:
    """From the end with the reversed velocity it returns to the start."""
    density = shell(64)
    a, b = density.means[0], density.means[1]
    b = b * (a.norm() / b.norm())
    found = solve(
        a, b, density.score, strength=0.02, levels=6, learning_rate=5.0, spherical=spherical
    ).curve
    back = shoot(
        b,
        -found.end_velocity(),
        density.score,
        strength=0.02,
        duration=1.0,
        steps=64,
        spherical=spherical,
    )
    arc = line(a, b, spherical).at(found.times)
    bulge = float((found.knots - arc).norm(dim=1).max())
    away = float((back.reversed().knots - found.knots).norm(dim=1).max())
    assert bulge > 0.2
    assert away < 0.04 * bulge


def test_without_strength_it_goes_round_the_sphere() -> None:
    density = shell(32)
    start = density.means[0]
    radius = float(start.norm())
    velocity = random_velocity(start, 2 * math.pi * radius, seed=3)
    assert abs(float(velocity @ start)) < 1e-4 * radius
    curve = shoot(start, velocity, density.score, strength=0.0, duration=1.0, steps=400)
    torch.testing.assert_close(curve.knots.norm(dim=1), start.norm().expand(401))
    torch.testing.assert_close(curve.knots[-1], start, rtol=0, atol=1e-3)
    torch.testing.assert_close(curve.knots[200], -start, rtol=0, atol=1e-3)


def test_it_stays_on_the_sphere() -> None:
    density = shell(32)
    start = density.means[0]
    curve = shoot(
        start, random_velocity(start, 5.0, 0), density.score, strength=0.5, duration=1.0, steps=20
    )
    torch.testing.assert_close(curve.knots.norm(dim=1), start.norm().expand(21))


def test_a_seed_is_a_direction() -> None:
    point = shell(32).means[0]
    one, again, other = (random_velocity(point, 3.0, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert float(one.norm()) == pytest.approx(3.0)


def test_bad_input() -> None:
    density = shell(8)
    start = density.means[0]
    chosen = {"strength": 0.1, "duration": 1.0, "steps": 4}
    with pytest.raises(ValueError, match="velocity: expected a direction"):
        shoot(start, 0 * start, density.score, **chosen)
    with pytest.raises(ValueError, match="finite score"):
        shoot(start, start.flip(0), lambda x, _: x / 0, **chosen)
