"""The example workflows, as graphs."""

from __future__ import annotations

import dataclasses

import pytest

from dev.workflows.catalogue import WORKFLOWS
from dev.workflows.graph import Graph
from dev.workflows.settings import SD15, Settings


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_workflows_use_core_nodes_and_ours_with_fixed_seeds(name: str) -> None:
    """SD1.5's usual file, the given seed, a deterministic sampler, unique titles in groups."""
    graph = WORKFLOWS[name](dataclasses.replace(Settings(), seed=9))
    for node in graph.nodes:
        assert node.title
        assert node.group
        if node.type == "KSampler":
            assert node.inputs["seed"] == 9
            assert node.inputs["sampler_name"] == "dpmpp_2m"
        if node.type == "GeodesicMorphSampler":
            assert node.inputs["seed"] == 9
            assert node.inputs["sampler_name"] == "euler"
        if node.type == "CheckpointLoaderSimple":
            assert node.inputs["ckpt_name"] == SD15


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
