"""Scores from exact denoisers, and points brought to other noise levels."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from geometry.density.score import (
    Jitter,
    jittered_noise_difference,
    jittered_true_score,
    noise_difference,
    raised,
    taken_to,
    true_score,
)
from geometry.noise_level import NoiseLevel
from tests.geometry.mixtures import Mixture, gaussian, shell

SIGMAS = {False: torch.tensor([0.3, 2.0, 9.0]), True: torch.tensor([0.2, 0.6, 0.95])}


def at(density: Mixture, level: NoiseLevel, k: int) -> Mixture:
    return density.noised(float(level.signal[k]), float(level.noise[k]))


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
@pytest.mark.parametrize("density", [gaussian(2, 1), shell(64)], ids=["2", "64"])
def test_true_score(density: Mixture, flow: bool) -> None:
    """∇ log p of the noised density itself, whatever the noise level of each point."""
    level = NoiseLevel(SIGMAS[flow].double(), flow)
    z = torch.randn(3, density.means.shape[1], generator=torch.Generator().manual_seed(0)).double()
    found = true_score(density.denoiser(flow), z, level, density)
    for k in range(3):
        torch.testing.assert_close(found[k : k + 1], at(density, level, k).score(z[k : k + 1]))


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
def test_noise_difference(flow: bool) -> None:
    """Half the noise's scale times the difference of both prompts' scores."""
    positive, negative = shell(16, 1), shell(16, 2)
    level = NoiseLevel(SIGMAS[flow].double(), flow)
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).double()
    found = noise_difference(positive.denoiser(flow), z, level, positive, negative)
    for k in range(3):
        here = z[k : k + 1]
        gap = at(positive, level, k).score(here) - at(negative, level, k).score(here)
        torch.testing.assert_close(found[k : k + 1], gap * level.noise[k] / 2)
    same = noise_difference(positive.denoiser(flow), z, level, positive, positive)
    assert torch.equal(same, torch.zeros_like(same))


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
def test_raised_points_have_the_higher_levels_density(flow: bool) -> None:
    """Data at a low level, raised, are distributed as data noised to the high one at once."""
    generator = torch.Generator().manual_seed(4)
    low, high = (
        NoiseLevel(torch.tensor([s]).double(), flow) for s in (SIGMAS[flow][0], SIGMAS[flow][1])
    )
    data = 2 + 0.5 * torch.randn(20_000, 1, generator=generator).double()

    def noise() -> torch.Tensor:
        return torch.randn(20_000, 1, generator=generator).double()

    z = low.signal * data + low.noise * noise()
    up = raised(z, low, high, noise())
    spread = float((high.signal * 0.5).square() + high.noise.square()) ** 0.5
    expected = stats.norm(float(high.signal) * 2, spread)
    assert stats.kstest(up[:, 0].numpy(), expected.cdf).pvalue > 1e-5


def test_raising_to_the_same_level_changes_nothing() -> None:
    level = NoiseLevel(torch.tensor([2.0, 3.0]).double())
    z = torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(raised(z, level, level, torch.randn(2, 5)), z)


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
def test_the_mean_of_jittered_scores_is_a_gradient(flow: bool) -> None:
    """∇_z E log p'(share·z + fresh·ε): exact for a Gaussian, where the mean over ε is known."""
    density = gaussian(6, 2)
    sigmas = SIGMAS[flow][:2].double()
    low, high = (NoiseLevel(sigmas[k : k + 1], flow) for k in (0, 1))
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(0)).double()
    share = high.signal / low.signal
    exact = share * at(density, high, 0).score(share * z)
    jitter = Jitter(sigmas[1:], torch.Generator().manual_seed(1), flow)
    many = NoiseLevel(sigmas[:1].expand(4000), flow)
    draws = jittered_true_score(density.denoiser(flow), z.expand(4000, -1), many, density, jitter)
    error = draws.std(dim=0) / 4000**0.5
    assert bool(((draws.mean(dim=0) - exact[0]).abs() < 5 * error).all())


def test_taking_off_the_fresh_noise_makes_jitter_quiet() -> None:
    """Data that hardly differ: nearly all of the noise in a jittered score is the fresh noise's."""
    alike = 1e-4 * torch.eye(16, dtype=torch.float64)
    density = Mixture(shell(16).weights[:1], shell(16).means[:1], alike[None])
    level = NoiseLevel(torch.full((200,), 2.0, dtype=torch.float64))
    z = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)).double().expand(200, -1)
    jitter = Jitter(torch.tensor([3.0]).double(), torch.Generator().manual_seed(1))
    quiet = jittered_true_score(density.denoiser(), z, level, density, jitter)
    assert float(quiet.std(dim=0).max()) < 1e-3 * float(quiet.mean(dim=0).norm())


def test_jitter_is_drawn_from_its_levels_by_a_seed() -> None:
    sigmas = torch.tensor([2.0, 2.5, 3.0])

    def draw(seed: int) -> tuple[NoiseLevel, torch.Tensor]:
        jitter = Jitter(sigmas, torch.Generator().manual_seed(seed))
        return jitter.draw(torch.ones(50, 4), NoiseLevel(torch.full((50,), 2.0)))

    (level, noise), (_, again), (_, other) = draw(1), draw(1), draw(2)
    assert torch.equal(noise, again)
    assert not torch.equal(noise, other)
    assert set(level.sigma.tolist()) == {2.0, 2.5, 3.0}
    lowest = Jitter(sigmas, torch.Generator().manual_seed(0)).draw(
        torch.ones(50, 4), NoiseLevel(torch.full((50,), 2.7))
    )[0]
    assert float(lowest.sigma.min()) == pytest.approx(2.7)  # never below the points' own


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
def test_a_points_own_noise_takes_it_along_its_line(flow: bool) -> None:
    """With the true ε, signal·x + noise·ε becomes signal'·x + noise'·ε, up and down; and back."""
    generator = torch.Generator().manual_seed(2)
    x, noise = (torch.randn(3, 5, generator=generator).double() for _ in range(2))
    levels = [NoiseLevel(torch.full((3,), float(s)).double(), flow) for s in SIGMAS[flow]]
    here, *others = (level.signal[:, None] * x + level.noise[:, None] * noise for level in levels)
    for level, there in zip(levels[1:], others, strict=True):
        torch.testing.assert_close(taken_to(here, levels[0], level, noise), there)
        torch.testing.assert_close(taken_to(there, level, levels[0], noise), here)


def test_both_ways_is_nearer_to_the_difference_at_the_points() -> None:
    """Means of 60 draws on four pairs of 2-D mixtures: along the exact difference, and nearer.

    Levels above a point's own are smoother, so jitter upwards makes the difference smaller; levels
    on both sides hardly do. With 40 points, 200 draws and twelve pairs the mean is off by 0.03 of
    the difference's norm, upwards by 0.13.
    """
    level = NoiseLevel(torch.full((600,), 2.0, dtype=torch.float64))
    for pair in range(4):
        positive, negative = shell(2, 2 * pair + 1), shell(2, 2 * pair + 2)
        generator = torch.Generator().manual_seed(pair)
        z = torch.randn(10, 2, generator=generator).double().repeat_interleave(60, 0)
        prompts = positive.denoiser(), z, level, positive, negative
        exact = noise_difference(*prompts)[::60]
        errors = []
        for both_ways, lowest in ((False, 2.0), (True, 1.5)):
            sigmas = torch.linspace(lowest, 2.5, 32, dtype=torch.float64)
            jitter = Jitter(sigmas, torch.Generator().manual_seed(pair), both_ways=both_ways)
            mean = jittered_noise_difference(*prompts, jitter).reshape(10, 60, 2).mean(1)
            assert float((mean * exact).sum() / (mean.norm() * exact.norm())) > 0.97
            errors.append(float((mean - exact).norm() / exact.norm()))
        assert errors[1] < errors[0]


def test_levels_are_what_they_say() -> None:
    """Signal and noise of unit data have unit variance together; flow models mix evenly."""
    sigma = torch.tensor([0.1, 1.0, 14.0])
    level = NoiseLevel(sigma)
    torch.testing.assert_close(level.signal**2 + level.noise**2, torch.ones(3))
    torch.testing.assert_close(level.noise / level.signal, sigma)
    flow = NoiseLevel(sigma / 20, flow=True)
    torch.testing.assert_close(flow.signal + flow.noise, torch.ones(3))
    assert torch.equal(flow.model_scale, torch.ones(3))
