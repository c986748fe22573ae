"""The data of the nodes for the browser's charts: complete, in order, and plain JSON."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dev.comfyui.in_process import pack_nodes
from dev.comfyui.server import Server
from dev.workflows.settings import SMALL

from .conftest import PROMPT_A, PROMPT_B, Comfy

LONG = "a lighthouse, " * 40  # more than 75 tokens: two chunks, 154 rows
METHODS = ("optimal transport", "row order", "random")

pytestmark = pytest.mark.usefixtures("comfy")


def panels() -> Any:
    """The module, once `comfy` has loaded the pack."""
    return pack_nodes().ui.panel_data


def couple(comfy: Comfy, a: Any, b: Any, method: str = "optimal transport") -> Any:
    """The chart of two prompts' coupling, and the coupling."""
    clouds = [comfy.prompt.GeodesicPointCloud.execute(x)[0] for x in (a, b)]
    done = comfy.prompt.GeodesicCouple.execute(*clouds, method, 1, True)
    return done.ui["geodesic_coupling"], done[0], done


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", [(PROMPT_A, PROMPT_B), (PROMPT_A, LONG), (LONG, LONG + "sea")])
def test_the_pairs_of_a_chart_are_those_of_the_coupling(
    comfy: Comfy, method: str, texts: tuple[str, str]
) -> None:
    """Each pair as often as it is coupled, none else; their distances add up to the cost."""
    (chart,), (coupling,), done = couple(
        comfy, comfy.encode(texts[0]), comfy.encode(texts[1]), method
    )
    rows = coupling.source_rows[0].tolist(), coupling.target_rows[0].tolist()
    told = Counter({(i, j): times for i, j, _, times in chart["pairs"]})
    assert told == Counter(zip(*rows, strict=True))
    for side, place in (("source", 0), ("target", 1)):
        count = Counter()
        for pair, times in told.items():
            count[pair[place]] += times
        share = coupling.pairs // chart[side]["rows"]
        assert count == dict.fromkeys(range(chart[side]["rows"]), share)
    squares = sum(times * d * d for *_, d, times in chart["pairs"])
    assert squares**0.5 == pytest.approx(coupling.cost, rel=1e-5)
    assert [chart["cost"], chart["relative_cost"]] == pytest.approx(done[1:3], rel=1e-5)
    assert chart["method"] == method
    json.dumps(done.ui, allow_nan=False)


def test_a_pair_that_repeats_is_told_once(comfy: Comfy) -> None:
    """Of 4 and 6 rows, repeated to 12, several pairs are the same: one line with their number."""
    generator = torch.Generator().manual_seed(0)
    a, b = ([[torch.randn(1, rows, 768, generator=generator), {}]] for rows in (4, 6))
    (chart,), (coupling,), _ = couple(comfy, a, b)
    rows = coupling.source_rows[0].tolist(), coupling.target_rows[0].tolist()
    expected = Counter(zip(*rows, strict=True))
    assert max(expected.values()) > 1
    assert len(chart["pairs"]) == len(expected)
    assert {(i, j): times for i, j, _, times in chart["pairs"]} == expected


def test_equal_rows_are_at_no_distance(comfy: Comfy) -> None:
    """A prompt with itself: every row stays, at exactly 0; costs that are infinite are None."""
    (chart,), _, _ = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_A))
    assert chart["pairs"] == [[k, k, 0.0, 1] for k in range(77)]
    (chart,), _, done = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_A), "random")
    assert done[2] == float("inf")
    assert chart["relative_cost"] is None


def test_every_prompt_of_every_entry_is_a_part(comfy: Comfy) -> None:
    """Two entries with a batch of two are four charts; of a large batch the rest is counted."""
    rows, extras = comfy.encode(PROMPT_A)[0]
    two = [[torch.cat([rows, rows.flip(1)]), extras]] * 2
    charts, couplings, _ = couple(comfy, two, two, "random")
    assert [chart["left_out"] for chart in charts] == [0] * 4
    expected = [one.target_rows[b].tolist() for one in couplings for b in (0, 1)]
    assert [[j for _, j, _, _ in chart["pairs"]] for chart in charts] == expected
    many = [[rows[:, :2].repeat(70, 1, 1), {}]]
    charts, _, _ = couple(comfy, many, many)
    assert len(charts) == panels().MAX_PARTS
    assert charts[0]["left_out"] == 70 - len(charts)


def coloured(count: int, width: int, height: int, channels: int = 3) -> Tensor:
    """Frames of one colour each, the number of the frame in the red channel."""
    frames = torch.zeros(count, height, width, channels)
    frames[..., 0] = torch.arange(count)[:, None, None] / 255
    frames[..., 1:] = 0.5
    return frames


@pytest.mark.parametrize(
    ("width", "height", "cell"), [(128, 128, (96, 96)), (256, 128, (96, 48)), (40, 64, (40, 64))]
)
@pytest.mark.parametrize("parts", [[1, 1], [11], [3, 1, 20, 16], [200]])
def test_a_sheet_holds_every_frame_in_order(
    parts: list[int], width: int, height: int, cell: tuple[int, int]
) -> None:
    """Batches and lists are one row of frames; each is found in its cell, whole."""
    count = sum(parts)
    batches = list(coloured(count, width, height, 4).split(parts))
    sheet, columns, size = panels().contact_sheet(batches)
    assert size == cell
    assert max(sheet.shape[:2]) <= 4096
    for k in range(count):
        top, left = k // columns * cell[1], k % columns * cell[0]
        part = sheet[top : top + cell[1], left : left + cell[0]]
        assert part.shape == (cell[1], cell[0], 3)
        assert torch.allclose(part[..., 0], torch.tensor(k / 255), atol=1e-3)
        assert torch.allclose(part[..., 1:], torch.tensor(0.5), atol=1e-3)


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1920, 64), (33, 4000), (64, 64)])
@pytest.mark.parametrize("frames", [2, 1764, 4096, 9000])
def test_no_sheet_is_too_large(frames: int, width: int, height: int) -> None:
    """Cells shrink with the number of frames; 4096 square ones still have 64 pixels."""
    w, h = panels().cell_size(frames, width, height)
    assert (4096 // w) * (4096 // h) >= frames
    assert 1 <= max(w, h) <= 96
    if (width, height, frames) == (512, 512, 4096):
        assert (w, h) == (64, 64)


def test_numbers_are_finite_or_none() -> None:
    """Infinite numbers become None, as JSON has no infinity."""
    number = panels().number
    assert [number(x) for x in (0.0, 1 / 3)] == [0, 0.333333]
    assert number(float("inf")) is number(float("nan")) is None


def test_steps_tell_the_work_of_rendering_them_where_there_was_some(comfy: Comfy) -> None:
    """Perceptual Path Length renders nothing; Morph Sampler sends its work at the end."""
    from geodesic_morph.geometry.perceptual import Steps

    assert comfy
    chart, steps = panels().steps_chart, Steps((0.1, 0.3), 0.2, "LPIPS alex")
    (measured,), (rendered,) = (
        chart(steps, [coloured(3, 64, 64)], *work)["geodesic_steps"] for work in ([], [0.45])
    )
    assert "work" not in measured
    assert rendered == measured | {"work": 0.45, "sheet": rendered["sheet"]}


def test_compared_paths_keep_their_names(comfy: Comfy) -> None:
    """One entry per connected path with its label, its steps and its mean, beside the table."""
    from geodesic_morph.geometry.perceptual import Steps

    steps = [Steps((0.1, 0.3), 0.2, "LPIPS alex"), Steps((0.2, 0.2, 0.5), 0.1, "LPIPS vgg")]
    labels = {f"label_{letter}": letter * 2 for letter in "abcd"}
    done = comfy.metrics.GeodesicCompare.execute(steps_a=steps[0], steps_c=steps[1], **labels)
    ((chart,), (table,)) = done.ui["geodesic_compare"], done.ui["text"]
    assert [path["label"] for path in chart["paths"]] == ["aa", "cc"]
    assert [path["distances"] for path in chart["paths"]] == [[0.1, 0.3], [0.2, 0.2, 0.5]]
    assert [path["mean"] for path in chart["paths"]] == [0.2, 0.3]
    assert [path["largest"] for path in chart["paths"]] == [0.3, 0.5]
    assert table == done[1]
    json.dumps(done.ui, allow_nan=False)


@pytest.mark.parametrize(
    ("frames", "metrics", "warnings"),
    [
        ((3, 3), ("LPIPS alex", "LPIPS alex"), []),
        ((3,), ("LPIPS alex",), []),
        ((9, 3), ("LPIPS alex", "LPIPS alex"), ["the paths have 3 and 9 frames"]),
        ((3, 5, 5, 4), ("LPIPS vgg",) * 4, ["the paths have 3, 4 and 5 frames"]),
        ((3, 3), ("LPIPS alex", "LPIPS vgg"), ["measured with different metrics"]),
        ((2, 3), ("a", "b"), ["the paths have 2 and 3 frames", "with different metrics"]),
    ],
)
def test_paths_that_cannot_be_compared_are_told(
    comfy: Comfy,
    monkeypatch: pytest.MonkeyPatch,
    frames: tuple[int, ...],
    metrics: tuple[str, ...],
    warnings: list[str],
) -> None:
    """Each reason once: under the table, in the text under the node, and above the chart."""
    from geodesic_morph.geometry.perceptual import Steps

    under_node: list[str] = []
    monkeypatch.setattr(comfy.metrics, "show_note", lambda _cls, text: under_node.append(text))
    paths = zip("abcd", frames, metrics, strict=False)
    steps = {f"steps_{x}": Steps((0.25,) * (f - 1), 0.1, metric) for x, f, metric in paths}
    chart, table = comfy.metrics.GeodesicCompare.execute(**steps).result
    rows, *told = table.split("\n\n")
    assert len(rows.splitlines()) == 2 + len(frames)
    assert under_node[0].splitlines() == told
    assert len(told) == len(warnings)
    for sentence, part in zip(told, warnings, strict=True):
        assert sentence.startswith("Warning: ")
        assert part in sentence
    # A line above the chart per warning, and nothing is squeezed for it.
    assert chart.shape[1] == 420 + 22 * len(warnings)


def test_a_run_sends_charts_in_place_of_pictures(server: Server) -> None:
    """Over a real server: tokens by name, a sheet that is served, nothing under `images`."""
    prompt: dict[str, Any] = {
        "0": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": SMALL}},
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "a red circle"}},
    }
    for name, text in (("a", ["1", 0]), ("b", "a (blue:1.2) star")):
        prompt[name] = {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["0", 1]}}
        prompt[f"cloud {name}"] = {
            "class_type": "GeodesicPointCloud",
            "inputs": {"conditioning": [name, 0]},
        }
    inputs = {"source": ["cloud a", 0], "target": ["cloud b", 0], "method": METHODS[0], "seed": 0}
    prompt["couple"] = {"class_type": "GeodesicCouple", "inputs": inputs | {"pin_first_row": True}}
    prompt["seen"] = {"class_type": "PreviewAny", "inputs": {"source": ["couple", 1]}}
    for k, colour in enumerate((0, 0x8040C0)):
        size = {"width": 64, "height": 32, "batch_size": 2 - k}
        prompt[f"image {k}"] = {"class_type": "EmptyImage", "inputs": size | {"color": colour}}
    both = {"image1": ["image 0", 0], "image2": ["image 1", 0]}
    prompt["frames"] = {"class_type": "ImageBatch", "inputs": both}
    measured = {"images": ["frames", 0], "backbone": "alex", "frames_per_batch": 2}
    prompt["steps"] = {"class_type": "GeodesicPathLength", "inputs": measured}
    labels = {f"label_{letter}": letter for letter in "abcd"}
    compared = {"steps_a": ["steps", 3], "steps_b": ["steps", 3]} | labels
    prompt["compare"] = {"class_type": "GeodesicCompare", "inputs": compared}

    outputs = server.run(prompt)
    assert not any("images" in outputs[name] for name in ("couple", "steps", "compare"))
    (chart,) = outputs["couple"]["geodesic_coupling"]
    assert chart["source"]["labels"][:5] == ["⟨start⟩", "a", "red", "circle", "⟨end⟩"]
    assert chart["target"]["labels"][:5] == ["⟨start⟩", "a", "blue", "star", "⟨end⟩"]
    (chart,) = outputs["steps"]["geodesic_steps"]
    assert chart["distances"][0] == 0.0
    assert chart["distances"][1] == chart["largest"] > 0
    sheet = chart["sheet"]
    file = {key: sheet[key] for key in ("filename", "subfolder", "type")}
    picture = np.array(Image.open(io.BytesIO(server.fetch(file))))
    assert sheet["type"] == "temp"
    assert (sheet["width"], sheet["height"], sheet["frames"]) == (64, 32, 3)
    last = divmod(2, sheet["columns"])
    assert tuple(picture[last[0] * 32 + 5, last[1] * 64 + 5]) == (0x80, 0x40, 0xC0)
    assert picture[5, 5].max() == 0
    assert len(outputs["compare"]["geodesic_compare"][0]["paths"]) == 2


def test_hidden_inputs_stay_hidden(server: Server) -> None:
    """Hidden inputs are not stored in a workflow."""
    found = server.get("object_info")["GeodesicCouple"]["input"]
    assert not {"prompt", "unique_id"} & {*found["required"], *found.get("optional", {})}
    assert set(found["hidden"]) == {"prompt", "unique_id"}


# The chart of a coupling as an image


def drawn(comfy: Comfy, rows: tuple[int, int], scale: float = 1.0) -> tuple[Tensor, Any]:
    """The heatmap of two random prompts, [H, W, 3], and their coupling."""
    draw = torch.Generator().manual_seed(0)
    a, b = ([[scale * torch.randn(1, n, 8, generator=draw), {}]] for n in rows)
    _, (coupling,), done = couple(comfy, a, b)
    return done[3][0], coupling


@pytest.mark.parametrize("rows", [(2, 2), (6, 4), (9, 9)])
def test_a_heatmap_shows_every_distance_and_every_pair(comfy: Comfy, rows: tuple[int, int]) -> None:
    """The colours of the cells are ordered as the distances; circles stand on the pairs alone."""
    picture, coupling = drawn(comfy, rows)
    square = pack_nodes().ui.heatmap.SQUARE
    inside = picture[square[1] : square[3], square[0] : square[2]]
    cell = inside.shape[0] / rows[0], inside.shape[1] / rows[1]
    # Near a corner of each cell, where neither its circle nor its neighbours' are.
    y, x = (
        ((torch.arange(n) + near) * size).long()
        for n, near, size in zip(rows, (0.9, 0.1), cell, strict=True)
    )
    brightness = inside[y[:, None], x].sum(-1).flatten()
    points = coupling.source.points[0], coupling.target.points[0]
    order = torch.cdist(*points).flatten().argsort()
    assert bool((brightness[order].diff() >= -0.02).all())
    # Circles are light blue; the cells' colours, from black over red to yellow, are never so green.
    blue = inside[..., 1] - inside[..., 0] > 0.1
    blue[:36, 230:] = False  # the legend
    seen = {(int(y / cell[0]), int(x / cell[1])) for y, x in blue.nonzero().tolist()}
    both = coupling.source_rows[0].tolist(), coupling.target_rows[0].tolist()
    pairs = set(zip(*both, strict=True))
    assert {pair for pair in pairs if not is_under_legend(pair, cell)} <= seen <= pairs


def is_under_legend(pair: tuple[int, int], cell: tuple[float, float]) -> bool:
    """The right upper corner of the square, where the legend lies over the cells."""
    return (pair[0] + 0.5) * cell[0] < 60 and (pair[1] + 0.5) * cell[1] > 200


@pytest.mark.parametrize(("rows", "scale"), [((1, 1), 1.0), ((3, 3), 0.0), ((200, 100), 1e-6)])
def test_a_heatmap_is_drawn_of_any_distances(
    comfy: Comfy, rows: tuple[int, int], scale: float
) -> None:
    """One row, no distances at all, many rows and tiny numbers."""
    picture, _ = drawn(comfy, rows, scale)
    assert picture.shape == (480, 520, 3)
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1


@pytest.mark.parametrize(
    ("low", "high"), [(0, 76), (0, 0), (0, 1), (35.7, 42.8), (0, 1e-9), (-3, 5e4)]
)
def test_ticks_are_round_numbers_inside(low: float, high: float) -> None:
    """At most nine, inside the range, at equal distances of 1, 2 or 5 times a power of ten."""
    ticks = pack_nodes().ui.heatmap._ticks(low, high)
    assert len(ticks) <= 9
    slack = 1e-6 * (high - low)
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    steps = np.diff(ticks)
    assert all(f"{step:.0e}"[0] in "125" for step in steps)
    assert np.allclose(steps, steps[:1], rtol=1e-3)


def test_a_heatmap_has_a_panel_for_each_entry(comfy: Comfy) -> None:
    """Up to six beside each other."""
    entry = [torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0)), {}]
    *_, done = couple(comfy, [entry] * 7, [entry] * 7)
    assert done[3].shape == (1, 480, 6 * 520, 3)
