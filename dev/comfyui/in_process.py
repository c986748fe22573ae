"""ComfyUI's modules inside this process, for tests and benchmarks of single nodes."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from .environment import BASE, PACK, locate


def import_comfyui(cpu: bool) -> ModuleType:
    """Import ComfyUI as its main.py does, and load the pack into it; returns its `nodes` module.

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
        import server  # noqa: F401

        import nodes
    finally:
        sys.path[:] = [*path, comfyui, str(PACK.parent)]
        sys.argv = arguments
    # In a new thread, because the caller's thread may already run an event loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(_load_pack())).result()
    return nodes


async def _load_pack() -> None:
    from geodesic_morph import comfy_entrypoint

    await (await comfy_entrypoint()).get_node_list()


def pack_nodes() -> Any:
    """The pack's node modules, as a namespace: `.prompt`, `.noise`, `.density`, `.metrics` …"""
    from geodesic_morph import nodes

    return nodes
