"""The example workflows, as graphs."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dev.comfyui.environment import ROOT
from dev.workflows.app_mode import RESULTS
from dev.workflows.catalogue import ALL_WORKFLOWS, WORKFLOWS
from dev.workflows.graph import Graph, Link
from dev.workflows.settings import SD15, Settings


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_workflows_use_core_nodes_and_ours_with_fixed_seeds(name: str) -> None:
    """SD1.5's usual file, the given seed, a deterministic sampler, unique titles in groups."""
    graph = WORKFLOWS[name](dataclasses.replace(Settings(), seed=9))
    for node in graph.nodes:
        assert node.title
        assert node.group
        if node.type == "KSampler":
            seed = node.inputs["seed"]
            shared = seed.node.inputs["value"] if isinstance(seed, Link) else seed
            assert shared == 9
            assert node.inputs["sampler_name"] == "dpmpp_2m"
        if node.type == "GeodesicMorphSampler":
            assert node.inputs["seed"] == 9
            assert node.inputs["sampler_name"] == "euler"
        if node.type == "CheckpointLoaderSimple":
            assert node.inputs["ckpt_name"] == SD15


@pytest.mark.parametrize("name", list(ALL_WORKFLOWS))
def test_app_mode_asks_for_what_a_person_sets(name: str) -> None:
    """All prompts, how many frames, every seed that renders, the model; shown is what is saved.

    Each is the value of a node in the file, and not given by a link.
    """
    graph = ALL_WORKFLOWS[name](Settings())
    nodes = {node.id: node for node in graph.nodes}
    saved = json.loads((ROOT / "example_workflows" / f"{name}.json").read_text())
    kinds = {node["id"]: node["type"] for node in saved["nodes"] if node["type"] != NOTE}
    assert kinds == {id: node.type for id, node in nodes.items()}
    data = saved["extra"]["linearData"]
    asked = [(nodes[id], input) for id, input in data["inputs"]]
    for node, input in asked:
        assert not isinstance(node.inputs[input], Link)
    assert len({(node.id, input) for node, input in asked}) == len(asked)
    prompts = {node.id for node in graph.nodes if "text" in node.inputs}
    assert {node.id for node, input in asked if input == "text"} == prompts
    assert any(input in ("ckpt_name", "unet_name") for _, input in asked)
    assert any(input in ("frames", "length", "rows", "duration") for _, input in asked) or (
        "Number of frames" in [node.title for node, _ in asked]
    )
    seeds = [n for n, input in asked if input == "seed" or n.title == "Seed"]
    noises = [n for n in seeds if n.type == "GeodesicNoiseKeyframe"]
    assert len(seeds) == max(1, len(noises)) or "photo" in name or "image_to" in name
    shown = [nodes[id] for id in data["outputs"]]
    assert shown
    assert len({node.type for node in shown}) == 1
    assert shown[0].type in RESULTS


# A note on the canvas, which is no node of the graph.
NOTE = "MarkdownNote"
SOURCE = {"input": {}, "input_order": {}, "output": ["MODEL"], "output_name": ["model"]}
SAMPLER = {
    "input": {
        "required": {
            "seed": ["INT", {"default": 0, "control_after_generate": True}],
            "model": ["MODEL", {}],
            "name": [["euler", "heun"], {"default": "heun"}],
        }
    },
    "input_order": {"required": ["seed", "model", "name"]},
    "output": ["LATENT"],
    "output_name": ["latent"],
}

END = {
    "input": {"required": {"latent": ["LATENT", {}]}},
    "input_order": {"required": ["latent"]},
    "output": [],
    "output_name": [],
}


def test_values_follow_each_other_and_a_seed_is_fixed() -> None:
    """Values stand at the places where the interface reads them; missing ones are defaults."""
    graph = Graph()
    graph.begin_group("All", "#333")
    source = graph.add("Source")
    graph.add("Sampler", seed=7, model=source[0])
    written = graph.to_workflow({"Source": SOURCE, "Sampler": SAMPLER}, "1.0")
    assert written["nodes"][1]["widgets_values"] == [7, "fixed", "heun"]
    assert [slot["name"] for slot in written["nodes"][1]["inputs"]] == ["model"]
    assert written["links"] == [[1, 1, 0, 2, 0, "MODEL"]]


def test_a_menu_with_inputs_of_its_own_is_a_widget() -> None:
    """Newer ComfyUIs have such menus; the file holds the key of the first choice."""
    options = {"options": [{"key": "auto", "inputs": {"required": {}}}, {"key": "h264"}]}
    saver = {
        "input": {"required": {"codec": ["COMFY_DYNAMICCOMBO_V3", options]}},
        "input_order": {"required": ["codec"]},
        "output": [],
        "output_name": [],
    }
    graph = Graph()
    graph.begin_group("All", "#333")
    graph.add("Saver")
    (node,) = graph.to_workflow({"Saver": saver}, "1.0")["nodes"]
    assert node["widgets_values"] == ["auto"]
    assert node["inputs"] == []


def test_an_input_that_a_node_does_not_have_is_refused() -> None:
    """A misspelt input would be missing from the file, and the server would take the default."""
    schema = {
        "input": {"required": {"steps": ["INT", {"default": 20}]}},
        "input_order": {"required": ["steps"]},
        "output": [],
        "output_name": [],
    }
    graph = Graph()
    graph.begin_group("one", "#335")
    graph.add("Node", stepz=5)
    with pytest.raises(ValueError, match="Node: expected inputs among steps, got stepz"):
        graph.to_workflow({"Node": schema}, "0.3.75")


def test_a_note_stands_in_the_file_alone() -> None:
    """The interface shows it in its group; the server, which does not know it, never gets it."""
    graph = Graph()
    graph.begin_group("1. All", "#333")
    graph.add("Source")
    graph.add_note("How", "**Run** it.", 200)
    assert [entry["class_type"] for entry in graph.to_api().values()] == ["Source"]
    written = graph.to_workflow({"Source": SOURCE}, "1.0")
    (note,) = (node for node in written["nodes"] if node["type"] == "MarkdownNote")
    assert note["widgets_values"] == ["**Run** it."]
    assert written["last_node_id"] == note["id"] == 2
    left, top, width, height = written["groups"][0]["bounding"]
    assert left <= note["pos"][0]
    assert note["pos"][0] + note["size"][0] <= left + width
    assert written["nodes"][0]["pos"][1] + written["nodes"][0]["size"][1] < note["pos"][1]
    assert top <= note["pos"][1]
    assert note["pos"][1] + note["size"][1] <= top + height


def test_widgets_come_after_sockets_in_a_subgraph() -> None:
    """There every input has a slot, and a link names the slot's number."""
    graph = Graph()
    graph.begin_group("All", "#333")
    source = graph.add("Source")
    sampler = graph.add("Sampler", seed=7, model=source[0])
    end = Graph().add("End", latent=sampler[0])
    schemas = {"Source": SOURCE, "Sampler": SAMPLER, "End": END}
    nodes, links, _ = graph.inside(schemas, "1.0", end)
    assert [slot["name"] for slot in nodes[1]["inputs"]] == ["model", "seed", "name"]
    assert links[0] == [1, 1, 0, 2, 0, "MODEL"]
