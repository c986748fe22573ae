"""Shared by all tests: one thread, their own ComfyUI folders, and one server.

`make test` runs two workers (pytest-xdist). Each has at most one server, one ComfyUI in its own
process and one Chromium, and works with one thread.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from dev.comfyui.server import Server

# The same examples on every machine, none of them timed; `make check` takes fewer.
settings.register_profile("laws", derandomize=True, deadline=None, max_examples=25, database=None)
settings.register_profile("quick", settings.get_profile("laws"), max_examples=12)
settings.load_profile("laws")

# Small tensors gain nothing from threads, and two workers would take them from each other. Set
# before torch is imported; the servers that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

SETUP = Path(__file__).resolve().parent.parent / ".comfyui"
# With COMFYUI_NEXT all tests of a process use the newer ComfyUI.
NEXT = os.environ.get("COMFYUI_NEXT")
WORKER = os.environ.get("PYTEST_XDIST_WORKER") or ("next" if NEXT else None)
if WORKER:
    # Two workers must not share files. Read when dev.comfyui.environment is imported, and by all
    # processes that this one starts.
    OWN = SETUP / "workers" / WORKER
    shutil.rmtree(OWN, ignore_errors=True)
    os.environ["COMFYUI_BASE"] = str(OWN)
if NEXT:
    from dev.comfyui.environment import locate

    sys.path[:0] = map(str, locate().libraries)
    os.environ.update(locate().variables)

# Fixtures that are the real ComfyUI, dearest first.
REAL = ("browser", "server", "comfy")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs the real ComfyUI; tests that start it by themselves are marked by hand."""
    if any(name in fixtures(item) for name in REAL):
        item.add_marker("comfyui")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one need stand together.

    Two workers begin at the two ends, so that hardly anything is built twice.
    """
    items.sort(key=place)


def place(item: pytest.Item) -> tuple[int, str]:
    """Chromium, server, ComfyUI started by the test itself, nothing, ComfyUI in this process.

    Where the workers meet tests are short, so that none waits long for the other.

    Those in Chromium by the page that they use, of which there is one for each variant.
    """
    if "browser" in fixtures(item):
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        return 0, str(parameters.get("studio", "1.32-classic"))
    if "server" in fixtures(item):
        return 1, ""
    if "comfy" in fixtures(item):
        return 4, ""
    return (2 if item.get_closest_marker("comfyui") else 3), ""


def fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from .scheduling import FromBothEnds

    return FromBothEnds(config, log)


@pytest.fixture(autouse=True)
def _models_where_needed(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("comfyui"):
        request.getfixturevalue("models")


@pytest.fixture(scope="session")
def models() -> None:
    """The files in a person's ComfyUI folders: a model, LPIPS weights, pictures."""
    from dev.comfyui import lpips_weights
    from dev.comfyui.environment import BASE, FOLDER, ensure_base, locate
    from dev.pictures import music, photos
    from dev.workflows.settings import SMALL, SMALL_SETTINGS, Settings
    from scenes import checkpoint

    whole = FOLDER / "base" / "models" / "checkpoints" / SMALL
    with (SETUP / "workers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker writes it, the other finds it
        ensure_base(locate())
        checkpoint.ensure(whole)
    own = BASE / "models" / "checkpoints" / SMALL
    if not own.exists():
        os.link(whole, own)
    lpips_weights.ensure(BASE / "models" / "lpips")
    photos.ensure(BASE / "input")
    music.ensure(BASE / "input")
    # The picture that every ComfyUI brings in its own input folder.
    shutil.copy(locate().comfyui / "input" / "example.png", BASE / "input")
    # The music that a person has put where `music_morph` looks for it.
    shutil.copy(BASE / "input" / SMALL_SETTINGS.music, BASE / "input" / Settings().music)


@pytest.fixture(scope="session")
def server(models: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running ComfyUI server with the pack in it."""
    from dev.comfyui.server import Server

    assert models is None
    with Server(cpu=True, log=tmp_path_factory.mktemp("server") / "server.log") as running:
        yield running
