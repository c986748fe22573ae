"""Laws of norm-aware optimisation: exact ends, a better objective, cancelled at any step."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chi
from torch import Tensor

from geodesic_morph.geometry import nao

from .strategies import global_random_state, normal

D = 256


def length_in_unlikelihood(points: Tensor) -> float:
    """Σ ‖Δ‖ (−f(‖middle‖)), by scipy's own density of the norm."""
    flat = points.double()
    steps = (flat[1:] - flat[:-1]).norm(dim=1).numpy()
    middles = ((flat[1:] + flat[:-1]) / 2).norm(dim=1).numpy()
    return float((steps * -chi.logpdf(middles, flat.shape[1])).sum())


def line(x: Tensor, y: Tensor) -> Tensor:
    t = torch.linspace(0, 1, nao.POINTS)[:, None]
    return (1 - t) * x + t * y


@pytest.mark.parametrize("dimensions", [3, D, 16384])
def test_the_density_is_scipys(dimensions: int) -> None:
    """f is the log density of the chi distribution."""
    norms = torch.linspace(0.5, 1.5, 7, dtype=torch.float64) * math.sqrt(dimensions)
    expected = chi.logpdf(norms.numpy(), dimensions)
    assert nao.log_density(norms, dimensions).tolist() == pytest.approx(expected.tolist(), rel=1e-9)


def test_a_path_has_its_ends_and_likely_norms() -> None:
    """Exact ends; the path has the norm that the straight line loses in its middle."""
    d = 64  # few enough to converge, which 256 do not in 10,000 steps
    x, y = normal(9, 2, d)
    told: list[int] = []
    path = nao.path(x, y, progress=lambda done, _: told.append(done))
    assert len(told) < nao.MAX_STEPS
    assert path.shape == (nao.POINTS, d)
    assert torch.equal(path[0], x)
    assert torch.equal(path[-1], y)
    assert length_in_unlikelihood(path) < 0.5 * length_in_unlikelihood(line(x, y))
    middle = float(path[nao.POINTS // 2].norm()) / math.sqrt(d)
    assert middle > 0.9
    assert float(line(x, y)[nao.POINTS // 2].norm()) / math.sqrt(d) < 0.8


def test_between_two_points_of_a_path_the_norm_stays() -> None:
    """At a point the point itself, between two points their arc, at the ends the ends."""
    x, y = normal(2, 2, D)
    path = nao.path(x, y, max_steps=50)
    assert torch.equal(nao.at(path, 0.0), path[0])
    assert torch.equal(nao.at(path, 1.0), path[-1])
    torch.testing.assert_close(nao.at(path, 0.3), path[3])
    a, b = (float(point.norm()) for point in path[3:5])
    assert min(a, b) * 0.999 <= float(nao.at(path, 0.35).norm()) <= max(a, b) * 1.001


def test_a_centroid_has_a_likely_norm() -> None:
    """Unlike the mean of five noises, whose norm is 1/√5 of theirs."""
    x = normal(3, 5, D)
    found = nao.centroid(x, [0.2] * 5, max_steps=300)
    assert found.shape == (D,)
    assert float(x.mean(0).norm()) / math.sqrt(D) < 0.55
    assert 0.8 < float(found.norm()) / math.sqrt(D) < 1.2
    cosines = torch.nn.functional.cosine_similarity(found[None], x)
    assert float(cosines.min()) > 0.2


def test_weights_pull_a_centroid() -> None:
    """A noise of more weight is nearer."""
    x = normal(4, 3, D)
    found = nao.centroid(x, [0.7, 0.15, 0.15], max_steps=300)
    near, far, other = torch.nn.functional.cosine_similarity(found[None], x).tolist()
    assert near > max(far, other)


def test_equal_ends_make_a_finite_path() -> None:
    """A path from a noise to itself is finite."""
    x = normal(5, D)
    path = nao.path(x, x, max_steps=200)
    assert bool(torch.isfinite(path).all())


def test_it_runs_where_gradients_are_off() -> None:
    """ComfyUI runs nodes in inference mode."""
    with torch.inference_mode():
        x, y = normal(6, 2, D)
        path = nao.path(x, y, max_steps=5)
        found = nao.centroid(torch.stack([x, y]), [0.5, 0.5], max_steps=5)
    assert bool(torch.isfinite(path).all())
    assert bool(torch.isfinite(found).all())


def test_the_same_seed_gives_the_same_path() -> None:
    """And no global random state changes."""
    before = global_random_state()
    x, y = normal(7, 2, D)
    one, two, other = (nao.path(x, y, seed, max_steps=20) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert global_random_state() == before


def test_progress_is_told_and_may_cancel() -> None:
    """`progress` is called before every step; what it raises ends the work."""
    told: list[tuple[int, int]] = []

    class Cancelled(Exception):
        pass

    def stop(done: int, most: int) -> None:
        told.append((done, most))
        if done == 3:
            raise Cancelled

    x, y = normal(8, 2, D)
    with pytest.raises(Cancelled):
        nao.path(x, y, progress=stop)
    assert told == [(k, nao.MAX_STEPS) for k in range(4)]
