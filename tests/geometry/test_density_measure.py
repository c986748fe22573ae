"""Density along a curve, its length, and the measures that distinguish a geodesic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geometry.density.boundary import residual, solve
from geometry.density.curve import Curve, line
from geometry.density.measure import log_length, perturbed, relative_log_density, smoothed
from tests.geometry.mixtures import shell


def test_relative_log_density_is_that_of_the_density() -> None:
    density = shell(64)
    knots = line(density.means[0], density.means[1]).at(np.linspace(0, 1, 401).tolist())
    found = relative_log_density(knots, density.score(knots))
    exact = density.log_density(knots)
    np.testing.assert_allclose(found, (exact - exact[0]).numpy(), atol=1e-2)


@pytest.mark.parametrize("strength", [0.0, 0.05, 1.0])
def test_length_in_logs(strength: float) -> None:
    """The same as ∫ ‖γ'‖ p^(−a) dt where this can be computed, and finite where it overflows."""
    density = shell(64)
    knots = line(density.means[0], density.means[1]).at(np.linspace(0, 1, 401).tolist())
    exact = (density.log_density(knots) - density.log_density(knots[:1])).numpy()
    steps = (knots[1:] - knots[:-1]).norm(dim=1).numpy()
    weight = np.exp(-strength * exact)
    plain = math.log(float((steps * (weight[1:] + weight[:-1]) / 2).sum()))
    assert log_length(knots, exact, strength) == pytest.approx(plain, rel=1e-9)
    assert math.isfinite(log_length(knots, 1e5 * exact, 1.0))


def test_a_curve_that_stands_still_has_no_length() -> None:
    assert log_length(torch.ones(4, 3), np.zeros(4), 1.0) == -math.inf


def test_a_geodesic_has_the_smallest_residual() -> None:
    """The paper's test of a clip: its norm against that of a perturbed and a smoothed one."""
    density = shell(64)
    solution = solve(
        density.means[0], density.means[1], density.score, strength=0.03, learning_rate=5.0
    )

    def norm(curve: Curve) -> float:
        return residual(curve, density.score(curve.inner), 0.03).mean_norm

    own = norm(solution.curve)
    assert own < 0.1 * norm(perturbed(solution.curve, 0.1, seed=0))
    assert own < 0.5 * norm(smoothed(solution.curve, 1.5))
    assert own < 0.5 * norm(line(density.means[0], density.means[1]).refined().refined())


def test_perturbation_is_sideways_and_of_its_size() -> None:
    density = shell(64)
    curve = line(density.means[0], density.means[1]).refined().refined()
    moved = perturbed(curve, 0.2, seed=1)
    assert torch.equal(moved.knots[[0, -1]], curve.knots[[0, -1]])
    torch.testing.assert_close(moved.knots.norm(dim=1), curve.knots.norm(dim=1))
    away = (moved.inner - curve.inner).norm(dim=1)
    torch.testing.assert_close(
        away, torch.full((3,), 0.2 * curve.speed() / 4).double(), rtol=0.02, atol=0
    )
    assert torch.equal(perturbed(curve, 0.2, seed=1).knots, moved.knots)


def test_smoothing_takes_out_zigzag() -> None:
    curve = line(torch.tensor([4.0, 0, 0]), torch.tensor([0.0, 4, 0])).refined().refined().refined()
    zigzag = torch.tensor([0.0, 0.0, 0.3]) * (torch.arange(7) % 2 * 2 - 1)[:, None]
    rough = curve.with_inner(curve.inner + zigzag)
    soft = smoothed(rough, 1.0)
    # Beside an end, which is kept, less is averaged out.
    assert float(soft.inner[1:-1, 2].abs().max()) < 0.05 * float(rough.inner[:, 2].abs().max())
    assert smoothed(rough, 0.0) is rough
