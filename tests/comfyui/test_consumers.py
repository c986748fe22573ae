"""What a schedule knows of the graph behind it: samplers that draw noise, schedules that meet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ..generations import BOTH
from .conftest import PROMPT_A, PROMPT_B, Comfy
from .test_nodes import couple

pytestmark = BOTH


def run_as(node: type, graph: dict[str, Any], node_id: str) -> Any:
    """The node as ComfyUI runs it, with its hidden inputs."""
    return type("Running", (node,), {"hidden": SimpleNamespace(prompt=graph, unique_id=node_id)})


def behind(graph_inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A schedule "1", a mask node on its latents, and a sampler node behind that."""
    return {
        "1": {"class_type": "GeodesicSchedule", "inputs": {"frames_per_batch": 2}},
        "2": {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["1", 1]}},
        "3": {"class_type": "KSampler", "inputs": {"latent_image": ["2", 0], **graph_inputs}},
        **more,
    }


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (behind({"sampler_name": "euler_ancestral"}), "euler_ancestral"),
        (behind({"sampler_name": "lcm"}), "lcm"),
        (behind({"sampler_name": "dpmpp_2m"}), None),
        (behind({"sampler_name": ["9", 0]}), None),
        (
            behind(
                {"sampler": ["4", 0]},
                **{"4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "ddpm"}}},
            ),
            "ddpm",
        ),
        (
            behind(
                {"sampler": ["4", 0]}, **{"4": {"class_type": "SamplerLCMUpscale", "inputs": {}}}
            ),
            "samplerlcmupscale",
        ),
    ],
)
def test_a_sampler_that_draws_noise_is_found(
    comfy: Comfy, graph: dict[str, Any], expected: str | None
) -> None:
    """In KSampler, or behind its `sampler` input; through nodes that pass the latents on."""
    from geodesic_morph.nodes.schedule.consumers import stochastic_sampler

    node = run_as(comfy.schedule.GeodesicSchedule, graph, "1")
    assert stochastic_sampler(node) == expected


@pytest.mark.parametrize("frames_per_batch", [0, 2, 8])
def test_schedules_that_never_meet_may_differ(comfy: Comfy, frames_per_batch: int) -> None:
    """Two films for one comparison: each has its own sampler. The same holds for equal batches."""
    from geodesic_morph.nodes.schedule.consumers import check_equal_batches
    from geodesic_morph.nodes.schedule.schedule import Cuts

    inputs = {"frames_per_batch": frames_per_batch}
    graph = behind(
        {"positive": ["1", 0]},
        **{
            "5": {"class_type": "GeodesicSchedule", "inputs": inputs},
            "6": {"class_type": "KSampler", "inputs": {"positive": ["5", 0]}},
        },
    )
    node = run_as(comfy.schedule.GeodesicSchedule, graph, "1")
    check_equal_batches(node, Cuts(5, 2))
    graph["6"]["inputs"]["negative"] = ["1", 0]
    if frames_per_batch == 2:
        check_equal_batches(node, Cuts(5, 2))
    else:
        with pytest.raises(ValueError, match=rf"got 2 here and {frames_per_batch} in node 5"):
            check_equal_batches(node, Cuts(5, 2))
        check_equal_batches(node, Cuts(1, 2))  # one frame is one batch, whatever the number


@pytest.mark.parametrize(
    ("times", "other_times", "more", "says"),
    [
        ({"frames": 5}, {"frames": 5}, {}, None),
        ({"frames": 5}, {"frames": 7}, {}, "times: .* got 5 here and 7 in node 5"),
        ({"frames": 5}, {"frames": ["9", 0]}, {}, "times: .* got 5 here and 6 in node 5"),
        ({"frames": 5}, {"frames": "0, 24", "length": 4}, {}, "times: .* 5 here and 4 in node 5"),
        ({"frames": 5}, {"weights": [1]}, {}, None),  # a number that only the run will tell
        ({"frames": 9}, {"frames": 8}, {}, None),  # 9 is not what came: nothing can be known
        ({"frames": 5}, {"frames": 5}, {"first_frame": 2}, "first_frame: .* 0 here and 2 in node"),
        ({"frames": 5}, {"frames": 5}, {"frame_limit": 2}, "frame_limit: .* 0 here and 2 in node"),
        ({"frames": 5}, {"frames": 5}, {"frame_limit": 5}, None),  # all frames in one run
    ],
)
def test_films_of_other_lengths_are_refused_where_they_meet(
    comfy: Comfy, times: Any, other_times: Any, more: dict[str, int], says: str | None
) -> None:
    """Other frames, or other parts of a film, in batches of one size: by the graph's numbers."""
    from geodesic_morph.nodes.schedule.consumers import check_equal_batches
    from geodesic_morph.nodes.schedule.schedule import Cuts

    def schedule_entry(times_node: str, **more: int) -> dict[str, Any]:
        inputs = {"frames_per_batch": 2, "times": [times_node, 0], **more}
        return {"class_type": "GeodesicSchedule", "inputs": inputs}

    graph = {
        "1": schedule_entry("2"),
        "2": {"class_type": "GeodesicTimes", "inputs": times},
        "5": schedule_entry("6", **more),
        "6": {"class_type": "GeodesicTimes", "inputs": other_times},
        "7": {"class_type": "KSampler", "inputs": {"positive": ["1", 0], "negative": ["5", 0]}},
        "9": {"class_type": "PrimitiveInt", "inputs": {"value": 6}},
    }
    node = run_as(comfy.schedule.GeodesicSchedule, graph, "1")
    if says is None:
        check_equal_batches(node, Cuts(5, 2))
        return
    with pytest.raises(ValueError, match=says):
        check_equal_batches(node, Cuts(5, 2))


@pytest.mark.parametrize(
    ("counts", "per_batch", "cut_by", "sampler", "says"),
    [
        ([5], 8, [], None, []),
        ([1] * 5, 1, [], "lcm", ["5 frames in 5 batches", "Frames in Step"]),
        ([2, 2, 1], 2, [], "lcm", ["3 batches", "lcm draws noise", "Set frames_per_batch to 1"]),
        ([1, 1, 1], 8, ["strength"], None, ["3 batches", "'strength' changes", "AnimateDiff"]),
    ],
)
def test_the_note_says_what_has_to_be_known(
    comfy: Comfy,
    counts: list[int],
    per_batch: int,
    cut_by: list[str],
    sampler: str | None,
    says: list[str],
) -> None:
    """Nothing for one batch; how many, why, and what to do for several."""
    from geodesic_morph.nodes.schedule.notes import batches_note

    assert comfy
    note = batches_note(counts, per_batch, cut_by, sampler)
    assert bool(note) == bool(says)
    assert all(part in note for part in says)


def test_the_key_that_cuts_batches_is_named(comfy: Comfy) -> None:
    """A strength that differs between the prompts is found; equal dictionaries cut nothing."""
    from geodesic_morph.nodes.inputs import as_paths
    from geodesic_morph.nodes.schedule.schedule import cut_by

    a, b = comfy.encode(PROMPT_A), comfy.encode(PROMPT_B)
    assert cut_by(as_paths(couple(comfy, a, b))) == []
    a[0][1]["strength"], b[0][1]["strength"] = 1.0, 0.5
    assert cut_by(as_paths(couple(comfy, a, b))) == ["strength"]
