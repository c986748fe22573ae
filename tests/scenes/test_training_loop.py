"""The training loop, on a network of a few weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scenes import training_loop
from scenes.training_loop import Stage, pace, train

MUON = hasattr(torch.optim, "Muon")
# Muon came with PyTorch 2.9; a person's own ComfyUI may have an older version.
RATES = [0.0, pytest.param(2e-2, marks=pytest.mark.skipif(not MUON, reason="PyTorch before 2.9"))]


def stage(steps: int = 40, muon: float = 0.0, stop_at: int | None = None) -> Stage:
    """A linear map to be learned from noisy examples; may be interrupted."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(70, 64), nn.Linear(64, 3))
    wanted = torch.linspace(-1, 1, 210).view(3, 70)
    seen = 0

    def loss(g: torch.Generator) -> Tensor:
        nonlocal seen
        if seen == stop_at:
            raise KeyboardInterrupt
        seen += 1
        x = torch.randn(16, 70, generator=g)
        return (network(x) - x @ wanted.T).square().mean()

    return Stage("line", network, loss, steps, "a line", rate=1e-2, muon=muon, warm_up=5)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.flatten() for p in network.parameters()])


@pytest.mark.parametrize("muon", RATES)
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, muon: float
) -> None:
    """The same weights to the last bit, from the last save on."""
    monkeypatch.setattr(training_loop, "SAVE_EVERY", 7)
    whole = train(stage(muon=muon), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(stage(muon=muon, stop_at=25), tmp_path / "stopped")
    resumed = train(stage(muon=muon), tmp_path / "stopped")
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("muon", RATES)
def test_the_loss_falls(tmp_path: Path, muon: float) -> None:
    """Both optimisers learn, and the averaged weights are returned."""
    fresh = stage(200, muon)
    loss: Callable[[torch.Generator], Tensor] = fresh.loss
    before = loss(training_loop.generator(1)).item()
    network = train(fresh, tmp_path)
    assert network is fresh.average
    fresh.network.load_state_dict(network.state_dict())
    assert loss(training_loop.generator(1)).item() < before / 3


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    """A finished stage takes no further step."""
    first = train(stage(), tmp_path)
    again = train(stage(stop_at=0), tmp_path)
    assert torch.equal(weights(first), weights(again))


def test_a_run_of_other_settings_is_refused(tmp_path: Path) -> None:
    """A run of another length or recipe is refused; the file to remove is named."""
    train(stage(10), tmp_path)
    with pytest.raises(ValueError, match=r"line\.pt is a run of other settings \(10 steps, a"):
        train(stage(20), tmp_path)
    other = stage(10)
    other.recipe = "a parabola"
    with pytest.raises(ValueError, match=r"now 10 steps, a parabola\): remove it"):
        train(other, tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    """The step is named, and the last good weights stay."""
    train(stage(10), tmp_path)
    saved = (tmp_path / "line.pt").read_bytes()
    broken = stage(20)
    broken.loss = lambda _: next(broken.network.parameters()).sum() * float("nan")
    broken.name = "broken"
    with pytest.raises(FloatingPointError, match="broken: the loss of step 0 is nan"):
        train(broken, tmp_path)
    assert (tmp_path / "line.pt").read_bytes() == saved
    assert not (tmp_path / "broken.pt").exists()


def test_a_run_that_has_no_more_time_ends_well(tmp_path: Path) -> None:
    """It stops by the clock, saves, hands out its weights, and the rates have gone to nothing."""
    hurried = stage(10**9)
    kept: list[nn.Module] = []
    hurried.seconds, hurried.saved = 0.5, kept.append
    assert train(hurried, tmp_path) is hurried.average is kept[-1]
    state = torch.load(tmp_path / "line.pt", weights_only=True)
    assert 0 < state["done"] < 10**9
    assert pace(10**6, hurried, progress=0.999) < 1e-4


def test_the_pace_rises_and_falls_to_nothing() -> None:
    """Warm-up, then half a cosine."""
    paces = [pace(k, stage(100)) for k in range(100)]
    assert 0 < paces[0] < paces[2] < paces[4]
    assert paces[5:] == sorted(paces[5:], reverse=True)
    assert 0 < paces[-1] < 1e-3
