"""Imports between our folders go down only."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.checks.layers import HEIGHT, imported, problems
from dev.comfyui.environment import ROOT


def project(root: Path, **files: str) -> Path:
    """A project of modules `folder__name`, each with a single line of code."""
    for name, line in files.items():
        file = root / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(line + "\n")
    return root


def test_the_project_keeps_its_layers() -> None:
    assert problems(ROOT) == []


def test_scenes_imports_geometry_at_most() -> None:
    folders = {
        name.split(".")[0]
        for file in (ROOT / "scenes").rglob("*.py")
        for name in imported(f"scenes.{file.stem}", file)
    }
    assert folders & HEIGHT.keys() <= {"scenes", "geometry"}


@pytest.mark.parametrize(
    ("importer", "line", "name"),
    [
        ("geometry__path", "import nodes.prompt", "nodes"),
        ("nodes__prompt", "from dev.comfyui import server", "dev"),
        ("nodes__prompt__tokens", "from ...dev import locales", "dev"),
        ("scenes__train", "def run(): from dev.comfyui.in_process import import_comfyui", "dev"),
        ("scenes__train", "from geodesic_morph import nodes", "nodes"),
        ("nodes__prompt", "from ..scenes.drawing import draw", "scenes"),
        ("dev__small_model", "import demo.__main__ as program", "demo"),
        ("demo__program", "if True: from study import noise", "study"),
        ("study__noise", "from tests.video import decode", "tests"),
        ("benchmarks__noise", "from tests import video", "tests"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_named(
    tmp_path: Path, importer: str, line: str, name: str
) -> None:
    """An import is found in every form of writing it; the error names file and folders."""
    folder, file = importer.split("__")[0], f"{importer.replace('__', '/')}.py"
    (sentence,) = problems(project(tmp_path, **{importer: line}))
    assert sentence.startswith(f"{file} imports {name}")
    assert sentence.endswith(f"{folder} may not import {name}.")


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("nodes__prompt", "from ..geometry.path import Path"),
        ("nodes__prompt__tokens", "from .. import latents"),
        ("scenes__train", "from geodesic_morph.geometry import cloud"),
        ("dev__checks__layers", "import ast, sys, json.decoder"),
        ("tests__dev__test_layers", "from dev import locales; import demo, study, scenes, nodes"),
    ],
)
def test_an_import_that_goes_down_is_fine(tmp_path: Path, importer: str, line: str) -> None:
    """Imports from the same folder and of foreign packages are allowed too."""
    assert problems(project(tmp_path, **{importer: line})) == []


def test_modules_that_import_each_other_are_named(tmp_path: Path) -> None:
    """A cycle of three modules too, and with an import inside a function."""
    root = project(
        tmp_path,
        dev__workflows__a="from . import b",
        dev__workflows__b="from dev.pictures.c import draw",
        dev__pictures__c="def draw(): from dev.workflows import a",
    )
    (sentence,) = problems(root)
    assert sentence.startswith("These modules import each other: ")
    for module in ("dev.workflows.a", "dev.workflows.b", "dev.pictures.c"):
        assert module in sentence
