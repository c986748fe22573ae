"""The example workflows, as graphs."""

from __future__ import annotations

import dataclasses

import pytest

from dev.workflows.catalogue import WORKFLOWS
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
