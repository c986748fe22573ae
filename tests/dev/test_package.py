"""What artists would get from the registry: all that runs, and nothing of the workshop."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import tomllib
from PIL import Image

from dev.checks import package, release
from dev.comfyui.environment import ROOT
from dev.pictures.drawn import BANNER, ICON, banner, icon

FILES = package.shipped()
NEVER = ("dev", "tests", "study", "scenes", "benchmarks", "demo", ".ci", ".github", ".comfyui")
WHOLE = ("nodes", "geometry", "js", "locales", "example_workflows", "subgraphs")
NEEDED = ("__init__.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")
# What ComfyUI has or brings, and what requirements.txt adds.
COMFYUIS = {"comfy", "comfy_api", "comfy_extras", "comfy_execution"}
COMFYUIS |= {"folder_paths", "latent_preview", "nodes", "server"}
BROUGHT = {"torch", "torchaudio", "torchvision", "numpy", "scipy", "safetensors", "PIL", "av"}
BROUGHT |= {"typing_extensions"}
ADDED = {"ot", "lpips", "matplotlib"}
MOST_MB = 6


def test_what_runs_is_in_and_the_workshop_is_not() -> None:
    """Every tracked file of the folders that ComfyUI reads, and no file of the others."""
    assert not [name for name in FILES if PurePosixPath(name).parts[0] in NEVER]
    assert set(NEEDED) <= set(FILES)
    for folder in WHOLE:
        there = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix in (".py", ".js", ".css", ".json", ".md", ".jpg")
        }
        assert there
        assert there <= set(FILES), f"{folder}: not tracked by git, or left out"


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(number of dots, module) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""
            if not node.module:
                yield from ((node.level, alias.name) for alias in node.names)


def test_what_is_shipped_imports_only_what_is_there() -> None:
    """ComfyUI, what it brings, what requirements.txt adds, and other shipped files."""
    known = COMFYUIS | BROUGHT | ADDED | set(sys.stdlib_module_names)
    for name in (name for name in FILES if name.endswith(".py")):
        folder = PurePosixPath(name).parent
        for dots, module in imported(ast.parse((ROOT / name).read_text())):
            if not dots:
                assert module.split(".")[0] in known, f"{name}: {module}"
                continue
            assert dots <= len(folder.parts) + 1, f"{name} looks outside of the pack"
            base = PurePosixPath(*folder.parts[: len(folder.parts) - dots + 1])
            target = base.joinpath(*module.split(".")) if module else base
            found = {f"{target}.py", f"{target}/__init__.py", f"{base}/__init__.py"}
            assert found & set(FILES) or str(base) == ".", f"{name}: {module}"


def test_the_archive_holds_these_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte, and small enough to be downloaded at once."""
    archive = tmp_path / "pack.zip"
    assert package.build(archive) == FILES
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.namelist() == FILES
        assert all(zipped.read(name) == (ROOT / name).read_bytes() for name in FILES)
    size = archive.stat().st_size / 1e6
    with capsys.disabled():
        print(f"\nthe package has {len(FILES)} files, {size:.1f} MB (budget {MOST_MB} MB)")
    assert size < MOST_MB


def test_a_warning_in_the_log_is_found() -> None:
    """ComfyUI's usual lines are none."""
    usual = "Total VRAM 16 MB\nTo see the GUI go to: http://127.0.0.1:8188\nPrompt executed in 1 s"
    assert release.complaints(usual) == []
    for line in (
        "[WARNING] old",
        "IMPORT FAILED: pack",
        "UserWarning: a tensor",
        "Traceback (most",
    ):
        assert release.complaints(f"{usual}\n{line}\n") == [line]


def test_icon_and_banner_are_drawn_and_fit_the_registry() -> None:
    """At most 800 by 400 pixels; the banner is 21 to 9; committed as they are drawn."""
    for path, drawn in ((ICON, icon()), (BANNER, banner())):
        with Image.open(path) as opened:
            assert opened.size == drawn.size
        assert path.stat().st_size < 60_000
    assert icon().width == icon().height <= 400
    assert banner().width * 9 == banner().height * 21
    comfy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["comfy"]
    for field, path in (("Icon", ICON), ("Banner", BANNER)):
        assert comfy[field] == "" or comfy[field].endswith(path.relative_to(ROOT).as_posix())
