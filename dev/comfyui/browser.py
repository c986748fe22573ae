"""ComfyUI's web interface in a real, headless Chromium, for pictures of it and for tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from .server import Server, ServerError

# Without these, Chromium asks its maker's servers at every start.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NODES_2 = "Comfy.VueNodes.Enabled"
# No welcome for new users, no minimap and no side panel in the pictures.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.RightSidePanel.IsOpen": False,
    "Comfy.Locale": "en",
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which the set-up installs where it is missing."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        raise ServerError(
            "chromium is missing; `python3 -m dev.comfyui.environment --browser` adds it."
        )
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=QUIET + sandbox)
        yield running
        running.close()


def show(page: Page, server: Server, run: str = "Run") -> None:
    """Open ComfyUI in a page and wait until it is ready. run: the text on its run button."""
    page.goto(server.url)
    page.wait_for_function("() => window.app?.graph && window.app.extensionManager")
    page.get_by_role("button", name=run, exact=True).wait_for()
