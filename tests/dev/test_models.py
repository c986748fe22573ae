"""Models that a person names are put where ComfyUI finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.comfyui import models
from dev.comfyui.server import ServerError


def test_a_checkpoint_of_the_same_name_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file put into the models folder by hand stays, whatever CHECKPOINT= names."""
    monkeypatch.setattr(models, "BASE", tmp_path / "base")
    folder = tmp_path / "base" / "models" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "mine.safetensors").write_text("precious")
    (tmp_path / "mine.safetensors").write_text("another")
    with pytest.raises(ServerError, match="another file of this name"):
        models.link_model("checkpoints", tmp_path / "mine.safetensors")
    assert (folder / "mine.safetensors").read_text() == "precious"
    (tmp_path / "new.safetensors").touch()
    assert models.link_model("checkpoints", tmp_path / "new.safetensors") == "new.safetensors"
    (tmp_path / "new.safetensors").unlink()
    (tmp_path / "other.safetensors").touch()
    models.link_model("checkpoints", tmp_path / "other.safetensors")
    assert not (folder / "new.safetensors").is_symlink()
