"""Beside other packs and nodes: hints for each frame, noise for each frame, schedules that meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dev.comfyui.server import Server, ServerError
from dev.workflows.building_blocks import keyframes, start, times
from dev.workflows.graph import Graph, Link
from dev.workflows.settings import Settings

from ..generations import BOTH
from .conftest import PROMPT_A, PROMPT_B, Comfy
from .test_nodes import comfy_noise, couple, eight_bit, same_picture, schedule
from .test_nodes import times as frame_times

pytestmark = BOTH
FRAMES = 5


def scheduled(comfy: Comfy, per_batch: int, texts: tuple[str, str] = (PROMPT_A, PROMPT_B)) -> Any:
    path = couple(comfy, comfy.encode(texts[0]), comfy.encode(texts[1]))
    return schedule(comfy, path, frame_times(comfy, FRAMES), None, per_batch).result[:2]


def cut(latents: Any, comfy: Comfy, **given: Any) -> Any:
    return comfy.schedule.GeodesicFrames.execute(latents, **given)


def per_frame(*shape: int) -> Tensor:
    """One random tensor in [0, 1] for each frame."""
    return torch.rand(FRAMES, *shape, generator=torch.Generator().manual_seed(0))


# Frames in Step


@pytest.mark.parametrize("per_batch", [1, 2, 3, 0])
def test_every_frame_gets_its_own(comfy: Comfy, per_batch: int) -> None:
    """Joined again, what was cut is what there was; masks, pictures and latents alike."""
    images, masks, latent = per_frame(8, 8, 3), per_frame(8, 8), per_frame(4, 8, 8)
    video = {"samples": latent, "noise_mask": masks[:, None]}
    _, batches = scheduled(comfy, per_batch)
    parts = [cut(b, comfy, images=images, masks=masks, latent=video).result for b in batches]
    assert [len(part[0]) for part in parts] == [len(b["samples"]) for b in batches]
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert torch.equal(torch.cat([part[1] for part in parts]), masks)
    assert torch.equal(torch.cat([part[2]["samples"] for part in parts]), latent)
    assert torch.equal(torch.cat([part[2]["noise_mask"] for part in parts]), masks[:, None])


def test_latents_start_from_the_schedules_noise(comfy: Comfy) -> None:
    """A cut video has one noise for all its frames, as the schedule's own latents have."""
    (batch, *_) = scheduled(comfy, 2)[1]
    out = cut(batch, comfy, latent={"samples": per_frame(4, 8, 8), "batch_index": [7] * FRAMES})
    assert out[2]["batch_index"] == batch["batch_index"]


def test_masks_of_each_frame_render_alike_in_any_batches(comfy: Comfy) -> None:
    """Set Latent Noise Mask with one mask per frame: batches of 2 give the frames of one batch.

    Without Frames in Step every batch would begin again at the first mask.
    """
    masks = (per_frame(64, 64) > 0.5).float()
    start_from = {"samples": per_frame(4, 8, 8)}
    set_mask = comfy.nodes.SetLatentNoiseMask().set_mask

    def film(per_batch: int, in_step: bool = True) -> Tensor:
        done = []
        for positive, batch in zip(*scheduled(comfy, per_batch), strict=True):
            out = cut(batch, comfy, masks=masks, latent=start_from)
            masked = set_mask(out[2], out[1] if in_step else masks)[0]
            done.append(comfy.sample(positive, masked, steps=2))
        return eight_bit(comfy, torch.cat(done))

    together = film(0)
    assert same_picture(film(2), together)
    assert not same_picture(film(2, in_step=False), together)


def test_numbers_that_do_not_match_are_refused(comfy: Comfy) -> None:
    """Too few pictures are never repeated; latents that know no frames and no inputs are named."""
    (batch, *_) = scheduled(comfy, 2)[1]
    with pytest.raises(ValueError, match=r"^images: expected one for each of the 5 frames, got 4"):
        cut(batch, comfy, images=per_frame(8, 8, 3)[:4])
    masked = {"samples": per_frame(4, 8, 8), "noise_mask": torch.ones(2, 1, 8, 8)}
    with pytest.raises(ValueError, match=r"^latent's mask: expected one for each of the 5"):
        cut(batch, comfy, latent=masked)
    with pytest.raises(ValueError, match=r"^latents: expected those of Morph Schedule"):
        cut(comfy.latent(), comfy, images=per_frame(8, 8, 3))
    with pytest.raises(ValueError, match=r"^images, masks, latent: expected at least one"):
        cut(batch, comfy)


# Through the server: ComfyUI itself runs the nodes once for each batch


def graph_of(s: Settings, per_batch: int) -> tuple[Graph, Any, list[Link]]:
    graph = Graph()
    common = start(graph, s, [PROMPT_A, PROMPT_B])
    node = graph.add(
        "GeodesicSchedule",
        path=keyframes(graph, common.prompts),
        times=times(graph, s.frames),
        latent=common.latent,
        frames_per_batch=per_batch,
    )
    return graph, common, [node[0], node[1]]


def test_the_server_keeps_pictures_in_step(server: Server, settings: Settings) -> None:
    """Pictures cut by the server's own lists, in batches of 2, 2 and 1.

    The output without an input stops the nodes behind it, which the interface shows as an error.
    """
    graph, common, (_, latents) = graph_of(settings, 2)
    pictures = graph.add("EmptyImage", width=16, height=16, batch_size=settings.frames, color=255)
    node = graph.add("GeodesicFrames", latents=latents, images=pictures[0])
    seen = graph.add("PreviewImage", "Seen", images=node[0])
    api = graph.to_api()
    assert len(server.run(api)[str(seen.id)]["images"]) == settings.frames
    graph.add("VAEDecode", samples=node[2], vae=common.vae)
    graph.add("PreviewImage", "Missing", images=graph.nodes[-1][0])
    errors: list[str] = []

    def watch(event: str, data: dict[str, Any]) -> None:
        if event == "execution_error":
            errors.append(data["exception_message"])

    server.run(graph.to_api(), watch)
    assert "latent: nothing is connected to this input of Frames in Step." in errors[0]


def test_schedules_in_other_batches_are_refused_where_they_meet(
    server: Server, settings: Settings
) -> None:
    """Two schedules combined: ComfyUI would pair different frames. Equal batches run."""
    first, second = 3, 1
    graph, common, (positive, latents) = graph_of(settings, first)
    schedule_node = positive.node
    inputs: dict[str, Any] = schedule_node.inputs | {"frames_per_batch": second}
    other = graph.add("GeodesicSchedule", **inputs)
    both = graph.add("ConditioningCombine", conditioning_1=positive, conditioning_2=other[0])
    sampler = graph.add(
        "KSampler",
        model=common.model,
        seed=1,
        steps=1,
        cfg=1.0,
        sampler_name="euler",
        scheduler="normal",
        positive=both[0],
        negative=common.negative,
        latent_image=latents,
        denoise=1.0,
    )
    decoded = graph.add("VAEDecode", samples=sampler[0], vae=common.vae)
    seen = graph.add("PreviewImage", images=decoded[0])
    api = graph.to_api()
    with pytest.raises(ServerError, match="frames_per_batch: expected one value in all Morph Sch"):
        server.run(api)
    api[str(other.id)]["inputs"]["frames_per_batch"] = first
    assert len(server.run(api)[str(seen.id)]["images"]) == settings.frames


# Noise for each frame


@pytest.mark.parametrize("index", [None, 3])
def test_one_noise_per_frame_does_not_depend_on_batches(comfy: Comfy, index: int | None) -> None:
    """Every frame has a noise of its own, the same in batches of any size.

    It is what KSampler draws for a batch of as many latents: what AnimateDiff expects.
    """
    same = comfy.encode(PROMPT_A)
    path, when = couple(comfy, same, same), frame_times(comfy, FRAMES)
    latent = comfy.latent() | ({} if index is None else {"batch_index": [index]})
    films = []
    for per_batch in (0, 2, 1):
        execute = comfy.schedule.GeodesicSchedule.execute
        latents = execute(path, when, latent, per_batch, "one per frame")[1]
        films.append(torch.cat([comfy_noise(z) for z in latents]))
    many = torch.zeros(FRAMES + (index or 0), *comfy.latent()["samples"].shape[1:])
    drawn = comfy_noise({"samples": many})[index or 0 :]
    assert all(torch.equal(film, drawn) for film in films)
    assert len(torch.unique(films[0], dim=0)) == FRAMES


# One order of rows


def test_one_row_order_renders_the_same_film(comfy: Comfy) -> None:
    """Rows keep their places at a keyframe in the middle; the pictures stay as they were."""
    path = None
    for text in (PROMPT_A, PROMPT_B, "a blue heart"):
        settings = {"weight": 1.0, "method": "random", "seed": 1, "previous": path}
        path = comfy.prompt.GeodesicKeyframe.execute(comfy.encode(text), **settings)[0]
    when, execute = frame_times(comfy, 41), comfy.schedule.GeodesicSchedule.execute
    plain, ordered = (
        execute(path, when, comfy.latent(), 0, "one for all", flag).result for flag in (False, True)
    )
    jumps = [
        float((rows[20] - rows[19]).norm() / rows[19].norm())
        for rows in (made[0][0][0][0] for made in (plain, ordered))
    ]
    assert jumps[1] < 0.2 < jumps[0]
    for frame in (20, 30):
        pictures = [
            comfy.sample([[rows[frame : frame + 1], _of(extras, frame)]], comfy.latent(), steps=2)
            for rows, extras in (made[0][0][0] for made in (plain, ordered))
        ]
        assert same_picture(*(eight_bit(comfy, latents) for latents in pictures))


def _of(extras: dict[str, Any], frame: int) -> dict[str, Any]:
    return extras | {"pooled_output": extras["pooled_output"][frame : frame + 1]}


# Prompts of other lengths


def test_filling_up_is_said(comfy: Comfy) -> None:
    """23 with 31 rows in row order: the note counts the rows that are zeros; others say nothing."""
    from geodesic_morph.nodes.prompt.notes import padding_note, path_note

    prompts = [[[torch.randn(1, rows, 8), {}]] for rows in (23, 31)]
    pairs = couple(comfy, prompts[0], prompts[1], "row order")
    assert "23 with 31 rows: the 8 rows" in padding_note(pairs)
    assert padding_note(couple(comfy, prompts[0], prompts[0])) == ""
    path: Any = None
    for prompt in prompts:
        path = comfy.prompt.GeodesicKeyframe.execute(prompt, 1.0, "row order", 0, path)[0]
    assert path_note(path) == padding_note(pairs)
    shown = comfy.prompt.GeodesicCouple.execute(
        *(comfy.prompt.GeodesicPointCloud.execute(p)[0] for p in prompts), "row order", 0, True
    )
    (chart,) = shown.ui["geodesic_coupling"]
    assert [pair[:2] for pair in chart["pairs"]] == [[k, k] for k in range(23)]
    assert shown[1] > 0
    assert shown[3].shape[-1] == 3


# Films in several runs


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("per_batch", [0, 2])
@pytest.mark.parametrize("noise", ["one for all", "one per frame"])
def test_a_film_in_several_runs_is_the_film(
    comfy: Comfy, limit: int, per_batch: int, noise: str
) -> None:
    """Prompts, initial noise and frame numbers are the same, bit for bit, however it is cut."""
    path = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))
    execute = comfy.schedule.GeodesicSchedule.execute
    arguments = (path, frame_times(comfy, FRAMES), comfy.latent(), per_batch, noise, False)
    whole = execute(*arguments).result
    runs = [execute(*arguments, first, limit).result for first in range(0, FRAMES, limit)]
    assert sum(run[2] for run in runs) == FRAMES
    for kind in (lambda r: [c[0][0] for c in r[0]], lambda r: [comfy_noise(z) for z in r[1]]):
        cut_up = torch.cat([tensor for run in runs for tensor in kind(run)])
        assert torch.equal(cut_up, torch.cat(kind(whole)))
    numbers = [n for run in runs for latents in run[1] for n in latents["geodesic_frames"]]
    assert numbers == list(range(FRAMES))
    assert {latents["geodesic_frame_count"] for run in runs for latents in run[1]} == {FRAMES}


def test_a_film_that_is_done_says_so(comfy: Comfy) -> None:
    """A run after the last one is refused: a queue stops there."""
    path = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))
    arguments = (path, frame_times(comfy, FRAMES), comfy.latent(), 0, "one for all", False)
    with pytest.raises(ValueError, match=r"^first_frame: expected 0 to 4, got 5.*all of them are"):
        comfy.schedule.GeodesicSchedule.execute(*arguments, 5, 2)
