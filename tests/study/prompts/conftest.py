"""Fixtures of runs in this process."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import torch

from study.prompts.plan import Plan
from study.prompts.studio import Studio
from study.prompts.workers import ThisProcess


@pytest.fixture
def threads() -> Iterator[None]:
    """A run in this process sets torch's threads; the next test gets its own back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_studio() -> Iterator[None]:
    """Checkpoint and LPIPS are loaded once for each plan, not once for each run."""
    loaded = functools.cache(Studio)

    def alone(self: ThisProcess, plan: Plan, cpu: bool) -> None:
        self.studio = loaded(plan, cpu)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ThisProcess, "__init__", alone)
        yield
    loaded.cache_clear()
