"""ComfyUI's web interface in a real, headless Chromium, on a real server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect

from dev.comfyui.browser import NODES_2, SETTINGS, chromium, show
from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server

# Of the page: small, because every pixel is drawn by the CPU; and for tests that look at very much.
VIEW: ViewportSize = {"width": 1440, "height": 810}
WIDE: ViewportSize = {"width": 2880, "height": 1620}
SCREENSHOTS = ROOT / "tests" / "screenshots"
# The limit for waiting for something that never happens.
PATIENCE = 120
expect.set_options(timeout=PATIENCE * 1000)


@dataclass(frozen=True)
class Variant:
    """Which ComfyUI with its own web interface, and which of the two renderers draws the nodes."""

    newest: bool
    nodes_2: bool

    def __str__(self) -> str:
        version = "newest" if self.newest else "1.32"
        return f"{version}-{'nodes2' if self.nodes_2 else 'classic'}"


# Nodes 2.0 was an experiment in 1.32.
VARIANTS = [Variant(False, False), Variant(True, False), Variant(True, True)]
# The older interface's canvas and the newest's Nodes 2.0: all code of ours that there is.
FIRST_AND_LAST = [VARIANTS[0], VARIANTS[-1]]
IN_ALL = pytest.mark.parametrize("studio", VARIANTS, ids=str, indirect=True)


@pytest.fixture(scope="session")
def newest_server(models: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The newer ComfyUI with the newest web interface of the package index."""
    assert models is None
    log = tmp_path_factory.mktemp("newest") / "server.log"
    with Server(cpu=True, log=log, next_generation=True) as running:
        yield running


# Resolves once the canvas is drawn and nothing that stands on it has moved for some frames.
AT_REST = """() => new Promise(resolve => {
    const {canvas} = window.app;
    let before = "", still = 0;
    const look = () => {
        const elements = document.querySelectorAll("[data-node-id], .geodesic-panel");
        const places = [...elements].map(element => {
            const {left, top, width, height} = element.getBoundingClientRect();
            return [left, top, width, height];
        });
        const now = JSON.stringify([canvas.ds.scale, [...canvas.ds.offset], places]);
        const drawn = !canvas.dirty_canvas && !canvas.dirty_bgcanvas;
        still = drawn && now === before ? still + 1 : 0;
        before = now;
        if (still >= 4) resolve();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""
# An empty workflow in the only tab, seen from where a new page looks.
EMPTY = """async () => {
    const {command, workflow} = window.app.extensionManager;
    for (const close of document.querySelectorAll(".p-toast-close-button")) close.click();
    await command.execute("Comfy.NewBlankWorkflow");
    for (const other of [...workflow.openWorkflows])
        if (other.path !== workflow.activeWorkflow.path) await workflow.closeWorkflow(other);
    const {ds} = window.app.canvas;
    ds.scale = 1;
    ds.offset[0] = ds.offset[1] = 0;
    window.app.canvas.setDirty(true, true);
    return window.app.graph.nodes.length === 0 && workflow.openWorkflows.length === 1;
}"""
WHOLE = """() => {
    const {canvas, graph} = window.app;
    const corners = graph.nodes.flatMap(({pos, size}) =>
        [[pos[0], pos[1] - 30], [pos[0] + size[0], pos[1] + size[1]]]);
    const [x, y] = [0, 1].map(k => corners.map(corner => corner[k]));
    const [left, top] = [Math.min(...x), Math.min(...y)];
    canvas.ds.fitToBounds([left, top, Math.max(...x) - left, Math.max(...y) - top]);
    canvas.setDirty(true, true);
}"""


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
    used_up: bool = False  # set by a test that leaves panels open: the next one gets a new page

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
        self.page.wait_for_function("() => window.app.graph.nodes.length > 0")

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
        self.at_rest()

    def at_rest(self) -> None:
        """Wait for the elements, which follow the canvas a few frames later."""
        self.page.evaluate(AT_REST)

    def eventually(self, what: Callable[[], Any], expected: Any) -> None:
        """Wait until a value is as expected; the error shows the last value."""
        deadline = time.monotonic() + PATIENCE
        while (found := what()) != expected and time.monotonic() < deadline:
            self.page.wait_for_timeout(20)
        assert found == expected

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
        """Save a picture of the whole workflow, to look at."""
        self.page.evaluate(WHOLE)
        self.at_rest()
        self.page.screenshot(path=self.screenshots() / f"{name}.png")
        return self.screenshots() / f"{name}.png"

    @staticmethod
    def screenshots() -> Path:
        """The folder of pictures to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        return SCREENSHOTS


def open_interface(browser: Browser, server: Server, run: str = "Run") -> Interface:
    """A new page, once it is ready to work. run: what its Run button says."""
    page = browser.new_page(viewport=VIEW)
    page.set_default_timeout(PATIENCE * 1000)
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


# ComfyUI asks its registry about every pack named in a workflow, and a hub about models of its own
# templates, which its own content policy then forbids; for templates that an older ComfyUI does not
# have; and for every help page in the reader's language first.
ASKS = re.compile(r"api\.comfy\.org|huggingface\.co|/templates/index|/docs/\w+/[\w-]+\.md")


def ours(errors: list[str], native: set[str]) -> list[str]:
    """Errors that ComfyUI does not show by itself; one that names a file of ours is ours."""
    rest = [error for error in errors if not ASKS.search(error)]
    return [error for error in rest if names_us(error) or anonymous(error) not in native]


def opened(browser: Browser, server: Server, variant: Variant) -> Interface:
    """A new page, and the errors that its console shows with a workflow of ComfyUI's own nodes."""
    interface = open_interface(browser, server)
    interface.page.wait_for_load_state("networkidle")
    assert not [error for error in interface.errors if names_us(error)]
    interface.name, interface.native = str(variant), set(map(anonymous, interface.errors))
    assert interface.page.evaluate("() => Boolean(LiteGraph.vueNodesMode)") == variant.nodes_2
    return interface


# The page of the variant that is being tested: opening one takes longer than most tests. Tests come
# in the order of the variants, so one page is open at a time; an open page keeps a core busy.
PAGES: dict[Variant, Interface] = {}


def close_pages() -> None:
    while PAGES:
        PAGES.popitem()[1].page.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """After the last browser test no page stays open."""
    if nextitem is None or "browser" not in getattr(nextitem, "fixturenames", []):
        close_pages()


@contextmanager
def working(variant: Variant, request: pytest.FixtureRequest) -> Iterator[Interface]:
    """The variant's page with an empty workflow; at the end, no console error is ours."""
    server = request.getfixturevalue("newest_server" if variant.newest else "server")
    server.post("settings", SETTINGS | {NODES_2: variant.nodes_2})
    if variant not in PAGES:
        close_pages()
        PAGES[variant] = opened(request.getfixturevalue("browser"), server, variant)
    interface = PAGES[variant]
    page, failed = interface.page, request.session.testsfailed
    page.set_viewport_size(VIEW)
    page.mouse.move(5, 400)
    assert page.evaluate(EMPTY)
    interface.errors.clear()
    try:
        yield interface
        assert ours(interface.errors, interface.native) == []
    except BaseException:
        failed = -1
        raise
    finally:
        spoilt = interface.used_up or request.session.testsfailed != failed
        # After the last test of all, it is gone already.
        if spoilt and (left := PAGES.pop(variant, None)):
            left.page.close()


@pytest.fixture
def interface(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Interface]:
    """ComfyUI by default: the interface that it requires, with the classic renderer."""
    assert browser
    with working(VARIANTS[0], request) as page:
        yield page


@pytest.fixture(params=FIRST_AND_LAST, ids=str)
def studio(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Interface]:
    """The older ComfyUI with its classic canvas, the newer one with Nodes 2.0."""
    assert browser
    with working(request.param, request) as page:
        yield page
