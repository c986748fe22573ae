"""Off the island: times as numbers and back, and measurements as files for researchers."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from dev.comfyui.server import Server
from dev.workflows.building_blocks import cloud, couple, start
from dev.workflows.graph import Graph
from dev.workflows.settings import Settings

from ..generations import BOTH
from .conftest import PROMPT_A, PROMPT_B, Comfy
from .test_nodes import couple as paired
from .test_nodes import times as frame_times

pytestmark = BOTH


# Times and numbers


def numbers(comfy: Comfy, when: Any, low: float = 0.0, high: float = 1.0) -> Any:
    return comfy.times.GeodesicTimesToFloats.execute(when, low, high).result


def back(comfy: Comfy, *given: Any, frames: int = 9, stretch: bool = False, end: str = "stop"):
    execute = comfy.times.GeodesicFloatsToTimes.execute
    return execute(list(given), [frames], [stretch], [end]).result[0]


@pytest.mark.parametrize("frames", [1, 2, 9, 200])
@pytest.mark.parametrize("ending", ["stop", "loop"])
def test_there_and_back_is_the_same(comfy: Comfy, frames: int, ending: str) -> None:
    """Numbers from 0 to 1 are the times, one by one or all in one."""
    when = frame_times(comfy, frames, ending)
    floats, values, _, count = numbers(comfy, when)
    assert count == frames
    assert back(comfy, *floats, end=ending) == when
    assert back(comfy, values, end=ending) == when


def test_numbers_have_their_range(comfy: Comfy) -> None:
    """low at t = 0, high at t = 1, also downwards; stretched back they are the times."""
    when = frame_times(comfy, 5)
    floats = numbers(comfy, when, 1.2, -0.4)[0]
    assert floats == pytest.approx([1.2, 0.8, 0.4, 0.0, -0.4])
    upwards = numbers(comfy, when, -3.0, 9.0)[0]
    assert back(comfy, *upwards, stretch=True).values == pytest.approx(when.values)


@pytest.mark.parametrize("frames", [2, 9, 200])
def test_a_curve_goes_there_and_back(comfy: Comfy, frames: int) -> None:
    """As ComfyUI's CURVE; long films are drawn through 64 points."""
    when = comfy.times.GeodesicTimes.execute(frames, "ease in", "stop", "")[0]
    curve = numbers(comfy, when)[2]
    tolerance = 1e-9 if frames <= 64 else 1e-3
    assert back(comfy, curve, frames=frames).values == pytest.approx(when.values, abs=tolerance)
    points = curve["points"] if isinstance(curve, dict) else curve.points
    assert len(points) == min(frames, 64)


def test_a_plain_curve_is_read_in_any_version(comfy: Comfy) -> None:
    """Points as a saved workflow holds them, in any order; a loop does not reach its end."""
    raw = {"points": [[1.0, 1.0], [0.0, 0.0], [0.5, 0.2]], "interpolation": "linear"}
    assert back(comfy, raw, frames=5).values == pytest.approx([0, 0.1, 0.2, 0.6, 1.0])
    assert back(comfy, raw, frames=4, end="loop").values == pytest.approx([0, 0.1, 0.2, 0.6])


@pytest.mark.parametrize(
    ("given", "stretch", "problem"),
    [
        ([0.5, 1.5], False, "expected numbers from 0 to 1, got 1.5.*stretch"),
        ([0.5, 0.5], True, "expected different numbers to stretch"),
        ([0.5, math.nan], True, "expected finite numbers"),
        (["x"], False, "expected numbers, or one curve, got str"),
        ([True], False, "expected numbers, or one curve, got bool"),
        ([{"points": [[0, 0], [1, 1]]}, 0.5], False, "expected numbers, or one curve, got dict"),
        ([[]], False, "expected at least one time"),
    ],
)
def test_what_is_no_pace_is_refused(
    comfy: Comfy, given: list[Any], stretch: bool, problem: str
) -> None:
    """Nothing is clipped: numbers outside, of no use, or of another kind name the input."""
    with pytest.raises(ValueError, match=problem):
        back(comfy, *given, stretch=stretch)


def test_the_server_hands_out_one_number_for_each_frame(server: Server) -> None:
    """A list output runs the nodes behind it once a frame, and comes back as a list."""
    graph = Graph()
    when = graph.add(
        "GeodesicTimes", frames=4, easing="linear", ending="stop", curve="[[0, 0], [1, 1]]"
    )
    floats = graph.add("GeodesicTimesToFloats", times=when[0], low=0.0, high=3.0)
    seen = graph.add("PreviewAny", "Seen", source=floats[0])
    again = graph.add(
        "GeodesicFloatsToTimes", floats=floats[0], frames=1, stretch=True, ending="stop"
    )
    twice = graph.add("GeodesicTimesToFloats", times=again[0], low=0.0, high=1.0)
    graph.add("PreviewAny", "Twice", source=twice[3])
    outputs = server.run(graph.to_api())
    assert [float(text) for text in outputs[str(seen.id)]["text"]] == [0.0, 1.0, 2.0, 3.0]
    assert outputs[graph.find("Twice")]["text"] == ["4"]


# Export


@pytest.fixture
def steps(comfy: Comfy) -> Any:
    from geodesic_morph.geometry.perceptual import Steps

    assert comfy
    return Steps((0.1, 0.25, 0.3), 0.4, "LPIPS alex")


def export(comfy: Comfy, tmp_path: Path, prefix: str = "run/m", **given: Any) -> Any:
    import folder_paths

    before = folder_paths.get_output_directory()
    folder_paths.set_output_directory(str(tmp_path))
    try:
        return comfy.metrics.GeodesicExport.execute(prefix, **given).result
    finally:
        folder_paths.set_output_directory(before)


def test_pandas_reads_what_was_measured(comfy: Comfy, tmp_path: Path, steps: Any) -> None:
    """JSON and CSV hold the numbers exactly, as texts and as numbered files."""
    pairs = paired(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B), "random", 3)
    when = frame_times(comfy, 4)
    for number in (1, 2):
        written, table = export(comfy, tmp_path, steps=steps, coupling=pairs, times=when)
        files = sorted((tmp_path / "run").glob(f"m_{number:05}_.*"))
        assert [file.read_text() for file in files] == [table, written]
    found = json.loads(written)
    assert found["steps"]["distances"] == [0.1, 0.25, 0.3]
    assert found["steps"]["metric"] == "LPIPS alex"
    assert found["times"]["values"] == list(when.values)
    (part,) = found["coupling"]["parts"]
    assert (part["method"], part["seed"]) == ("random", 3)
    frame = pd.read_csv(io.StringIO(table))
    assert frame[frame.table == "steps"].value.tolist() == [0.1, 0.25, 0.3]
    assert frame[frame.table == "times"].value.tolist() == list(when.values)
    rows = frame[frame.table == "coupling"]
    squares = (rows.distance**2 * rows["count"]).sum()
    assert math.sqrt(squares) == pytest.approx(found["coupling"]["cost"], rel=1e-9)
    assert sorted(rows.source_row) == list(range(77))


@pytest.mark.parametrize("given", ["steps", "times"])
def test_one_of_them_is_enough(comfy: Comfy, tmp_path: Path, steps: Any, given: str) -> None:
    """What is not connected has no part; nothing at all is refused."""
    values = {"steps": steps, "times": frame_times(comfy, 3)}
    written, table = export(comfy, tmp_path, **{given: values[given]})
    assert list(json.loads(written)) == [given]
    assert set(pd.read_csv(io.StringIO(table)).table) == {given}
    with pytest.raises(ValueError, match=r"^steps, coupling, times: expected at least one"):
        export(comfy, tmp_path)


def test_rows_of_zeros_and_infinite_costs_are_empty(comfy: Comfy, tmp_path: Path) -> None:
    """Rows that row order fills up have no number; a cost over zero has none either."""
    prompts = [[[torch.ones(1, rows, 8), {}]] for rows in (2, 3)]
    made = paired(comfy, prompts[0], prompts[1], "row order")
    written, table = export(comfy, tmp_path, coupling=made)
    pairs = json.loads(written)["coupling"]["parts"][0]["pairs"]
    assert [pair["source_row"] for pair in pairs] == [0, 1, None]
    assert pd.read_csv(io.StringIO(table)).source_row.isna().tolist() == [False, False, True]
    cold = [[[torch.zeros(1, 2, 8), {}]], [[torch.eye(2, 8)[None], {}]]]
    same = paired(comfy, cold[1], [[torch.eye(2, 8).flip(0)[None], {}]], "row order")
    assert (
        json.loads(export(comfy, tmp_path, coupling=same)[0])["coupling"]["relative_cost"] is None
    )


@pytest.mark.parametrize("prefix", ["../out", "/tmp/out", "a/../../out"])
def test_no_file_leaves_the_output_folder(
    comfy: Comfy, tmp_path: Path, steps: Any, prefix: str
) -> None:
    """A path outside is refused by the input's name, and nothing is written."""
    inside = tmp_path / "output"
    inside.mkdir()
    with pytest.raises(ValueError, match=r"^filename_prefix: expected a name inside"):
        export(comfy, inside, prefix, steps=steps)
    assert [path.name for path in tmp_path.rglob("*")] == ["output"]


def test_words_come_from_the_graph(comfy: Comfy, tmp_path: Path) -> None:
    """Behind Couple Prompts stand the prompts: each pair has its words, padding has none."""
    graph = Graph()
    common = start(graph, Settings(), [PROMPT_A, PROMPT_B])
    a, b = (cloud(graph, p, letter) for p, letter in zip(common.prompts, "AB", strict=True))
    coupling = couple(graph, a, b, "row order")
    node = graph.add("GeodesicExport", filename_prefix="x", coupling=coupling[0])
    hidden = SimpleNamespace(prompt=graph.to_api(), unique_id=str(node.id))
    running = type("Running", (comfy.metrics.GeodesicExport,), {"hidden": hidden})
    pairs = paired(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B), "row order")
    import folder_paths

    before = folder_paths.get_output_directory()
    folder_paths.set_output_directory(str(tmp_path))
    try:
        table = running.execute("x", coupling=pairs).result[1]
    finally:
        folder_paths.set_output_directory(before)
    rows = pd.read_csv(io.StringIO(table))
    assert rows.source_word[1:4].tolist() == ["a", "small", "red"]
    assert rows.target_word[1:4].tolist() == ["on", "black", ","]
    assert rows.source_word.isna().sum() > 50
