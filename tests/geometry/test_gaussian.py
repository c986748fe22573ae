"""Laws of noise mixes: exact ends, unit variance, normal distribution, and counterexamples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from geodesic_morph.geometry import arc, gaussian

from .strategies import SEEDS, global_random_state, normal, refused

D = 4 * 64 * 64  # a latent of SD1.5 at 512×512
KS = 1e-5  # the authors' own threshold
TIMES = torch.linspace(0, 1, 9).tolist()

Weights = Callable[[Tensor, float], tuple[float, float]]


def noises(seed: int, count: int, *shape: int) -> Tensor:
    """K independent unit noises."""
    return normal(seed, count, *(shape or (4, 64, 64)))


def interpolation(method: str, x: Tensor) -> Tensor:
    """Nine frames between two noises, [9, ...]."""
    if method == "SLERP":
        angle = arc.angle(x[0], x[1])
        weights = torch.tensor([gaussian.slerp(angle, t) for t in TIMES], dtype=torch.float64)
    else:
        weights = torch.tensor([gaussian.lerp(t) for t in TIMES], dtype=torch.float64)
    if method == "COG":
        weights = gaussian.cog(weights)
    return gaussian.combine(x, weights)


def p_value(noise: Tensor) -> float:
    """Kolmogorov-Smirnov against N(0, 1)."""
    return float(kstest(noise.flatten().double().numpy(), "norm").pvalue)


@pytest.mark.parametrize("method", ["COG", "SLERP", "LERP"])
def test_ends_are_the_noises_themselves(method: str) -> None:
    """t = 0 and t = 1 return the two noises bit for bit, whatever the method."""
    x = noises(1, 2)
    frames = interpolation(method, x)
    assert torch.equal(frames[0], x[0])
    assert torch.equal(frames[-1], x[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", ["COG", "SLERP"])
def test_frames_between_are_normal(method: str, seed: int) -> None:
    """Unit variance at every t, and no test tells the values from draws of N(0, 1)."""
    for frame in interpolation(method, noises(seed, 2)):
        assert float(frame.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * D))
        assert p_value(frame) >= KS


@pytest.mark.parametrize("seed", range(5))
def test_lerp_is_not_normal(seed: int) -> None:
    """The straight line loses variance: 0.707 in the middle, which the same test rejects."""
    frames = interpolation("LERP", noises(seed, 2))
    assert float(frames[4].std()) == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert p_value(frames[4]) < KS
    assert p_value(frames[0]) >= KS


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_a_centroid_is_normal_and_the_plain_mean_is_not(count: int) -> None:
    """COG's centroid is √K times the mean, and N(0, 1); the mean itself is far too quiet."""
    x = noises(count, count)
    equal = torch.full((1, count), 1 / count)
    mixed = gaussian.combine(x, gaussian.cog(equal))[0]
    torch.testing.assert_close(mixed, math.sqrt(count) * x.mean(0))
    assert p_value(mixed) >= KS
    assert p_value(x.mean(0)) < KS


def test_what_is_made_likely_need_not_be_what_was_drawn() -> None:
    """Standardised: mean 0, variance 1. Mode norm: √(D−2)."""
    mean = noises(7, 3).mean(0)
    one, other = gaussian.standardised(mean), gaussian.mode_norm(mean)
    assert float(one.double().mean()) == pytest.approx(0, abs=1e-6)
    assert float(one.double().var(correction=0)) == pytest.approx(1, abs=1e-6)
    assert float(other.double().norm()) == pytest.approx(math.sqrt(D - 2), rel=1e-6)


def test_cog_is_its_closed_form() -> None:
    """z = ((1−t) x + t y) / √((1−t)² + t²), written out."""
    x = noises(3, 2)
    for t, frame in zip(TIMES, interpolation("COG", x), strict=True):
        expected = ((1 - t) * x[0] + t * x[1]) / math.sqrt((1 - t) ** 2 + t**2)
        torch.testing.assert_close(frame, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")
@given(SEEDS, st.integers(1, 6), st.integers(1, 5), st.booleans(), st.booleans())
def test_cog_is_the_authors_own(
    seed: int, count: int, frames: int, zero_row: bool, shifted: bool
) -> None:
    """Equal to the authors' package for any weights and any mean, all zeros too."""
    from lolatents.lol_torch import lol_gaussian

    x, weights = normal(seed, count, 50), normal(seed + 1, frames, count)
    mean = normal(seed + 2, 50) if shifted else torch.zeros(50)
    if zero_row:
        weights[0] = 0
    theirs = lol_gaussian(weights, x, mean)
    torch.testing.assert_close(gaussian.cog_of(x, weights, mean), theirs, rtol=1e-6, atol=1e-6)


def test_a_mean_other_than_zero_stays() -> None:
    """Equation 3 with μ: noises around 3 mix to noises around 3, of the same variance."""
    x = noises(11, 4) + 3
    mixed = gaussian.cog_of(x, torch.tensor([[0.4, 0.3, 0.2, 0.1]]), 3.0)[0]
    assert float(mixed.mean()) == pytest.approx(3, abs=5 / math.sqrt(D))
    assert float(mixed.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * D))


@given(st.floats(-0.95, 0.95), st.floats(0, 1))
def test_correlated_noises_keep_their_variance(rho: float, t: float) -> None:
    """With C measured, a mix of two noises of any correlation has unit variance; without it not."""
    a, b = noises(21, 2)
    x = torch.stack([a, rho * a + math.sqrt(1 - rho**2) * b])
    measured = gaussian.correlation(x)
    assert float(measured[0, 1]) == pytest.approx(rho, abs=0.03)
    weights = torch.tensor([[1 - t, t]])
    mixed = gaussian.combine(x, gaussian.cog(weights, measured))[0]
    assert float(mixed.std()) == pytest.approx(1, abs=0.03)
    unaware = gaussian.combine(x, gaussian.cog(weights))[0]
    expected = math.sqrt(1 + 2 * rho * t * (1 - t) / ((1 - t) ** 2 + t**2))
    assert float(unaware.std()) == pytest.approx(expected, abs=0.03)


def test_draws_are_known_and_the_rest_is_measured() -> None:
    """Two seeds are independent, one seed twice is one noise; an inverted image is measured."""
    x = noises(5, 4)
    x[2] = x[0]
    x[3] = 0.6 * x[1] + 0.8 * noises(6, 1)[0]
    found = gaussian.correlation(x, [8, 9, 8, None])
    expected = torch.eye(4, dtype=torch.float64)
    expected[0, 2] = expected[2, 0] = 1
    torch.testing.assert_close(found[:3, :3], expected[:3, :3], rtol=0, atol=0)
    assert float(found[1, 3]) == pytest.approx(0.6, abs=0.03)
    assert float(found[0, 3]) == pytest.approx(0, abs=0.03)
    assert torch.equal(found, found.T)


def test_one_noise_twice_stays_that_noise() -> None:
    """Between a noise and itself COG, SLERP and LERP all give that noise."""
    x = noises(9, 1).repeat(2, 1, 1, 1)
    weights = torch.tensor([gaussian.lerp(t) for t in TIMES], dtype=torch.float64)
    same = gaussian.cog(weights, gaussian.correlation(x, [3, 3]))
    for frames in (gaussian.combine(x, same), interpolation("SLERP", x), interpolation("LERP", x)):
        torch.testing.assert_close(frames, x[:1].expand_as(frames), rtol=1e-6, atol=1e-6)


def test_opposite_noises() -> None:
    """Between x and −x, without a unique arc, SLERP is finite; COG reports that they cancel out."""
    x = noises(9, 1).repeat(2, 1, 1, 1)
    x[1] *= -1
    assert bool(torch.isfinite(interpolation("SLERP", x)).all())
    refused(
        lambda: gaussian.cog(torch.tensor([[0.5, 0.5]]), gaussian.correlation(x)),
        "noise_path: expected",
        "cancels out",
    )


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_cog_takes_the_proportions_of_weights_alone(factor: float) -> None:
    """A common factor of all weights changes nothing, and small ones do not count as cancelled."""
    weights = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    correlations = torch.tensor([[1, 0.5], [0.5, 1]], dtype=torch.float64)
    expected = gaussian.cog(weights, correlations)
    torch.testing.assert_close(gaussian.cog(factor * weights, correlations), expected)


@given(SEEDS, st.floats(0, 1))
def test_slerp_is_on_the_arc(seed: int, t: float) -> None:
    """Unit vectors stay unit, and the arc is run through at constant speed."""
    x = normal(seed, 2, 30, dtype=torch.float64)
    x /= x.norm(dim=1, keepdim=True)
    angle = arc.angle(x[0], x[1])
    (at,) = gaussian.combine(x, torch.tensor([gaussian.slerp(angle, t)], dtype=torch.float64))
    assert float(at.norm()) == pytest.approx(1, abs=1e-9)
    assert arc.angle(x[0], at) == pytest.approx(t * angle, abs=1e-7)


@pytest.mark.parametrize("rest", [1e-2, 1e-4])
def test_nearly_opposite_noises_have_an_arc(rest: float) -> None:
    """Half way between unit vectors at an angle of π − rest is a unit vector."""
    angle = math.pi - rest
    x = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    (at,) = gaussian.combine(x, torch.tensor([gaussian.slerp(angle, 0.5)], dtype=torch.float64))
    assert float(at.norm()) == pytest.approx(1, abs=1e-6)


@given(st.floats(1e-9, math.pi - 1e-9))
def test_angles_are_exact_where_arccos_is_not(angle: float) -> None:
    """Near 0 and π too."""
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    y = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    assert arc.angle(x, y) == pytest.approx(angle, rel=1e-6)


def test_cog_is_nearly_slerp_for_independent_noises() -> None:
    """arXiv 2408.08558, appendix B: β of SLERP's weights is near 1, so both keep the norm.

    They run at another pace: COG's share of y at ¼ is 0.316, SLERP's 0.383 = sin(π/8).
    """
    x = noises(13, 2)
    cog, slerp = interpolation("COG", x), interpolation("SLERP", x)
    for one, other in zip(cog, slerp, strict=True):
        assert float((one - other).norm() / one.norm()) < 0.08
        assert float(other.norm() / one.norm()) == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(cog[4], slerp[4], rtol=0.02, atol=0.02)


@given(SEEDS, st.integers(2, 5), st.integers(1, 6))
def test_a_batch_is_its_frames_one_by_one(seed: int, count: int, frames: int) -> None:
    """Bit for bit, however many frames are mixed together."""
    x, weights = normal(seed, count, 3, 5), normal(seed + 1, frames, count)
    together = gaussian.combine(x, weights)
    for frame, row in zip(together, weights, strict=True):
        assert torch.equal(frame, gaussian.combine(x, row[None])[0])
    whole = torch.einsum("fk,kij->fij", weights, x)
    torch.testing.assert_close(together, whole, rtol=1e-5, atol=1e-5)


class TestGrid:
    """A plane through the span of K noises."""

    def test_it_is_normal_everywhere(self) -> None:
        """Every point of the plane is noise of unit variance."""
        x = noises(31, 5)
        weights = gaussian.cog(gaussian.grid(x, 3, 5, (1, 2), 1.5))
        for frame in gaussian.combine(x, weights):
            assert float(frame.std()) == pytest.approx(1, abs=5 / math.sqrt(2 * D))
            assert p_value(frame) >= KS

    def test_the_first_noise_is_in_the_middle(self) -> None:
        """The centre is the first keyframe itself, for any axes."""
        x = noises(32, 4)
        weights = gaussian.cog(gaussian.grid(x, 3, 3, (3, 1), 0.7))
        torch.testing.assert_close(gaussian.combine(x, weights)[4], x[0], rtol=1e-5, atol=1e-5)

    def test_coordinates_are_those_of_the_span(self) -> None:
        """Qᵀy of the plane's points is the lattice that was asked for (appendix C)."""
        x = noises(33, 3, 50)
        plane = gaussian.combine(x.double(), gaussian.grid(x, 2, 3, (1, 2), 2.0))
        q, r = torch.linalg.qr(x.double().T)
        q = q * r.diagonal().sign()
        h = plane @ q
        reach = 2 * math.sqrt(50)
        assert h[:, 1].tolist() == pytest.approx([-reach, 0, reach] * 2, abs=1e-9)
        assert h[:, 2].tolist() == pytest.approx([-reach] * 3 + [reach] * 3, abs=1e-9)
        assert h[:, 0].tolist() == pytest.approx([float(x[0].double().norm())] * 6)
        torch.testing.assert_close(plane @ q @ q.T, plane)

    def test_a_single_row_or_column_runs_through_the_middle(self) -> None:
        """A grid of one row has no vertical axis."""
        x = noises(34, 3, 50)
        line = gaussian.grid(x, 1, 3, (1, 2), 1.0)
        assert line.shape == (3, 3)
        assert line[1].tolist() == pytest.approx([1, 0, 0], abs=1e-9)
        assert line[:, 2].tolist() == pytest.approx([0, 0, 0], abs=1e-9)

    def test_bad_planes_are_refused(self) -> None:
        """Axes that do not exist, one axis twice, no extent, linearly dependent noises."""
        x = noises(35, 3, 50)
        refused(lambda: gaussian.grid(x, 2, 2, (1, 3), 1.0), "axis_y: expected", "0 to 2", "got 3")
        refused(lambda: gaussian.grid(x, 2, 2, (-1, 1), 1.0), "axis_x: expected", "got -1")
        refused(lambda: gaussian.grid(x, 2, 2, (1, 1), 1.0), "axis_x and axis_y", "1 twice")
        for extent in (0.0, -1.0, math.nan, math.inf):
            refused(lambda e=extent: gaussian.grid(x, 2, 2, (0, 1), e), "extent: expected")
        x[2] = x[0]
        refused(lambda: gaussian.grid(x, 2, 2, (0, 1), 1.0), "noise_path: expected", "one seed")


def test_no_global_random_state_is_touched() -> None:
    """Mixing draws nothing."""
    before = global_random_state()
    x = noises(41, 3, 50)
    gaussian.combine(x, gaussian.cog(gaussian.grid(x, 2, 2, (0, 1), 1.0), gaussian.correlation(x)))
    assert global_random_state() == before


def test_noises_of_any_shape() -> None:
    """Five-dimensional video latents go through the same formulas."""
    video = normal(51, 2, 16, 3, 8, 8)
    half = gaussian.combine(video, gaussian.cog(torch.tensor([[0.5, 0.5]])))
    assert half.shape == (1, 16, 3, 8, 8)
    np.testing.assert_allclose(half[0], (video[0] + video[1]) / math.sqrt(2), rtol=1e-5, atol=1e-6)
