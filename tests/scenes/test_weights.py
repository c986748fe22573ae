"""Storage of weights in 8 bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenes import checkpoint, classifier, weights


@given(st.integers(0, 2**32), st.floats(1e-4, 1e3))
def test_eight_bits_are_within_half_a_step(tmp_path_factory, seed: int, size: float) -> None:
    """Of each output channel's own largest weight; vectors keep half precision."""
    g = torch.Generator().manual_seed(seed)
    tensors = {
        "kernel": torch.randn(5, 4, 3, 3, generator=g) * size,
        "vector": torch.randn(7, generator=g),
        "empty": torch.zeros(2, 3),
    }
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    weights.save(tensors, path)
    again = weights.load(path)
    assert set(again) == set(tensors)
    step = tensors["kernel"].abs().flatten(1).amax(1).view(-1, 1, 1, 1) / 127
    error = (again["kernel"].float() - tensors["kernel"]).abs()
    assert bool((error <= step * 0.5 + tensors["kernel"].abs() * 2e-3 + 1e-7).all())
    assert torch.equal(again["vector"], tensors["vector"].half())
    assert not again["empty"].any()


def test_the_digest_is_of_the_numbers_alone() -> None:
    """The digest does not depend on the order, but on every name, shape, type and bit."""
    tensors = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}
    same = weights.digest(dict(reversed(tensors.items())))
    assert weights.digest(tensors) == same
    changed = torch.ones(2, 2)
    changed[0, 0] = torch.nextafter(changed[0, 0], torch.tensor(2.0))
    for other in (
        {"a": tensors["a"], "c": tensors["b"]},
        {"a": tensors["a"], "b": torch.ones(4)},
        {"a": tensors["a"].double(), "b": tensors["b"]},
        {"a": tensors["a"], "b": changed},
    ):
        assert weights.digest(other) != same


def test_the_repository_carries_at_most_thirty_megabytes() -> None:
    """All trained weights of the model in one file; the classifier's beside it."""
    assert checkpoint.TRAINED.stat().st_size <= 30e6
    assert classifier.FILE.stat().st_size <= 3e6


def test_changed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written if one number is wrong."""
    tensors = checkpoint.assemble()
    name = f"{checkpoint.UNET}out.2.bias"
    tensors[name] = tensors[name] + 1
    monkeypatch.setattr(checkpoint, "assemble", lambda _: tensors)
    with pytest.raises(weights.WeightsError, match=r"should have the digest .* git checkout"):
        checkpoint.write(tmp_path / "c.safetensors")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_missing_or_damaged_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, and how to get it back."""
    path = tmp_path / "small.safetensors"
    with pytest.raises(weights.WeightsError, match=r"small\.safetensors is missing or damaged"):
        weights.load(path)
    path.write_bytes(b"cut short")
    with pytest.raises(weights.WeightsError, match="restore it with git checkout"):
        weights.load(path)
    monkeypatch.setattr(checkpoint, "DIGEST", tmp_path / "none.digest")
    with pytest.raises(weights.WeightsError, match=r"none\.digest is missing"):
        checkpoint.ensure(tmp_path / "c.safetensors")
