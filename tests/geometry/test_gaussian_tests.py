"""Tests of noise: true draws pass at the stated rate, pictures and constants do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from geometry.gaussian_tests import FALSE_ALARMS, gaussian_tests, usual_norms

NAMES = ("norm", "values", "neighbours", "channels")


def draws(count: int, shape: tuple[int, ...] = (4, 8, 8)) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))


def failed(noise: Tensor) -> set[str]:
    return {test.name for test in gaussian_tests(noise) if not test.passes}


def test_true_noise_fails_as_rarely_as_stated() -> None:
    """Over 1,000 draws: p < 0.05 in a share of 0.05, no more and, for single tests, no less.

    0.05 ± 0.02 is three standard deviations. Tests of several pairs count them all, so they may
    only fail more rarely. At the bound itself no draw fails.
    """
    found = [gaussian_tests(noise) for noise in draws(1000)]
    for k, name in enumerate(NAMES):
        p = torch.tensor([tests[k].p for tests in found])
        share = float((p < 0.05).double().mean())
        assert share < 0.07, name
        if name in ("norm", "values"):
            assert share > 0.03, name
        assert float(p.min()) >= FALSE_ALARMS


@pytest.mark.parametrize("shape", [(4, 64, 64), (16, 3, 8, 8), (1, 8, 8), (4, 1, 1)])
def test_true_noise_passes_in_any_shape(shape: tuple[int, ...]) -> None:
    """Pictures, videos, one channel, one place."""
    assert failed(draws(1, shape)[0]) == set()


def test_a_constant_fails() -> None:
    """Ones have the norm of noise, and nothing else of it; zeros not even that."""
    assert failed(torch.ones(4, 8, 8)) == {"values", "neighbours", "channels"}
    assert failed(torch.zeros(4, 8, 8)) == set(NAMES)


def test_a_smooth_picture_fails() -> None:
    """Noise blurred and given the right mean, variance and marginals: only its neighbours tell."""
    smooth = torch.nn.functional.avg_pool2d(draws(1, (4, 66, 66)), 3, 1)[0]
    ranks = smooth.flatten().argsort().argsort().double()
    values = torch.distributions.Normal(0.0, 1.0).icdf((ranks + 0.5) / len(ranks))
    assert failed(values.reshape(smooth.shape)) == {"neighbours"}


def test_each_fault_has_its_test() -> None:
    """Too weak, in steps, one channel twice."""
    noise = draws(1, (4, 32, 32))[0]
    assert "norm" in failed(0.9 * noise)
    assert "values" in failed(noise.sign())
    twice = noise.clone()
    twice[3] = twice[0]
    assert failed(twice) == {"channels"}


def test_usual_norms_are_those_that_pass() -> None:
    """Just inside the bounds a norm passes, just outside it does not."""
    noise = draws(1)[0]
    ratio = gaussian_tests(noise)[0].value
    low, high = usual_norms(noise.numel())
    assert low < 1 < high
    for edge, inside in ((low, 1.001), (high, 0.999)):
        assert "norm" not in failed(noise * edge * inside / ratio)
        assert "norm" in failed(noise * edge / inside / ratio)
