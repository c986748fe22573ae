"""The boundary value problem on densities whose geodesics are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_bvp
from torch import Tensor

from geometry.density import boundary, measure
from geometry.density.boundary import residual, solve
from geometry.density.curve import Curve, line
from tests.geometry.mixtures import Mixture, banana, gaussian, shell

LEFT = torch.tensor([-2.0, 0.0], dtype=torch.float64)
RIGHT = torch.tensor([2.0, 0.0], dtype=torch.float64)

# Steps are implicit, so that an exact score may be followed faster than by the paper's 0.1.
FAST = 10.0


def length(curve: Curve, density: Mixture, strength: float, points: int = 2000) -> float:
    """∫ ‖γ'‖ p^(−a) dt of the curve itself, by many points on it."""
    dense = curve.at(np.linspace(0, 1, points + 1).tolist())
    middle = (dense[1:] + dense[:-1]) / 2
    steps = (dense[1:] - dense[:-1]).norm(dim=1)
    return float((steps * (-strength * density.log_density(middle)).exp()).sum())


def wavy(dimensions: int, t: Tensor) -> Tensor:
    """A smooth curve with no symmetry, [n, D]."""
    k = torch.arange(1, dimensions + 1, dtype=torch.float64)
    return torch.sin(t[:, None] * (1 + k / dimensions) + k) + 0.3 * t[:, None].square() * k.cos()


def gradients(density: Mixture, strength: float, n: int) -> tuple[Tensor, Tensor]:
    """∂(length)/∂(knot) of a wavy curve of n segments, by autograd and by a ‖v‖ p^(−a) G."""
    t = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    points = wavy(density.means.shape[1], t).requires_grad_(True)
    middle = (points[1:] + points[:-1]) / 2
    weight = (-strength * density.log_density(middle)).exp()
    total = ((points[1:] - points[:-1]).norm(dim=1) * weight).sum()
    (by_autograd,) = torch.autograd.grad(total, points)
    curve = Curve(points.detach(), spherical=False)
    found = residual(curve, density.score(curve.inner), strength)
    p = (-strength * density.log_density(curve.inner)).exp()
    by_formula = -(found.speeds * p)[:, None] * found.total / n
    keep = slice(n // 10, -n // 10)  # away from the ends, where splines know less
    return by_autograd[1:-1][keep], by_formula[keep]


def difference(pair: tuple[Tensor, Tensor]) -> float:
    a, b = pair
    return float((a - b).norm(dim=1).max() / a.norm(dim=1).max())


@pytest.mark.parametrize(
    ("density", "strength"),
    [(banana(), 1.0), (banana(), 0.05), (gaussian(64, 3), 0.05), (shell(), 0.05)],
)
def test_gradient_is_that_of_the_length(density: Mixture, strength: float) -> None:
    """Equal to autograd of the discretised length, the better the finer it is cut."""
    assert difference(gradients(density, strength, 1000)) < 1e-5


@pytest.mark.parametrize("density", [gaussian(64, 3), shell()], ids=["gaussian", "mixture"])
def test_gradient_of_a_steep_density(density: Mixture) -> None:
    """a = 1 in 64 dimensions: the segments' own error is larger there, and falls as 1/n²."""
    errors = [difference(gradients(density, 1.0, n)) for n in (250, 500, 1000)]
    assert errors[2] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_a_gaussians_geodesic_solves_its_equation(strength: float) -> None:
    """γ'' = −a ‖γ'‖² P s by scipy's own boundary value solver."""
    density = gaussian(2, 5)
    start = torch.tensor([-1.5, 0.4], dtype=torch.float64)
    end = torch.tensor([0.8, 1.3], dtype=torch.float64)

    def equation(_: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, v = y[:2], y[2:]
        s = density.score(torch.from_numpy(x.T)).numpy().T
        along = (s * v).sum(0) / (v * v).sum(0)
        return np.vstack([v, -strength * (v * v).sum(0) * (s - along * v)])

    def ends(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a[:2] - start.numpy(), b[:2] - end.numpy()])

    t = np.linspace(0, 1, 65)
    x = (1 - t) * start.numpy()[:, None] + t * end.numpy()[:, None]
    guess = np.vstack([x, np.repeat((end - start).numpy()[:, None], len(t), axis=1)])
    exact = solve_bvp(equation, ends, t, guess, tol=1e-8)
    assert exact.success
    ours = solve(
        start, end, density.score, strength=strength, levels=6, learning_rate=FAST, spherical=False
    ).curve
    # Only the paths are compared: positions of knots along a path do not matter.
    path = exact.sol(np.linspace(0, 1, 5001))[:2].T
    away = np.linalg.norm(ours.knots.numpy()[:, None] - path[None], axis=2).min(axis=1)
    straight = line(start, end, False).at(np.linspace(0, 1, 65).tolist()).numpy()
    bulge = np.linalg.norm(straight[:, None] - path[None], axis=2).min(axis=1).max()
    assert bulge > 0.1
    assert away.max() < 2e-3 * bulge + 3e-4


@pytest.mark.parametrize(("strength", "share"), [(0.3, 0.95), (1.0, 0.6)])
def test_it_is_shorter_and_more_probable_than_a_line(strength: float, share: float) -> None:
    density = banana()
    start = line(LEFT, RIGHT, spherical=False)
    found = solve(
        LEFT, RIGHT, density.score, strength=strength, learning_rate=FAST, spherical=False
    ).curve
    assert length(found, density, strength) < share * length(start, density, strength)
    times = np.linspace(0, 1, 201).tolist()
    here, there = (density.log_density(curve.at(times)) for curve in (found, start))
    assert float(here.min()) > float(there.min()) + 0.2
    assert float(here.mean()) > float(there.mean())


def test_it_is_shorter_on_a_sphere() -> None:
    """64 dimensions, as in latent space: knots keep their norms, which differ at the ends."""
    density = shell()
    start, end = density.means[0], 1.1 * density.means[1]
    solution = solve(start, end, density.score, strength=0.05, learning_rate=FAST)
    found = solution.curve
    norms = found.knots.norm(dim=1)
    expected = torch.linspace(float(start.norm()), float(end.norm()), 17, dtype=torch.float64)
    torch.testing.assert_close(norms, expected, rtol=1e-9, atol=0)
    assert torch.equal(found.knots[0], start)
    assert torch.equal(found.knots[-1], end)
    assert length(found, density, 0.05) < length(line(start, end), density, 0.05)
    history = solution.history[-1]
    assert history[-1] < 0.1 * solution.history[0][0]


@given(st.integers(0, 50), st.sampled_from([0.01, 0.1]), st.booleans())
@settings(deadline=None, max_examples=5)
def test_it_is_the_same_the_other_way(seed: int, strength: float, spherical: bool) -> None:
    density = shell(16, seed)
    a, b = density.means[0], density.means[1]
    there, back = (
        solve(x, y, density.score, strength=strength, levels=2, spherical=spherical).curve
        for x, y in ((a, b), (b, a))
    )
    torch.testing.assert_close(there.knots, back.reversed().knots, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spherical", [True, False])
def test_without_strength_it_is_the_great_arc(spherical: bool) -> None:
    density = shell(16)
    a, b = density.means[0], density.means[1]
    arc = line(a, b, spherical)
    away = []
    for strength in (0.01, 0.001, 0.0001, 0.0):
        found = solve(a, b, density.score, strength=strength, levels=3, spherical=spherical).curve
        away.append(float((found.knots - arc.at(found.times)).norm(dim=1).max()))
    assert away[3] < 1e-9
    assert away[2] < 0.12 * away[1] < 0.12**2 * away[0] * 1.2
    assert away[0] > 1e-3


@pytest.mark.parametrize("strength", [1e3, 1e9])
@pytest.mark.parametrize("rate", [1e-9, 1e6])
def test_absurd_strengths_stay_finite(strength: float, rate: float) -> None:
    density = shell()
    a, b = density.means[0], density.means[1]
    found = solve(a, b, density.score, strength=strength, learning_rate=rate, levels=2).curve
    assert bool(torch.isfinite(found.knots).all())
    assert torch.equal(found.knots[[0, -1]], torch.stack([a, b]))


def test_a_strong_bulge_does_not_fold() -> None:
    """Far around a valley: knots stay at equal distances, and each step starts from the last."""
    centres = torch.tensor([[-2.2, -0.6], [-1.5, 0.7], [0.0, 1.35], [1.5, 0.7], [2.2, -0.6]])
    spread = 0.36 * torch.eye(2, dtype=torch.float64).expand(5, 2, 2)
    ridge = Mixture(torch.full((5,), 0.2, dtype=torch.float64), centres.double(), spread)
    start, end = (torch.tensor(x, dtype=torch.float64) for x in ([-2.1, -0.5], [2.0, -0.1]))
    found = solve(
        start, end, ridge.score, strength=1.0, levels=6, learning_rate=FAST, spherical=False
    ).curve
    steps = found.knots.diff(dim=0)
    lengths = steps.norm(dim=1)
    assert float(lengths.max() / lengths.min()) < 1.01
    turns = torch.cosine_similarity(steps[1:], steps[:-1])
    assert float(turns.min()) > 0.97
    assert length(found, ridge, 1.0) < 0.5 * length(line(start, end, False), ridge, 1.0)


def test_a_path_that_turns_back_has_a_large_finite_residual() -> None:
    """A curve that turns back has no direction at its turn, which gives large numbers, no NaN."""
    density = shell(16)
    a, b = density.means[0], density.means[1]
    arc = line(a, b).at([0.0, 0.25, 0.5, 0.75, 1.0])
    curve = Curve(torch.cat([arc, arc[:-1].flip(0)]))
    found = residual(curve, density.score(curve.inner), 0.1)
    there = residual(Curve(arc), density.score(arc[1:-1]), 0.1)
    assert math.isfinite(found.mean_norm)
    assert found.mean_norm > 100 * there.mean_norm


def test_a_rate_of_nothing_moves_nothing() -> None:
    density = shell(16)
    a, b = density.means[0], density.means[1]
    for strength in (0.0, 0.1):
        found = solve(a, b, density.score, strength=strength, learning_rate=0.0, levels=2).curve
        torch.testing.assert_close(found.knots, line(a, b).at(found.times))


@pytest.mark.parametrize("spherical", [True, False])
def test_evenly_spaced_knots_stay_on_their_way(spherical: bool) -> None:
    """Crowded knots on an arc are spread out; norms still change linearly from end to end."""
    density = shell(8)
    arc = line(density.means[0], 1.3 * density.means[1], spherical)
    crowded = Curve(arc.at([0.0, 0.05, 0.1, 0.7, 1.0]), spherical)
    found = crowded.evenly()
    even = arc.at([0.0, 0.25, 0.5, 0.75, 1.0])
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(unit(found.knots, dim=1), unit(even, dim=1), rtol=1e-6, atol=1e-6)
    if spherical:
        torch.testing.assert_close(found.knots.norm(dim=1), crowded.knots.norm(dim=1))
    else:
        torch.testing.assert_close(found.knots, even)


def test_equal_ends_stay_there() -> None:
    density = shell()
    a = density.means[0]
    for end in (a, a * (1 + 1e-9)):
        found = solve(a, end, density.score, strength=1.0).curve
        assert len(found.knots) == 17
        torch.testing.assert_close(found.knots, a.expand(17, -1))
    weight = measure.log_length(found.knots, np.zeros(17), 1.0)
    assert not math.isnan(weight)


def test_one_level_and_no_iterations() -> None:
    density = shell()
    a, b = density.means[0], density.means[1]
    one = solve(a, b, density.score, strength=0.05, levels=1).curve
    assert len(one.knots) == 3
    none = solve(a, b, density.score, strength=0.05, iterations=0)
    assert none.history == ((), (), (), ())
    assert len(none.curve.knots) == 17
    torch.testing.assert_close(none.curve.knots, line(a, b).at(none.curve.times))


def test_it_counts_as_the_paper_does() -> None:
    """The model is called on 1, 3, 7 and 15 points, once for each iteration."""
    asked = []

    def count(points: Tensor, _: object) -> Tensor:
        asked.append(len(points))
        return torch.ones_like(points) * torch.rand(points.shape, generator=generator)

    generator = torch.Generator().manual_seed(0)
    seen = []
    density = shell()
    solve(
        density.means[0],
        density.means[1],
        count,
        strength=0.002,
        iterations=10,
        progress=lambda done, most: seen.append((done, most)),
    )
    assert asked == [1] * 10 + [3] * 10 + [7] * 10 + [15] * 10
    assert seen == [(k, 40) for k in range(41)]


def test_the_learning_rate_falls_over_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its value to 0 in equal steps, divided by the number of inner knots."""
    rates_seen = []

    def stay(curve: Curve, _score: Any, _strength: float, rates: Any, _progress: Any) -> Any:
        rates_seen.extend(rate * (curve.legs - 1) for rate in rates)
        return curve, ()

    monkeypatch.setattr(boundary, "relax", stay)
    density = gaussian(2)
    settings = {"levels": 3, "iterations": 4, "learning_rate": 0.6, "spherical": False}
    solve(LEFT, RIGHT, density.score, strength=1.0, **settings)
    np.testing.assert_allclose(rates_seen, 0.6 * (1 - np.arange(12) / 12))


def test_progress_can_stop_it() -> None:
    class CancelledError(Exception):
        pass

    def cancel(done: int, _: int) -> None:
        if done == 5:
            raise CancelledError

    density = shell()
    with pytest.raises(CancelledError):
        solve(density.means[0], density.means[1], density.score, strength=0.1, progress=cancel)


def test_bad_input() -> None:
    density = shell()
    a, b = density.means[0], density.means[1]
    with pytest.raises(ValueError, match="exact opposites"):
        solve(a, -a, density.score, strength=0.1)
    with pytest.raises(ValueError, match="origin"):
        solve(a, 0 * a, density.score, strength=0.1)
    for name, value in (
        ("strength", -1.0),
        ("strength", math.nan),
        ("levels", 0),
        ("iterations", -1),
        ("learning_rate", math.inf),
    ):
        chosen: dict[str, Any] = {"strength": 0.1, name: value}
        with pytest.raises(ValueError, match=f"{name}: expected"):
            solve(a, b, density.score, **chosen)
    with pytest.raises(ValueError, match="finite score, got NaN"):
        solve(a, b, lambda x, _: x * math.nan, strength=0.1)
