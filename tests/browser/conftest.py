"""ComfyUI's web interface in a real, headless Chromium, on a real server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from demo import backbone, photos
from demo.environment import BASE, ROOT, locate
from demo.server import Server
from demo.settings import SMALL
from scenes import checkpoint

SCREENSHOTS = ROOT / "tests" / "screenshots"
# Without these, Chromium asks its maker's servers at every start.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, its greeting for newcomers answered, its minimap off the pictures."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    backbone.ensure(BASE / "models" / "lpips")
    photos.ensure(BASE / "input")
    # The picture that every ComfyUI brings in its own input folder.
    shutil.copy(locate().comfyui / "input" / "example.png", BASE / "input")
    with Server(cpu=True, log=tmp_path_factory.mktemp("server") / "server.log") as running:
        running.post("settings", {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False})
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which the set-up installs where it is missing."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "chromium is missing; `make test` installs it"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=QUIET + sandbox)
        yield running
        running.close()


@dataclass
class Interface:
    """A page that shows ComfyUI, and the errors its console has shown."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} @ {message.location.get('url', '')}")

    def open_file(self, path: Path) -> None:
        """Drop a workflow file on the canvas, as a person does."""
        transfer = self.page.evaluate_handle(
            """([name, text]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([text], name, {type: "application/json"}));
                return transfer;
            }""",
            [path.name, path.read_text()],
        )
        self.page.dispatch_event("#graph-canvas", "drop", {"dataTransfer": transfer})
        self.page.get_by_text(path.stem).first.wait_for()

    def set_widgets(self, values: dict[str, dict[str, Any]]) -> None:
        """Set widgets by node type or title, and by name, as typing into them does."""
        self.page.evaluate(
            """(values) => {
                for (const node of window.app.graph.nodes)
                    for (const widget of node.widgets ?? []) {
                        const value = (values[node.title] ?? values[node.type])?.[widget.name];
                        if (value === undefined) continue;
                        widget.value = value;
                        widget.callback?.(value);
                    }
            }""",
            values,
        )

    def prompt(self) -> dict[str, Any]:
        """What the interface would send to the server now."""
        return self.page.evaluate("async () => (await window.app.graphToPrompt()).output")

    def screenshot(self, name: str) -> Path:
        """The whole workflow in view, as a picture to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.locator("#graph-canvas").press(".")
        self.page.wait_for_timeout(1000)  # the view glides there; nothing tells when it arrived
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
        return SCREENSHOTS / f"{name}.png"


def open_interface(browser: Browser, server: Server) -> Interface:
    page = browser.new_page(viewport={"width": 2880, "height": 1620})
    interface = Interface(page)
    page.on("console", interface.on_console)
    page.on("pageerror", lambda error: interface.errors.append(str(error)))
    page.goto(server.url)
    page.wait_for_function("() => window.app?.graph && window.app.extensionManager")
    page.get_by_role("button", name="Run", exact=True).wait_for()
    return interface


def anonymous(error: str) -> str:
    """An error without what differs from run to run."""
    return re.sub(r"127\.0\.0\.1:\d+|:\d+:\d+", "", error)


@pytest.fixture(scope="session")
def native_errors(browser: Browser, server: Server) -> set[str]:
    """Errors that ComfyUI's console shows by itself, with a workflow of its own nodes."""
    interface = open_interface(browser, server)
    interface.page.wait_for_load_state("networkidle")
    interface.page.close()
    return {anonymous(error) for error in interface.errors}


@pytest.fixture
def interface(browser: Browser, server: Server) -> Iterator[Interface]:
    """ComfyUI, freshly opened."""
    opened = open_interface(browser, server)
    yield opened
    opened.page.close()
