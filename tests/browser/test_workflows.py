"""The example workflows, opened and run as a person does: drop the file, press Run, look."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.environment import ROOT
from demo.server import Server
from demo.workflows import SMALL, SMALL_SETTINGS, WORKFLOWS, Settings
from tests.video import decode

from .conftest import Interface, anonymous

FRAMES, SIZE = 6, 64
# What a person without a GPU and with the small checkpoint would choose.
CHOICES: dict[str, dict[str, Any]] = {
    "CheckpointLoaderSimple": {"ckpt_name": SMALL},
    "EmptyLatentImage": {"width": SIZE, "height": SIZE},
    "KSampler": {"steps": 8, "cfg": 4.0},
    "Prompt B": {"text": SMALL_SETTINGS.prompt_b},
    "Prompt C": {"text": SMALL_SETTINGS.prompt_c},
    "Negative": {"text": ""},
    "GeodesicTimes": {"frames": FRAMES},
    "GeodesicRetime": {"frames": 2 * FRAMES},
}
# A first prompt of its own for each: a node whose result is cached from another file shows nothing.
PROMPT_A = {
    "two_prompt_morph": "a large yellow star on a blue background",
    "compare_couplings": "a large orange circle on a green background",
    "keyframes_constant_speed": "a large white square on a purple background",
}
VIDEO_FRAMES = {"two_prompt_morph": FRAMES, "keyframes_constant_speed": 2 * FRAMES}
CHARTS = {"two_prompt_morph": 1, "compare_couplings": 7, "keyframes_constant_speed": 3}


def ours(errors: list[str], native: set[str]) -> list[str]:
    """Errors that ComfyUI does not show by itself.

    It asks its registry about every pack named in a workflow, which its own content policy then
    forbids; that is not ours either.
    """
    return [e for e in errors if anonymous(e) not in native and "api.comfy.org" not in e]


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_a_file_opens_as_its_definition(interface: Interface, name: str) -> None:
    """No node is missing, and the interface would send exactly the graph of demo/workflows.py."""
    interface.open_file(ROOT / "example_workflows" / f"{name}.json")
    missing = interface.page.evaluate(
        "() => window.app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type])"
        ".map(n => n.type)"
    )
    assert missing == []
    expected = WORKFLOWS[name](Settings()).to_api()
    sent = interface.prompt()
    assert {k: (v["class_type"], without_display(v["inputs"])) for k, v in sent.items()} == {
        k: (v["class_type"], v["inputs"]) for k, v in expected.items()
    }
    groups = interface.page.evaluate("() => window.app.graph.groups.map(g => g.title)")
    assert len(groups) >= 4
    assert all(title[0].isdigit() for title in groups)


def without_display(inputs: dict[str, Any]) -> dict[str, Any]:
    """PreviewAny's text box is a widget of the page; the server has no such input."""
    return {k: v for k, v in inputs.items() if not k.startswith("preview")}


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_a_workflow_runs_from_the_page(
    interface: Interface, server: Server, native_errors: set[str], name: str
) -> None:
    """Run is pressed in the page; frames, size, charts and a playable video come out."""
    interface.open_file(ROOT / "example_workflows" / f"{name}.json")
    interface.set_widgets(CHOICES | {"Prompt A": {"text": PROMPT_A[name]}})
    before = set(server.get("history"))
    with interface.page.expect_response("**/api/prompt") as answered:
        interface.page.get_by_role("button", name="Run", exact=True).click()
    assert answered.value.status == 200, answered.value.text()
    prompt_id = answered.value.json()["prompt_id"]
    assert prompt_id not in before
    entry = server.wait(prompt_id)
    assert entry["status"]["status_str"] == "success", entry["status"]
    print("screenshot:", interface.screenshot(name))
    graph = WORKFLOWS[name](Settings())
    check_charts(server, graph, entry["outputs"], CHARTS[name])
    if name in VIDEO_FRAMES:
        check_video(server, entry["outputs"][graph.find("Save")], VIDEO_FRAMES[name])
        check_player(interface)
    else:
        check_frames(server, graph, entry["outputs"])
    assert ours(interface.errors, native_errors) == []


def check_charts(server: Server, graph: Any, outputs: dict[str, Any], count: int) -> None:
    """Every chart node shows one picture that is not blank."""
    nodes = ("GeodesicCouple", "GeodesicPathLength", "GeodesicCompare")
    charts = [outputs[str(node.id)]["images"] for node in graph.nodes if node.type in nodes]
    assert len(charts) == count
    for (file,) in charts:
        picture = np.array(Image.open(io.BytesIO(server.fetch(file))))
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 10


def check_frames(server: Server, graph: Any, outputs: dict[str, Any]) -> None:
    """Each coupling shows all its frames at the chosen size."""
    for method in ("optimal transport", "row order", "random"):
        files = outputs[graph.find(f"Frames: {method}")]["images"]
        sizes = [Image.open(io.BytesIO(server.fetch(file))).size for file in files]
        assert sizes == [(SIZE, SIZE)] * FRAMES


def check_video(server: Server, output: dict[str, Any], frames: int) -> None:
    """The file decodes to the right number of frames of the right size, at the right rate."""
    decoded, rate = decode(server.fetch(output["images"][0]))
    assert rate == 12
    assert [frame.shape for frame in decoded] == [(SIZE, SIZE, 3)] * frames
    assert not np.array_equal(decoded[0], decoded[-1])


def check_player(interface: Interface) -> None:
    """The page itself plays the video under the node that saved it."""
    interface.page.wait_for_function(
        "(size) => [...document.querySelectorAll('video')].some("
        "v => v.readyState >= 2 && v.videoWidth === size && v.duration > 0)",
        arg=SIZE,
    )
