"""ComfyUI's modules inside this process, for tests and benchmarks of single nodes."""

from __future__ import annotations

import asyncio
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from .environment import BASE, PACK, locate


def import_comfyui(cpu: bool, server: bool = True) -> ModuleType:
    """Import ComfyUI as its main.py does, and load the pack into it; returns its `nodes` module.

    server: False leaves out ComfyUI's web server and all packages that only it needs; an empty
    module stands in for it.

    ComfyUI's top-level `nodes` must win over our folder of that name, so its path goes first
    while it is imported and last afterwards.
    """
    comfyui = str(locate().comfyui)
    path, arguments = list(sys.path), list(sys.argv)
    sys.path.insert(0, comfyui)
    sys.argv = ["comfyui", "--base-directory", str(BASE), *(["--cpu"] if cpu else [])]
    try:
        # First, as in main.py, because a dependency also has a module named `utils`.
        import comfy.options
        import utils.install_util  # noqa: F401

        comfy.options.enable_args_parsing()
        if not server:
            sys.modules["server"] = _no_server()
        importlib.import_module("server")

        import nodes
    finally:
        sys.path[:] = [*path, comfyui, str(PACK.parent)]
        sys.argv = arguments
    # In a new thread, because the caller's thread may already run an event loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(_load_pack())).result()
    return nodes


def _no_server() -> ModuleType:
    """What the pack and ComfyUI ask of the server's module: a class, here without an instance."""
    module: Any = ModuleType("server")
    module.PromptServer = type("PromptServer", (), {})
    return module


async def _load_pack() -> None:
    from geodesic_morph import comfy_entrypoint

    await (await comfy_entrypoint()).get_node_list()


def pack_nodes() -> Any:
    """The pack's node modules, as a namespace: `.prompt`, `.noise`, `.density`, `.metrics` …"""
    from geodesic_morph import nodes

    return nodes
