"""In which type the small model runs: bfloat16 only where the CPU multiplies it itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from study.even.engine import in_fastest_type


@pytest.mark.parametrize(
    ("capable", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_f": True}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_bfloat16_is_for_cpus_that_have_it(
    capable: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others emulate it, several times slower than float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    network = torch.nn.Linear(2, 2)
    network.dtype = torch.float32  # type: ignore[assignment]
    model = SimpleNamespace(diffusion_model=network, manual_cast_dtype=None)
    in_fastest_type(model)
    assert network.weight.dtype == network.dtype == expected
    assert model.manual_cast_dtype in (None, expected)
