"""The picture of a geodesic in the plane is true to the density."""

from __future__ import annotations

import numpy as np
import torch

from dev.pictures import density_figure
from dev.pictures.density_figure import END, START, log_density, paths, score


def test_its_score_is_the_gradient_of_its_density() -> None:
    x = torch.tensor([[0.3, 0.2], [-2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(log_density(x).sum(), x)
    torch.testing.assert_close(score(x.detach()), exact)


def test_the_geodesic_keeps_to_the_ridge() -> None:
    """It never falls below two thirds of its ends' density; the line loses nearly all."""
    found, straight, beyond = paths()
    t = np.linspace(0, 1, 101).tolist()
    ends = float(log_density(torch.stack([START, END])).exp().min())
    assert float(log_density(found.at(t)).exp().min()) > ends * 2 / 3
    assert float(log_density(straight.at(t)).exp().min()) < ends / 10
    before, after = found.knots[-1] - found.knots[-2], beyond.knots[1] - beyond.knots[0]
    assert float(torch.cosine_similarity(before, after, dim=0)) > 0.999


def test_it_can_be_drawn() -> None:
    picture = np.array(density_figure.draw())
    assert picture.shape[1] == 1000
    assert picture.std() > 10
