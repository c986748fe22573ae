"""The demo's choice of a text model."""

from __future__ import annotations

import pytest

from demo.__main__ import read_settings
from dev.comfyui.server import ServerError
from dev.workflows.settings import SMALL, SMALL_READER, SMALL_SETTINGS
from study.prompts.plan import Plan, defaults


def test_either_text_model_has_the_small_models_settings() -> None:
    """Only the checkpoint's name differs; the written-down one is the default."""
    assert read_settings({}) == SMALL_SETTINGS
    settings = read_settings({"TEXT_MODEL": "reader"})
    assert settings.checkpoint == SMALL_READER
    assert settings.prompt_a == SMALL_SETTINGS.prompt_a
    assert settings.size == SMALL_SETTINGS.size
    assert defaults(SMALL_READER) == Plan(SMALL_READER)
    assert defaults(SMALL) == Plan()


def test_another_text_model_is_refused() -> None:
    """What was expected, and what was given."""
    with pytest.raises(ServerError, match="TEXT_MODEL=clip: expected one of written, reader"):
        read_settings({"TEXT_MODEL": "clip"})
