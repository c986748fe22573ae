"""The set-up of the newer ComfyUI: fetched once, only the tested file, repaired after a failure."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import pytest

from dev.comfyui import environment, next_core
from dev.comfyui.steps import SetupError

PYTHON = Path(sys.executable)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Pip's calls, written down; its download is a small archive made here."""
    made: list[tuple[str, ...]] = []

    def record(_program: Path, *arguments: str) -> None:
        made.append(arguments)
        if "download" in arguments:
            content = tmp_path / "content"
            (content / "comfy").mkdir(parents=True, exist_ok=True)
            (content / "main.py").write_text("new")
            folder = Path(arguments[arguments.index("--dest") + 1])
            with tarfile.open(folder / "source.tar.gz", "w:gz") as archive:
                archive.add(content, next_core.SDIST_FOLDER)
                archive.add(content / "main.py", "elsewhere/main.py")

    monkeypatch.setattr(next_core, "run", record)
    monkeypatch.setattr(next_core.hashlib, "sha256", lambda _: Digest())
    return made


class Digest:
    def hexdigest(self) -> str:
        return next_core.SDIST_SHA256


def test_it_is_fetched_once(tmp_path: Path, calls: list[tuple[str, ...]]) -> None:
    """Only ComfyUI's own files, and its further packages in a folder beside it."""
    next_core.ensure(tmp_path, PYTHON)
    assert (next_core.comfyui(tmp_path) / "main.py").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "next").iterdir()) == [".complete", "ComfyUI"]
    download, install = calls
    assert download[-1] == next_core.SDIST
    assert install[-len(next_core.PACKAGES) :] == next_core.PACKAGES
    assert install[install.index("--target") + 1] == str(next_core.packages(tmp_path))
    next_core.ensure(tmp_path, PYTHON)
    assert len(calls) == 2


def test_half_done_is_done_again(
    tmp_path: Path, calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its stamp, or with that of other packages."""
    next_core.ensure(tmp_path, PYTHON)
    (tmp_path / "next" / ".complete").unlink()
    (tmp_path / "next" / "leftover").touch()
    next_core.ensure(tmp_path, PYTHON)
    assert not (tmp_path / "next" / "leftover").exists()
    monkeypatch.setattr(next_core, "PACKAGES", ("blake3==1.0.12",))
    next_core.ensure(tmp_path, PYTHON)
    assert len(calls) == 6


def test_another_file_is_refused(
    tmp_path: Path, calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Digest, "hexdigest", lambda _: "0" * 64)
    with pytest.raises(SetupError, match="not the file this project was tested with"):
        next_core.ensure(tmp_path, PYTHON)
    assert not next_core.comfyui(tmp_path).exists()
    assert len(calls) == 1


def test_which_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """COMFYUI_NEXT chooses for a process, the argument for a server."""
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.delenv("COMFYUI_NEXT", raising=False)
    old, new = environment.locate(), environment.locate(next_generation=True)
    assert old.comfyui.parent.name == ".comfyui"
    assert new.comfyui.parent.name == "next"
    assert old.python == new.python
    monkeypatch.setenv("COMFYUI_NEXT", "1")
    assert environment.locate() == new
    assert environment.locate(next_generation=False) == old
