"""The check of what the pack uses of ComfyUI, on a history of the two versions of the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dev.checks import imports


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    imports.history(folder, imports.tested_versions())
    return folder


def test_the_oldest_tested_version_is_the_declared_one() -> None:
    """What the tests run on begins with what pyproject.toml promises."""
    assert next(iter(imports.tested_versions())) == f"v{imports.supported()}"
    assert len(imports.tested_versions()) == 2


@pytest.mark.comfyui
def test_the_pack_fits_all_versions(tmp_path: Path, cache: Path) -> None:
    """Every name exists and every call can be bound, at both tags."""
    imports.install(tmp_path)
    assert imports.check(tmp_path, cache, list(imports.tested_versions()))


@pytest.mark.comfyui
@pytest.mark.parametrize(
    "line",
    [
        "from comfy.samplers import no_such_sampler",
        "import comfy.samplers\ncomfy.samplers.calculate_sigmas(no_such=1)",
    ],
)
def test_what_does_not_exist_is_found(tmp_path: Path, cache: Path, line: str) -> None:
    """A missing name, and an argument that ComfyUI's function does not take."""
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "__init__.py").write_text(line + "\n")
    imports.install(tmp_path / "base", pack)
    assert not imports.check(tmp_path / "base", cache, list(imports.tested_versions())[-1:])


@pytest.mark.comfyui
@pytest.mark.parametrize("rest", ["", "v9.9.9"])
def test_a_clone_is_checked_at_its_newest_tag(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path, rest: str
) -> None:
    """With COMFYUI_GIT: the declared version and the newest; one without ComfyUI is noticed."""
    clone = tmp_path / "clone"
    shutil.copytree(cache / "ComfyUI", clone)
    if rest:
        git = ["git", "-C", str(clone), *imports.AUTHOR]
        subprocess.run([*git, "rm", "-rq", "comfy"], check=True)
        subprocess.run([*git, "commit", "-qm", "without"], check=True)
        subprocess.run([*git, "tag", rest], check=True)
    monkeypatch.setenv("COMFYUI_GIT", str(clone))
    assert imports.main() == (1 if rest else 0)
