"""ComfyUI's web interface in a real, headless Chromium, on a real server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from dev.comfyui import lpips_weights
from dev.comfyui.browser import NODES_2, SETTINGS, chromium, show
from dev.comfyui.environment import BASE, ROOT, locate, newest_front_end
from dev.comfyui.server import Server
from dev.pictures import photos
from dev.workflows.settings import SMALL
from scenes import checkpoint

SCREENSHOTS = ROOT / "tests" / "screenshots"


@dataclass(frozen=True)
class Variant:
    """A version of the web interface, and which of its two renderers draws the nodes."""

    newest: bool
    nodes_2: bool

    def __str__(self) -> str:
        version = "newest" if self.newest else "1.32"
        return f"{version}-{'nodes2' if self.nodes_2 else 'classic'}"


VARIANTS = [Variant(newest, nodes_2) for newest in (False, True) for nodes_2 in (False, True)]


def prepare() -> None:
    """What a person has in ComfyUI's folders: a model, LPIPS weights, pictures."""
    checkpoint.ensure(BASE / "models" / "checkpoints" / SMALL)
    lpips_weights.ensure(BASE / "models" / "lpips")
    photos.ensure(BASE / "input")
    # The picture that every ComfyUI brings in its own input folder.
    shutil.copy(locate().comfyui / "input" / "example.png", BASE / "input")


def started(log: Path, front_end: Path | None = None) -> Iterator[Server]:
    """A server of its own, its greetings for newcomers answered, its minimap off the pictures."""
    prepare()
    with Server(cpu=True, log=log, front_end=front_end) as running:
        running.post("settings", SETTINGS | {NODES_2: False})
        yield running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ComfyUI with the web interface it asks for."""
    yield from started(tmp_path_factory.mktemp("server") / "server.log")


@pytest.fixture(scope="session")
def newest_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same ComfyUI with the newest web interface of the package index."""
    yield from started(tmp_path_factory.mktemp("newest") / "server.log", newest_front_end())


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as running:
        yield running


@dataclass
class Interface:
    """A page that shows ComfyUI, and the errors its console has shown."""

    page: Page
    server: Server
    name: str = ""
    native: set[str] = field(default_factory=set)
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

    def look_at(self, node_type: str, scale: float = 1.0) -> None:
        """Bring the first node of a type to the middle of the view."""
        self.page.evaluate(
            """([type, scale]) => {
                const node = window.app.graph.nodes.find(n => n.type === type);
                window.app.canvas.ds.scale = scale;
                window.app.canvas.centerOnNode(node);
                window.app.canvas.setDirty(true, true);
            }""",
            [node_type, scale],
        )
        self.page.wait_for_timeout(300)  # the elements follow the canvas a few frames later

    def values(self, node_type: str) -> list[dict[str, Any]]:
        """The widgets of all nodes of a type, by name, as they would be saved."""
        return self.page.evaluate(
            """(type) => window.app.graph.nodes.filter(n => n.type === type).map(
                n => Object.fromEntries(n.widgets.filter(w => w.serialize !== false)
                    .map((w, k) => [w.name, n.serialize().widgets_values[k]])))""",
            node_type,
        )

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
        self.page.locator("#graph-canvas").press(".")
        self.page.wait_for_timeout(1000)  # the view glides there; nothing tells when it arrived
        self.page.screenshot(path=self.screenshots() / f"{name}.png")
        return self.screenshots() / f"{name}.png"

    @staticmethod
    def screenshots() -> Path:
        """The folder of pictures to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        return SCREENSHOTS


def open_interface(browser: Browser, server: Server, run: str = "Run") -> Interface:
    """A new page, once it is ready to work. run: what its Run button says."""
    page = browser.new_page(viewport={"width": 2880, "height": 1620})
    interface = Interface(page, server)
    page.on("console", interface.on_console)
    page.on("pageerror", lambda error: interface.errors.append(error.stack or str(error)))
    show(page, server, run)
    return interface


def anonymous(error: str) -> str:
    """An error's first line, without what differs from run to run."""
    return re.sub(r"127\.0\.0\.1:\d+|:\d+:\d+", "", error).split("\n")[0]


def names_us(error: str) -> bool:
    """Whether a file or an extension of ours is in an error's text or stack."""
    return re.search(r"/geodesic_morph/|'geodesic\.", error) is not None


# ComfyUI asks its registry about every pack named in a workflow, which its own content policy then
# forbids, for templates of its own that an older ComfyUI does not have, and for every help page in
# the reader's language first.
ASKS = re.compile(r"api\.comfy\.org|/templates/index|/docs/\w+/[\w-]+\.md")


def ours(errors: list[str], native: set[str]) -> list[str]:
    """Errors that ComfyUI does not show by itself; one that names a file of ours is ours."""
    rest = [error for error in errors if not ASKS.search(error)]
    return [error for error in rest if names_us(error) or anonymous(error) not in native]


def errors_without_us(browser: Browser, server: Server) -> set[str]:
    """Errors that ComfyUI's console shows by itself, with a workflow of its own nodes."""
    interface = open_interface(browser, server)
    interface.page.wait_for_load_state("networkidle")
    interface.page.close()
    assert not [error for error in interface.errors if names_us(error)]
    return {anonymous(error) for error in interface.errors}


@pytest.fixture(scope="session")
def native_errors(browser: Browser, server: Server) -> set[str]:
    return errors_without_us(browser, server)


@pytest.fixture
def interface(browser: Browser, server: Server) -> Iterator[Interface]:
    """ComfyUI, freshly opened."""
    opened = open_interface(browser, server)
    yield opened
    opened.page.close()


@pytest.fixture(scope="session")
def natives() -> dict[Variant, set[str]]:
    """What each variant's console shows by itself, once found out."""
    return {}


@pytest.fixture(params=VARIANTS, ids=str)
def studio(
    request: pytest.FixtureRequest, browser: Browser, natives: dict[Variant, set[str]]
) -> Iterator[Interface]:
    """ComfyUI in both renderers of both interfaces; at its end, no console error is ours."""
    variant: Variant = request.param
    server = request.getfixturevalue("newest_server" if variant.newest else "server")
    server.post("settings", SETTINGS | {NODES_2: variant.nodes_2})
    try:
        if variant not in natives:
            natives[variant] = errors_without_us(browser, server)
        opened = open_interface(browser, server)
        opened.name, opened.native = str(variant), natives[variant]
        assert opened.page.evaluate("() => Boolean(LiteGraph.vueNodesMode)") == variant.nodes_2
        yield opened
        opened.page.close()
    finally:
        server.post("settings", {NODES_2: False})
    assert ours(opened.errors, opened.native) == []
