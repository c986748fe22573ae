"""Scores from exact denoisers, and points brought to other noise levels."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from geometry.density.score import Jitter, Level, noise_difference, raised, true_score
from tests.geometry.mixtures import Mixture, gaussian, shell

SIGMAS = {False: torch.tensor([0.3, 2.0, 9.0]), True: torch.tensor([0.2, 0.6, 0.95])}


def at(density: Mixture, level: Level, k: int) -> Mixture:
    return density.noised(float(level.signal[k]), float(level.noise[k]))


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
@pytest.mark.parametrize("density", [gaussian(2, 1), shell(64)], ids=["2", "64"])
def test_true_score(density: Mixture, flow: bool) -> None:
    """∇ log p of the noised density itself, whatever the noise level of each point."""
    level = Level(SIGMAS[flow].double(), flow)
    z = torch.randn(3, density.means.shape[1], generator=torch.Generator().manual_seed(0)).double()
    found = true_score(density.denoiser(flow), z, level, density)
    for k in range(3):
        torch.testing.assert_close(found[k : k + 1], at(density, level, k).score(z[k : k + 1]))


@pytest.mark.parametrize("flow", [False, True], ids=["diffusion", "flow"])
def test_noise_difference(flow: bool) -> None:
    """Half the noise's scale times the difference of both prompts' scores."""
    positive, negative = shell(16, 1), shell(16, 2)
    level = Level(SIGMAS[flow].double(), flow)
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
        Level(torch.tensor([s]).double(), flow) for s in (SIGMAS[flow][0], SIGMAS[flow][1])
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
    level = Level(torch.tensor([2.0, 3.0]).double())
    z = torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(raised(z, level, level, torch.randn(2, 5)), z)


def test_jitter_is_drawn_from_its_levels_by_a_seed() -> None:
    sigmas = torch.tensor([2.0, 2.5, 3.0])

    def draw(seed: int) -> tuple[torch.Tensor, Level]:
        jitter = Jitter(sigmas, torch.Generator().manual_seed(seed))
        return jitter.draw(torch.ones(50, 4), Level(torch.full((50,), 2.0)))

    (z, level), (again, _), (other, _) = draw(1), draw(1), draw(2)
    assert torch.equal(z, again)
    assert not torch.equal(z, other)
    assert set(level.sigma.tolist()) == {2.0, 2.5, 3.0}
    assert torch.equal(z[level.sigma == 2.0], torch.ones(int((level.sigma == 2.0).sum()), 4))


def test_levels_are_what_they_say() -> None:
    """Signal and noise of unit data have unit variance together; flow models mix evenly."""
    sigma = torch.tensor([0.1, 1.0, 14.0])
    level = Level(sigma)
    torch.testing.assert_close(level.signal**2 + level.noise**2, torch.ones(3))
    torch.testing.assert_close(level.noise / level.signal, sigma)
    flow = Level(sigma / 20, flow=True)
    torch.testing.assert_close(flow.signal + flow.noise, torch.ones(3))
    assert torch.equal(flow.scale, torch.ones(3))
