"""Whole morphs through the real server: files, repeatability, cancelling."""

from __future__ import annotations

import dataclasses
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dev.comfyui.server import Server, ServerError
from dev.workflows.building_blocks import cloud, couple
from dev.workflows.graph import Graph
from dev.workflows.prompt import compare_couplings, keyframes_constant_speed, two_prompt_morph
from dev.workflows.settings import Settings
from tests.video import decode


def video_frames(server: Server, graph: Graph, outputs: dict[str, Any]) -> list[np.ndarray]:
    file = outputs[graph.find("Save")]["images"][0]
    return decode(server.fetch(file))[0]


def previews(server: Server, graph: Graph, outputs: dict[str, Any], title: str) -> list[np.ndarray]:
    files = outputs[graph.find(title)]["images"]
    return [np.array(Image.open(io.BytesIO(server.fetch(file)))) for file in files]


def test_a_morph_becomes_a_video_and_the_same_one_twice(server: Server, settings: Settings) -> None:
    """Two runs with one seed give the same frames, and a video of the right length and size.

    Same up to one level of 256 in single values: threads may sum in another order from run to
    run. The frames are compared before the lossy video, which would spread such a level.
    """
    runs = []
    for _ in range(2):
        # Without this the second run would be the first one's cache.
        server.post("free", {"unload_models": True, "free_memory": True})
        graph = two_prompt_morph(settings)
        graph.add("PreviewImage", "Frames", images=graph.nodes[-4][0])
        outputs = server.run(graph.to_api())
        video = video_frames(server, graph, outputs)
        assert [frame.shape for frame in video] == [(64, 64, 3)] * settings.frames
        runs.append(np.array(previews(server, graph, outputs, "Frames"), dtype=int))
    difference = np.abs(runs[0] - runs[1])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert np.abs(runs[0][0] - runs[0][-1]).mean() > 5


def test_a_blend_next_to_the_target_has_its_picture(server: Server, settings: Settings) -> None:
    """The target's rows in a random order, just before t = 1, render like the target."""
    graph = two_prompt_morph(settings)
    a, b = (cloud(graph, graph.titled(f"Prompt {x}")[0], x) for x in "AB")
    coupling = couple(graph, a, b, "random")
    blend = graph.add("GeodesicBlend", coupling=coupling[0], t=0.9999999)
    api = graph.to_api()
    (sampler,) = (n for n in api.values() if n["class_type"] == "KSampler")
    (decoder,) = (n for n in api.values() if n["class_type"] == "VAEDecode")
    latent, prompt_b = graph.find("Size (one image)"), graph.find("Prompt B")
    extra: dict[str, Any] = {}
    for name, positive in (("near", [str(blend.id), 0]), ("native", [prompt_b, 0])):
        rendered = {**sampler["inputs"], "positive": positive, "latent_image": [latent, 0]}
        decoded = {**decoder["inputs"], "samples": [f"{name} render", 0]}
        extra |= {
            f"{name} render": {"class_type": "KSampler", "inputs": rendered},
            f"{name} decode": {"class_type": "VAEDecode", "inputs": decoded},
            name: {"class_type": "PreviewImage", "inputs": {"images": [f"{name} decode", 0]}},
        }
    outputs = server.run(api | extra)
    near, native = (
        np.array(Image.open(io.BytesIO(server.fetch(outputs[name]["images"][0]))), dtype=int)
        for name in ("near", "native")
    )
    assert np.abs(near - native).max() <= 1
    assert native.std() > 5


def test_three_couplings_start_and_end_alike(server: Server, settings: Settings) -> None:
    """However rows are paired, the first and the last picture are those of the prompts."""
    # A pairing from an earlier run would not be run again, and its chart not be sent.
    server.post("free", {"unload_models": True, "free_memory": True})
    graph = compare_couplings(settings)
    outputs = server.run(graph.to_api())
    films = [
        np.array(previews(server, graph, outputs, f"Frames: {method}"), dtype=int)
        for method in ("optimal transport", "row order", "random")
    ]
    for film in films[1:]:
        assert np.abs(film[0] - films[0][0]).max() <= 1
        assert np.abs(film[-1] - films[0][-1]).max() <= 1
    middle = settings.frames // 2
    assert np.abs(films[2][middle] - films[0][middle]).max() > 10
    table = outputs[graph.find("Which morph is smoothest?")]["text"][0]
    assert all(f"| {method} |" in table for method in ("optimal transport", "row order", "random"))
    assert "LPIPS alex" in table
    cost = [
        outputs[graph.find(f"Pair the rows: {m}")]["geodesic_coupling"][0]["relative_cost"]
        for m in ("optimal transport", "row order", "random")
    ]
    assert cost[0] == 1.0
    assert 1.0 <= cost[1] < cost[2]


def test_retiming_evens_the_pace(server: Server, settings: Settings) -> None:
    """A path run at a very uneven pace is re-timed: its steps then vary far less."""
    graph = keyframes_constant_speed(dataclasses.replace(settings, frames=8))
    api = graph.to_api()
    uneven = {"easing": "curve", "curve": "[[0, 0], [0.8, 0.1], [1, 1]]"}
    api[graph.find("Times of the frames")]["inputs"] |= uneven
    api[graph.find("Constant perceptual speed")]["inputs"]["frames"] = 8
    outputs = server.run(api)
    assert len(video_frames(server, graph, outputs)) == 8
    lines = outputs[graph.find("Before and after")]["text"][0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    paths = [dict(zip(head, row, strict=True)) for row in rows]
    assert [path["path"] for path in paths] == ["coarse pass", "re-timed"]
    coarse, even = (
        float(path["PDV (variance)"]) ** 0.5 / float(path["PPL (mean)"]) for path in paths
    )
    assert even < 0.6 * coarse


def test_cancelling_leaves_the_server_usable(server: Server, settings: Settings) -> None:
    """A run cancelled while it samples ends as cancelled, and the next run works."""
    long = dataclasses.replace(settings, frames=12, frames_per_batch=1, steps=200, seed=7)
    caught: list[Exception] = []
    started = threading.Event()

    def watch(event: str, data: dict[str, Any]) -> None:
        if event == "progress" and data["value"] >= 2:
            started.set()

    def run() -> None:
        try:
            server.run(two_prompt_morph(long).to_api(), watch)
        except ServerError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(timeout=120)
    server.post("interrupt")
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert "cancelled" in str(caught[0])
    graph = two_prompt_morph(dataclasses.replace(settings, seed=8))
    assert len(video_frames(server, graph, server.run(graph.to_api()))) == settings.frames


def test_a_measurement_can_be_cancelled(server: Server) -> None:
    """PPL over many frames checks for cancellation between its batches and frees memory."""
    blank = {
        "image": {
            "class_type": "EmptyImage",
            "inputs": {"width": 512, "height": 512, "batch_size": 600, "color": 255},
        },
        "measure": {
            "class_type": "GeodesicPathLength",
            "inputs": {"images": ["image", 0], "backbone": "alex", "frames_per_batch": 1},
        },
    }
    events: list[dict[str, Any]] = []

    def cancel(event: str, data: dict[str, Any]) -> None:
        if event == "progress":
            events.append(data)
            if len(events) == 2:
                server.post("interrupt")

    with pytest.raises(ServerError, match="cancelled"):
        server.run(blank, cancel)
    assert events[0]["node"] == "measure"
    assert events[-1]["value"] < events[-1]["max"] == 600


def test_an_unknown_choice_is_refused_before_anything_runs(server: Server) -> None:
    """A combo value that does not exist, and a t beyond the end, are named by node and input."""
    when = {"frames": 4, "easing": "bouncy", "ending": "stop", "curve": "[[0, 0], [1, 1]]"}
    graph = {
        "when": {"class_type": "GeodesicTimes", "inputs": when},
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["when", 0]}},
    }
    with pytest.raises(ServerError, match=r"GeodesicTimes.*easing"):
        server.run(graph)
    when |= {"easing": "curve", "curve": "[[0, 0], [1, 2]]"}
    with pytest.raises(ServerError, match="GeodesicTimes: curve: expected JSON points"):
        server.run(graph)


def test_a_port_in_use_is_said_in_one_sentence(server: Server) -> None:
    """Starting a second server on the same port is an error with the port and the remedy."""
    with pytest.raises(ServerError, match=rf"^Port {server.port} is in use; .*PORT=\.$"):
        Server(port=server.port)


def test_a_server_stops_when_asked(server: Server) -> None:
    """`stop` ends the process; nothing keeps the port."""
    second = Server(cpu=True, log=server.log.with_name("second.log"))
    with second:
        assert second.get("system_stats")["system"]["comfyui_version"]
    assert second.process is not None
    assert second.process.poll() is not None
