"""The example workflows, opened and run as a person does: drop the file, press Run, look."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dev.comfyui.environment import ROOT
from dev.comfyui.server import Server
from dev.workflows.catalogue import ALL_WORKFLOWS, WORKFLOWS
from dev.workflows.graph import Graph
from dev.workflows.settings import SMALL, SMALL_SETTINGS, Settings
from tests.video import decode

from .conftest import WHOLE, Interface

FRAMES, SIZE, COLUMNS = 3, 32, 3
# What a person without a GPU and with the small checkpoint would choose.
CHOICES: dict[str, dict[str, Any]] = {
    "CheckpointLoaderSimple": {"ckpt_name": SMALL},
    "EmptyLatentImage": {"width": SIZE, "height": SIZE},
    "KSampler": {"steps": 2, "cfg": 4.0},
    "GeodesicMorphSampler": {"frames": FRAMES, "steps": 2, "cfg": 4.0},
    "Prompt B": {"text": SMALL_SETTINGS.prompt_b},
    "Prompt C": {"text": SMALL_SETTINGS.prompt_c},
    "Negative": {"text": ""},
    "GeodesicTimes": {"frames": FRAMES},
    "GeodesicKeyframes": {"length": FRAMES},
    "GeodesicRetime": {"frames": 2 * FRAMES},
    "CFGGuider": {"cfg": 4.0},
    "BasicScheduler": {"steps": 2},
    "Number of frames": {"value": FRAMES},
    "Frames rendered at once": {"batch_size": 2},
    "Columns": {"value": COLUMNS},
    "GeodesicNoiseGrid": {"rows": 2},
    "Steps, both ways": {"value": 2},
    "ImageScale": {"width": SIZE, "height": SIZE},
    "Photo A": {"image": SMALL_SETTINGS.photos[0]},
    "Photo B": {"image": SMALL_SETTINGS.photos[1]},
    "Photo C": {"image": SMALL_SETTINGS.photo_c},
    "GeodesicTextInversion": {"steps": 2},
    "Film in words": {
        "text": f"0: a small red star\nend: {'a large blue ring, ' * 20}",
        "frames": 2 * FRAMES,
        "after": "",
    },
    "One run of the film": {"first_frame": 1, "frame_limit": FRAMES},
    "Music": {"audio": SMALL_SETTINGS.music},
    "Cut, in seconds": {"duration": 1.0},
    "GeodesicDensityPath": {"frames": FRAMES, "levels": 2, "iterations": 3, "strength": 0.0016},
    "GeodesicDensityExtrapolate": {"frames": 2, "steps": 2},
    "GeodesicDensityAnalysis": {"draws": 1, "iterations": 2, "strength": 0.0016},
}
# Each file gets its own first prompt: a node with a cached result would show nothing. The film in
# words has its own text.
PROMPT_A = {
    "even_morph": "a small green circle on a white background",
    "two_prompt_morph": "a large yellow star on a blue background",
    "compare_couplings": "a large orange circle on a green background",
    "keyframes_constant_speed": "a large white square on a purple background",
    "music_morph": "a small white ring on a red background",
    "long_morph": "",
    "seed_travel": "a cyan ring",
    "prompt_and_seed_travel": "a green triangle",
    "noise_grid": "a pink star",
    "photo_to_photo": SMALL_SETTINGS.prompt_a + ", middle",
    "photos_morph": SMALL_SETTINGS.prompt_a + ", in the centre",
    "image_to_image_geodesic": SMALL_SETTINGS.prompt_a + ", in the middle",
    "extrapolate": "a large red triangle on a white background",
    "is_this_clip_a_geodesic": "a large green ring on a pink background",
}
VIDEO_FRAMES = {
    "even_morph": FRAMES,
    "two_prompt_morph": FRAMES,
    "keyframes_constant_speed": 2 * FRAMES,
    "music_morph": 12,
    "seed_travel": FRAMES,
    "prompt_and_seed_travel": FRAMES,
    "photo_to_photo": FRAMES,
    "photos_morph": FRAMES,
    "image_to_image_geodesic": 2 * FRAMES,
    "extrapolate": FRAMES + 2,
}
# Under which key a node's numbers reach the page.
DRAWN = {
    "Couple": "geodesic_coupling",
    "DensityPath": "geodesic_search",
    "DensityAnalysis": "geodesic_analysis",
    "MorphSampler": "geodesic_steps",
    "PathLength": "geodesic_steps",
    "Compare": "geodesic_compare",
}
# Nodes whose chart is a picture.
PICTURES = {"Beats"}
CHARTS = {
    "even_morph": 1,
    "compare_couplings": 7,
    "keyframes_constant_speed": 3,
    "music_morph": 1,
    "photo_to_photo": 1,
    "photos_morph": 1,
    "image_to_image_geodesic": 2,
    "extrapolate": 1,
    "is_this_clip_a_geodesic": 1,
}


@pytest.mark.parametrize("name", list(ALL_WORKFLOWS))
def test_a_file_opens_as_its_definition(interface: Interface, server: Server, name: str) -> None:
    """No node is missing, and the interface would send exactly the graph of dev/workflows/."""
    interface.open_file(ROOT / "example_workflows" / f"{name}.json")
    missing = interface.page.evaluate(
        "() => window.app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type])"
        ".map(n => n.type)"
    )
    assert missing == []
    expected = ALL_WORKFLOWS[name](Settings()).to_api()
    sent, schemas = interface.prompt(), server.get("object_info")
    assert {k: (v["class_type"], without_display(v["inputs"])) for k, v in sent.items()} == {
        k: (kind := v["class_type"], defaults(schemas[kind]) | v["inputs"])
        for k, v in expected.items()
    }
    groups = interface.page.evaluate("() => window.app.graph.groups.map(g => g.title)")
    assert len(groups) >= 4
    assert all(title[0].isdigit() for title in groups)


def defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """What the page sends for optional inputs that the definition leaves as they are."""
    optional = schema["input"].get("optional", {})
    return {k: v[1]["default"] for k, v in optional.items() if "default" in [*v, {}][1]}


def without_display(inputs: dict[str, Any]) -> dict[str, Any]:
    """PreviewAny's text box and Load Audio's player are widgets of the page, no inputs."""
    return {k: v for k, v in inputs.items() if not k.startswith(("preview", "audioUI"))}


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_a_workflow_runs_from_the_page(studio: Interface, name: str) -> None:
    """Run is pressed in the page; frames, size, charts and a playable video come out.

    After the run no node lies over another or outside of its group.
    """
    interface, server = studio, studio.server
    interface.open_file(ROOT / "example_workflows" / f"{name}.json")
    graph = WORKFLOWS[name](Settings())
    assert layout_faults(interface, graph) == []
    interface.set_widgets(CHOICES | {"Prompt A": {"text": PROMPT_A[name]}})
    before = set(server.get("history"))
    with interface.page.expect_response("**/api/prompt") as answered:
        interface.page.get_by_role("button", name="Run", exact=True).click()
    assert answered.value.status == 200, answered.value.text()
    prompt_id = answered.value.json()["prompt_id"]
    assert prompt_id not in before
    entry = server.wait(prompt_id)
    assert entry["status"]["status_str"] == "success", entry["status"]
    check_panels(interface, check_charts(server, graph, entry["outputs"], CHARTS.get(name, 0)))
    if name in VIDEO_FRAMES:
        check_video(server, entry["outputs"][graph.find("Save")], VIDEO_FRAMES[name])
        check_player(interface)
    elif name == "long_morph":
        check_pictures(server, entry["outputs"][graph.find("Save")]["images"])
    elif name == "noise_grid":
        check_sheet(server, entry["outputs"][graph.find("Save")])
    elif name == "is_this_clip_a_geodesic":
        check_table(entry["outputs"][graph.find("Is it a geodesic?")])
    elif name == "compare_couplings":
        check_frames(server, graph, entry["outputs"])
    print("screenshot:", interface.screenshot(f"{name}, {interface.name}"))
    assert layout_faults(interface, graph) == []


# Nodes as they are drawn, by id, and groups: left, top, right and bottom on the canvas.
BOXES = """() => {
    const {canvas, graph} = window.app;
    const {scale, offset} = canvas.ds;
    const page = canvas.canvas.getBoundingClientRect();
    const drawn = (node) => {
        const element = document.querySelector(`[data-node-id="${node.id}"]`);
        if (!LiteGraph.vueNodesMode || !element) {
            const [x, y] = node.pos;
            return [x, y - 30, x + node.size[0], y + node.size[1]];
        }
        const {left, top, right, bottom} = element.getBoundingClientRect();
        return [
            (left - page.left) / scale - offset[0], (top - page.top) / scale - offset[1],
            (right - page.left) / scale - offset[0], (bottom - page.top) / scale - offset[1],
        ];
    };
    const groups = graph.groups.map(({title, _bounding: [x, y, w, h]}) =>
        [title, [x, y, x + w, y + h]]);
    return [graph.nodes.map(node => [Number(node.id), drawn(node)]), groups];
}"""
SLACK = 2


def layout_faults(interface: Interface, graph: Graph) -> list[str]:
    """Which nodes lie over another or leave their own group; seen as a whole."""
    interface.page.evaluate(WHOLE)
    interface.at_rest()
    nodes, groups = interface.page.evaluate(BOXES)
    room = dict(groups)
    known = {node.id: node for node in [*graph.nodes, *graph.notes]}
    over = [
        f"'{known[number].title}' lies over '{known[other].title}'"
        for k, (number, box) in enumerate(nodes)
        for other, its in nodes[:k]
        if all(box[x] < its[x + 2] - SLACK and its[x] < box[x + 2] - SLACK for x in (0, 1))
    ]
    outside = [
        f"'{known[number].title}' leaves its group"
        for number, box in nodes
        for its in [room[known[number].group]]
        if any(box[x] < its[x] - SLACK or box[x + 2] > its[x + 2] + SLACK for x in (0, 1))
    ]
    return over + outside


def check_charts(server: Server, graph: Any, outputs: dict[str, Any], count: int) -> int:
    """Every chart node hands over numbers, Times from Audio a picture that is not blank.

    Returns how many have a panel.
    """
    found = [
        (node.type.removeprefix("Geodesic"), outputs[str(node.id)])
        for node in graph.nodes
        if node.type.removeprefix("Geodesic") in {*DRAWN, *PICTURES}
    ]
    assert len(found) == count
    for kind, output in found:
        if kind in PICTURES:
            (file,) = output["images"]
            picture = np.array(Image.open(io.BytesIO(server.fetch(file))))
            assert min(picture.shape[:2]) > 300
            assert picture.std() > 10
        else:
            assert output[DRAWN[kind]]
            assert "images" not in output
    return sum(kind in DRAWN for kind, _ in found)


def check_panels(interface: Interface, count: int) -> None:
    """The page has drawn this number of charts, none of them empty."""
    interface.page.wait_for_function(
        "(count) => [...document.querySelectorAll('.geodesic-chart-panel')].filter("
        "panel => !panel.matches('.geodesic-waiting') && panel.querySelector('svg path'))"
        ".length === count",
        arg=count,
    )


def check_frames(server: Server, graph: Any, outputs: dict[str, Any]) -> None:
    """Each coupling shows all its frames at the chosen size."""
    for method in ("optimal transport", "row order", "random"):
        check_pictures(server, outputs[graph.find(f"Frames: {method}")]["images"])


def check_pictures(server: Server, files: list[dict[str, Any]]) -> None:
    """As many pictures as frames, each of the chosen size."""
    sizes = [Image.open(io.BytesIO(server.fetch(file))).size for file in files]
    assert sizes == [(SIZE, SIZE)] * FRAMES


def check_table(output: dict[str, Any]) -> None:
    """The analysis of all frames, with a verdict."""
    (table,) = output["text"]
    assert table.startswith(f"{FRAMES} frames at noise level 0.6")
    assert "eodesic: its gradient norm is" in table


def check_sheet(server: Server, output: dict[str, Any]) -> None:
    """One picture with every cell of the grid, all of them drawn and not all alike."""
    (file,) = output["images"]
    sheet = np.array(Image.open(io.BytesIO(server.fetch(file))))
    assert sheet.shape == (2 * 256 + 4, COLUMNS * 256 + (COLUMNS - 1) * 4, 3)
    corners = [
        sheet[row * 260 :, column * 260 :][:256, :256] for row in (0, 1) for column in (0, 2)
    ]
    assert all(corner.std() > 5 for corner in corners)
    assert any(np.abs(corners[0].astype(int) - other).mean() > 5 for other in corners[1:])


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
