"""Whole films in one node: prompts as text, and prompts that are connected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dev.comfyui.server import Server, ServerError
from dev.workflows.building_blocks import ksampler, start
from dev.workflows.graph import Graph
from dev.workflows.settings import Settings

from ..generations import BOTH
from .conftest import PROMPT_A, PROMPT_B, Comfy
from .test_nodes import keyframes
from .test_server import previews

pytestmark = BOTH
LONG = ", ".join(["a lighthouse in the fog"] * 20)  # 154 rows
LONGER = ", ".join(["a lighthouse in the fog"] * 35)  # 231 rows


class CountingClip:
    """The text encoder, which also says how often it was asked for which text."""

    def __init__(self, clip: Any) -> None:
        self.clip = clip
        self.texts: list[str] = []

    def tokenize(self, text: str) -> Any:
        self.texts.append(text)
        return self.clip.tokenize(text)

    def encode_from_tokens_scheduled(self, tokens: Any) -> Any:
        return self.clip.encode_from_tokens_scheduled(tokens)


def film(comfy: Comfy, text: str, frames: int = 25, clip: Any = None, **settings: Any) -> Any:
    written: dict[str, Any] = {"fps": 24.0, "before": "", "after": "", "seed": 0}
    written |= {"method": "optimal transport", "ending": "stop"} | settings
    execute = comfy.schedule.GeodesicPromptText.execute
    return execute(clip or comfy.clip, text=text, frames=frames, **written).result


def frames_of(comfy: Comfy, path: Any, times: Any) -> list[Any]:
    """The conditioning of every frame by itself."""
    scheduled = comfy.schedule.GeodesicSchedule.execute(path, times, comfy.latent(), 1).result
    return scheduled[0]


def same_rows(frame: Any, expected: Any) -> bool:
    """One frame's conditioning is this prompt's, bit for bit, pooled vector included."""
    pooled = (frame[0][1]["pooled_output"], expected[0][1]["pooled_output"])
    return torch.equal(frame[0][0], expected[0][0]) and torch.equal(*pooled)


def test_every_prompt_is_its_own_frame_and_encoded_once(comfy: Comfy) -> None:
    """77, 154 and 231 rows in one film, the first prompt twice: three calls of the encoder.

    Frames at the written places are CLIP Text Encode's own, bit for bit.
    """
    clip = CountingClip(comfy.clip)
    text = f"0: {PROMPT_A}\n8: {LONG}\n16: {LONGER}\nend: {PROMPT_A}"
    path, times, count, summary = film(comfy, text, clip=clip)
    assert count == len(times) == 25
    assert sorted(clip.texts) == sorted([PROMPT_A, LONG, LONGER])
    frames = frames_of(comfy, path, times)
    for frame, prompt in ((0, PROMPT_A), (8, LONG), (16, LONGER), (24, PROMPT_A)):
        assert same_rows(frames[frame], comfy.encode(prompt))
    assert [frames[k][0][0].shape[1] for k in (0, 8, 16)] == [77, 154, 231]
    assert summary.splitlines()[0] == f"0: {PROMPT_A}"
    assert len(summary.splitlines()) == 4


def test_it_is_the_chain_of_keyframes_in_one_node(comfy: Comfy) -> None:
    """The same path as Prompt Keyframe nodes with the frames between prompts as weights."""
    path, times, *_ = film(comfy, f"0: {PROMPT_A}\n8: {PROMPT_B} | random\n24: fog", seed=5)
    chain = keyframes(comfy, comfy.encode(PROMPT_A))
    for text, weight, method in ((PROMPT_B, 8, "random"), ("fog", 16, "optimal transport")):
        add = comfy.prompt.GeodesicKeyframe.execute
        chain = add(comfy.encode(text), weight, method, 5, chain)[0]
    even = comfy.times.GeodesicTimes.execute(25, "linear", "stop", "")[0]
    for mine, theirs in zip(
        frames_of(comfy, path, times), frames_of(comfy, chain, even), strict=True
    ):
        torch.testing.assert_close(mine[0][0], theirs[0][0], rtol=1e-5, atol=1e-5)


def test_words_before_and_after_are_joined(comfy: Comfy) -> None:
    """By commas, to every prompt; none where nothing is written."""
    clip = CountingClip(comfy.clip)
    film(comfy, "0: a fox\n9: a lamp,", clip=clip, before=" photo of", after="dusk, ")
    assert clip.texts == ["photo of, a fox, dusk", "photo of, a lamp, dusk"]


def test_emphasis_is_comfyuis_own(comfy: Comfy) -> None:
    """Weights in brackets are read by the encoder, as in CLIP Text Encode."""
    path, times, *_ = film(comfy, "0: a (red:1.5) fox\n9: a red fox", frames=10)
    frames = frames_of(comfy, path, times)
    assert same_rows(frames[0], comfy.encode("a (red:1.5) fox"))
    assert not torch.equal(frames[0][0][0], frames[-1][0][0])


@pytest.mark.parametrize("ending", ["loop", "ping-pong"])
def test_the_ways_back(comfy: Comfy, ending: str) -> None:
    """A loop leads back to the first prompt after the last frame; a ping-pong mirrors the way."""
    path, times, count, summary = film(comfy, "0: a fox\n5: a lamp", 11, ending=ending)
    frames = [entry[0][0] for entry in frames_of(comfy, path, times)]
    assert count == 11
    if ending == "loop":
        assert times.values[5] == pytest.approx(5 / 11)
        assert not torch.equal(frames[10], frames[0])
        assert "back to the first prompt within 6 frames" in summary
    else:
        assert all(torch.equal(frames[k], frames[10 - k]) for k in range(11))
        assert torch.equal(frames[5], comfy.encode("a lamp")[0][0])


def test_what_cannot_be_read_is_refused(comfy: Comfy) -> None:
    """With line and column; a missing encoder and prompts that do not match by their lines."""
    with pytest.raises(ValueError, match=r"^text, line 2, column 1: expected a frame from 0 to 24"):
        film(comfy, "0: a\n25: b")
    execute = comfy.schedule.GeodesicPromptText.execute
    with pytest.raises(ValueError, match=r"^clip: expected a text encoder, got none"):
        execute(None, text="0: a\n5: b", frames=9, fps=24.0, before="", after="",
                method="random", seed=0, ending="stop")  # fmt: skip
    with pytest.raises(ValueError, match=r"^line 1 and line 3: .*23 and 31 rows"):
        film(comfy, "0: a\n\n9: b", clip=Rows())
    *_, summary = film(comfy, "0: a\n\n9: b", clip=Rows(), method="row order")
    assert summary


class Rows:
    """An encoder whose prompts have 23 and 31 rows."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> Any:
        return [[torch.randn(1, 23 if text == "a" else 31, 8), {}]]


# Prompt Keyframes


def connected(comfy: Comfy, prompts: dict[str, Any], frames: str = "", **settings: Any) -> Any:
    given: dict[str, Any] = {"length": 25, "fps": 24.0, "easing": "linear", "seed": 0}
    given |= {"method": "optimal transport", "ending": "stop"} | settings
    return comfy.schedule.GeodesicKeyframes.execute(frames=frames, **given, **prompts).result


def test_as_many_prompts_as_are_connected(comfy: Comfy) -> None:
    """In the order of their numbers, gaps left out, at the written places."""
    prompts = {"prompt_1": PROMPT_A, "prompt_3": LONG, "prompt_7": PROMPT_B}
    encoded = {name: comfy.encode(text) for name, text in prompts.items()}
    path, times, count = connected(comfy, {**encoded, "prompt_2": None}, "0, 10, end")
    assert count == 25
    frames = frames_of(comfy, path, times)
    for frame, text in ((0, PROMPT_A), (10, LONG), (24, PROMPT_B)):
        assert same_rows(frames[frame], comfy.encode(text))
    path, times, _ = connected(comfy, encoded)
    assert same_rows(frames_of(comfy, path, times)[12], comfy.encode(LONG))


def test_connected_prompts_are_refused_by_name(comfy: Comfy) -> None:
    """One prompt, too many places, a place outside the film, prompts that do not match."""
    encoded = {f"prompt_{k}": comfy.encode(text) for k, text in ((1, PROMPT_A), (4, PROMPT_B))}
    with pytest.raises(ValueError, match=r"^prompt_1 \.\.\. prompt_8: expected at least two"):
        connected(comfy, {"prompt_4": encoded["prompt_4"]})
    with pytest.raises(ValueError, match=r"^frames: expected one place for each of the 2"):
        connected(comfy, encoded, "0, 5, 9")
    with pytest.raises(ValueError, match=r"^frames, place 2: expected a frame from 0 to 24"):
        connected(comfy, encoded, "0, 99")
    other = [[torch.randn(1, 77, 8), {}]]
    with pytest.raises(ValueError, match=r"^prompt_1 and prompt_5: expected rows of one width"):
        connected(comfy, {"prompt_1": encoded["prompt_1"], "prompt_5": other})


# Through the server


@pytest.mark.parametrize("node", ["GeodesicPromptText", "GeodesicKeyframes"])
def test_a_film_of_one_node_renders(server: Server, settings: Settings, node: str) -> None:
    """From the node to pictures; the last picture is that of the prompt that stands there."""
    graph = Graph()
    common = start(graph, settings, [PROMPT_A, PROMPT_B])
    shared: dict[str, Any] = {"fps": 24.0, "seed": 0, "method": "optimal transport"}
    shared["ending"] = "stop"
    if node == "GeodesicPromptText":
        clip = common.prompts[0].node.inputs["clip"]
        text = f"0: {PROMPT_A}\n2: {PROMPT_B}"
        made = graph.add(node, clip=clip, text=text, frames=3, before="", after="", **shared)
    else:
        a, b = common.prompts
        inputs = {"frames": "0, 2", "length": 3, "easing": "linear", **shared}
        made = graph.add(node, **inputs, prompt_1=a, prompt_5=b)
    scheduled = graph.add(
        "GeodesicSchedule", path=made[0], times=made[1], latent=common.latent, frames_per_batch=1
    )
    latents = ksampler(graph, settings, common, "", scheduled[0], scheduled[1])
    decoded = graph.add("VAEDecode", samples=latents, vae=common.vae)
    graph.add("PreviewImage", "Film", images=decoded[0])
    alone = ksampler(graph, settings, common, "", common.prompts[1], common.latent)
    picture = graph.add("VAEDecode", samples=alone, vae=common.vae)
    graph.add("PreviewImage", "Alone", images=picture[0])
    outputs = server.run(graph.to_api())
    pictures = previews(server, graph, outputs, "Film")
    (alone_picture,) = previews(server, graph, outputs, "Alone")
    assert len(pictures) == 3
    difference = np.abs(pictures[2].astype(int) - alone_picture.astype(int))
    assert difference.max() <= 1
    assert alone_picture.std() > 5


def test_a_wrong_line_reaches_the_person(server: Server, settings: Settings) -> None:
    """The error in the interface names line and column."""
    graph = Graph()
    common = start(graph, settings, [PROMPT_A])
    made = graph.add(
        "GeodesicPromptText",
        clip=common.prompts[0].node.inputs["clip"],
        text="0: a\nfoo",
        frames=9,
        fps=24.0,
        before="",
        after="",
        method="optimal transport",
        seed=0,
        ending="stop",
    )
    graph.add("PreviewAny", source=made[3])
    with pytest.raises(ServerError, match="GeodesicPromptText: text, line 2, column 1: expected"):
        server.run(graph.to_api())
