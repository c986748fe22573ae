"""The nodes inside a real ComfyUI: their outputs, and the images that a sampler makes from them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dev.comfyui.server import Server

from .conftest import PROMPT_A, PROMPT_B, Comfy

LONG = "a lighthouse, " * 40  # more than 75 tokens: two chunks, 154 rows


def cloud(comfy: Comfy, conditioning: Any) -> Any:
    return comfy.prompt.GeodesicPointCloud.execute(conditioning)[0]


def couple(comfy: Comfy, a: Any, b: Any, method: str = "optimal transport", seed: int = 0) -> Any:
    clouds = cloud(comfy, a), cloud(comfy, b)
    return comfy.prompt.GeodesicCouple.execute(*clouds, method, seed, True)[0]


def times(comfy: Comfy, frames: int, ending: str = "stop") -> Any:
    return comfy.times.GeodesicTimes.execute(frames, "linear", ending, "[[0,0],[1,1]]")[0]


def schedule(comfy: Comfy, path: Any, when: Any, latent: Any = None, per_batch: int = 0) -> Any:
    latent = latent or comfy.latent()
    return comfy.schedule.GeodesicSchedule.execute(path, when, latent, per_batch)


def render(comfy: Comfy, scheduled: Any) -> Tensor:
    """Every batch of a schedule through the native KSampler: [F, 4, h, w]."""
    chunks = zip(scheduled[0], scheduled[1], strict=True)
    return torch.cat([comfy.sample(positive, latents) for positive, latents in chunks])


def eight_bit(comfy: Comfy, latents: Tensor) -> Tensor:
    return (comfy.vae.decode(latents) * 255).clamp(0, 255).byte()


def same_picture(a: Tensor, b: Tensor) -> bool:
    """Equal up to the order in which a processor sums, which depends on the size of a batch.

    That is one level of 256 in fewer than one value in a thousand.
    """
    difference = (a.int() - b.int()).abs()
    return int(difference.max()) <= 1 and float((difference > 0).float().mean()) < 1e-3


def keyframes(comfy: Comfy, *conditionings: Any, **settings: Any) -> Any:
    path = None
    for conditioning in conditionings:
        arguments = {"weight": 1.0, "method": "optimal transport", "seed": 0} | settings
        path = comfy.prompt.GeodesicKeyframe.execute(conditioning, **arguments, previous=path)[0]
    return path


def test_a_cloud_returns_the_conditioning_bit_for_bit(comfy: Comfy) -> None:
    """CONDITIONING → cloud → CONDITIONING changes nothing, on a real text encoder's output."""
    original = comfy.encode(PROMPT_A)
    back = comfy.prompt.GeodesicConditioning.execute(cloud(comfy, original))[0]
    assert torch.equal(back[0][0], original[0][0])
    assert back[0][1].keys() == original[0][1].keys()
    assert torch.equal(back[0][1]["pooled_output"], original[0][1]["pooled_output"])


def test_the_summary_tells_rows_and_width(comfy: Comfy) -> None:
    """The summary describes the prompt: rows, width, norms, keys."""
    text = comfy.prompt.GeodesicPointCloud.execute(comfy.encode(LONG))[1]
    assert "154 rows of 768 features" in text
    assert "pooled_output" in text


def test_permuted_rows_make_the_same_picture(comfy: Comfy) -> None:
    """The model sees a point cloud: any order of the rows gives the same 8-bit image."""
    ((rows, extras),) = comfy.encode(PROMPT_A)
    order = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(3))
    plain = comfy.sample([[rows, extras]], comfy.latent())
    permuted = comfy.sample([[rows[:, order], extras]], comfy.latent())
    assert torch.allclose(plain, permuted, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))
    assert same_picture(eight_bit(comfy, plain), eight_bit(comfy, permuted))


def test_the_invariance_test_finds_a_point_cloud(comfy: Comfy) -> None:
    """SD1.5 sees neither order nor copies of the rows, but it reads the prompt."""
    report, change = comfy.prompt.GeodesicInvarianceTest.execute(
        comfy.model, comfy.encode(PROMPT_A), comfy.latent(), 0
    ).result
    assert change < 1e-4
    assert "optimal transport is justified, for prompts of any length" in report


def test_the_invariance_test_finds_a_model_with_row_order(comfy: Comfy) -> None:
    """A model that adds positions to its rows is recognised."""
    model = comfy.model.clone()

    def add_positions(apply: Any, arguments: dict[str, Any]) -> Any:
        conditions = dict(arguments["c"])
        rows = conditions["c_crossattn"]
        positions = torch.linspace(0, 3, rows.shape[1]).sin()[None, :, None]
        conditions["c_crossattn"] = rows * (1 + positions)
        return apply(arguments["input"], arguments["timestep"], **conditions)

    model.set_model_unet_function_wrapper(add_positions)
    report, change = comfy.prompt.GeodesicInvarianceTest.execute(
        model, comfy.encode(PROMPT_A), comfy.latent(), 0
    ).result
    assert change > 1e-3
    assert "optimal transport is not justified" in report


def test_a_coupling_reports_its_cost_and_draws_itself(comfy: Comfy) -> None:
    """Optimal transport costs least, is 1 relative to itself, and has a picture."""
    clouds = cloud(comfy, comfy.encode(PROMPT_A)), cloud(comfy, comfy.encode(PROMPT_B))
    execute = comfy.prompt.GeodesicCouple.execute
    found = {m: execute(*clouds, m, 0, True) for m in ("optimal transport", "row order", "random")}
    assert found["optimal transport"][2] == 1.0
    assert found["optimal transport"][1] <= found["row order"][1] < found["random"][1]
    assert found["random"][2] == pytest.approx(
        found["random"][1] / found["optimal transport"][1], rel=1e-9
    )
    heatmap = found["random"][3]
    assert heatmap.shape[0] == 1
    assert heatmap.shape[3] == 3
    assert 0 <= float(heatmap.min()) < float(heatmap.max()) <= 1


def test_a_schedule_matches_prompts_and_latents(comfy: Comfy) -> None:
    """Every batch has as many prompts as latents, in total the frames, and one noise index."""
    path = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))
    for per_batch, sizes in ((0, [7]), (1, [1] * 7), (3, [3, 3, 1]), (50, [7])):
        positive, latents, count = schedule(comfy, path, times(comfy, 7), None, per_batch).result
        assert [entry[0][0].shape[0] for entry in positive] == sizes
        assert [entry[0][1]["pooled_output"].shape[0] for entry in positive] == sizes
        assert [latent["samples"].shape[0] for latent in latents] == sizes
        assert all(
            latent["batch_index"] == [0] * n for latent, n in zip(latents, sizes, strict=True)
        )
        assert count == 7


def test_a_schedule_keeps_what_else_the_latent_holds(comfy: Comfy) -> None:
    """A noise mask stays, and an image picked from a batch keeps the noise it had there."""
    mask = torch.ones(1, 1, 64, 64)
    latent = comfy.latent() | {"noise_mask": mask, "batch_index": [3]}
    path = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))
    made = schedule(comfy, path, times(comfy, 4), latent)[1][0]
    assert made["noise_mask"] is mask
    assert made["batch_index"] == [3, 3, 3, 3]


def test_the_pooled_vector_is_blended(comfy: Comfy) -> None:
    """`pooled_output` runs on a straight line from one prompt's to the other's."""
    a, b = comfy.encode(PROMPT_A), comfy.encode(PROMPT_B)
    ((_, extras),) = schedule(comfy, couple(comfy, a, b), times(comfy, 5))[0][0]
    first, last = a[0][1]["pooled_output"], b[0][1]["pooled_output"]
    line = torch.linspace(0, 1, 5)[:, None]
    torch.testing.assert_close(extras["pooled_output"], (1 - line) * first + line * last)
    assert torch.equal(extras["pooled_output"][:1], first)
    assert torch.equal(extras["pooled_output"][-1:], last)


@pytest.mark.parametrize("target", [PROMPT_B, LONG])
def test_the_ends_are_the_native_renders(comfy: Comfy, target: str) -> None:
    """First and last frame are what each prompt alone renders: 77 and 154 rows too.

    Rendered one by one, as a single prompt is, they are identical in 8 bits. In a batch they are
    the same picture.
    """
    a, b = comfy.encode(PROMPT_A), comfy.encode(target)
    path = couple(comfy, a, b)
    natives = [eight_bit(comfy, comfy.sample(prompt, comfy.latent())) for prompt in (a, b)]
    batched = eight_bit(comfy, render(comfy, schedule(comfy, path, times(comfy, 4))))
    positive, latents, _ = schedule(comfy, path, times(comfy, 4), None, 1).result
    for place, native in zip((0, -1), natives, strict=True):
        single = eight_bit(comfy, comfy.sample(positive[place], latents[place]))
        assert torch.equal(single, native)
        assert same_picture(batched[place][None], native)
    assert not same_picture(batched[0], batched[-1])


def test_a_path_shows_its_keyframes(comfy: Comfy) -> None:
    """A chain of three prompts passes through all three native renders; a loop starts over."""
    prompts = [comfy.encode(text) for text in (PROMPT_A, PROMPT_B, LONG)]
    path = keyframes(comfy, *prompts)
    natives = [eight_bit(comfy, comfy.sample(one, comfy.latent())) for one in prompts]
    frames = eight_bit(comfy, render(comfy, schedule(comfy, path, times(comfy, 5))))
    for place, native in zip((0, 2, 4), natives, strict=True):
        assert same_picture(frames[place : place + 1], native)
    looped = eight_bit(comfy, render(comfy, schedule(comfy, path, times(comfy, 6, "loop"))))
    for place, native in zip((0, 2, 4), natives, strict=True):
        assert same_picture(looped[place : place + 1], native)
    assert not same_picture(looped[0], looped[-1])


def test_batches_of_any_size_give_the_same_frames(comfy: Comfy) -> None:
    """`frames_per_batch` changes memory: prompts are equal bit for bit, pictures to rounding."""
    path = couple(comfy, comfy.encode(PROMPT_A), comfy.encode(PROMPT_B))
    made = [schedule(comfy, path, times(comfy, 5), None, size).result for size in (0, 1, 3)]
    prompts = [torch.cat([entry[0][0] for entry in positive]) for positive, _, _ in made]
    assert prompts[0].shape == (5, 77, 768)
    assert torch.equal(prompts[0], prompts[1])
    assert torch.equal(prompts[0], prompts[2])
    frames = [eight_bit(comfy, render(comfy, one)) for one in made]
    assert same_picture(frames[0], frames[1])
    assert same_picture(frames[0], frames[2])


def test_a_second_pass_through_pixels_keeps_one_noise(comfy: Comfy) -> None:
    """VAE Encode drops the noise index of frames; LatentBatchSeedBehavior "fixed" restores it.

    So the help page of Morph Schedule says. Without it every frame of a batch draws a noise of its
    own, and the film flickers.
    """
    # In newer versions nodes_latent can't be imported first.
    import comfy_extras.nodes_post_processing  # noqa: F401
    from comfy_extras.nodes_latent import LatentBatchSeedBehavior

    same = comfy.encode(PROMPT_A)
    frames = render(comfy, schedule(comfy, couple(comfy, same, same), times(comfy, 3)))
    encoded = comfy.nodes.VAEEncode().encode(comfy.vae, comfy.vae.decode(frames))[0]
    kept = LatentBatchSeedBehavior.execute(encoded, "fixed")[0]
    for latent, number in ((encoded, 3), (kept, 1)):
        noise = comfy_noise(latent)
        assert len(torch.unique(noise, dim=0)) == number


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m_sde", "lcm"])
def test_samplers_that_draw_noise_do_so_alike_frame_by_frame(comfy: Comfy, sampler: str) -> None:
    """With frames_per_batch 1 equal prompts give equal frames, bit for bit; in one batch not.

    So LCM and Turbo models morph frame by frame.
    """
    same = comfy.encode(PROMPT_A)
    path, when = couple(comfy, same, same), times(comfy, 3)
    films = []
    for size in (1, 0):
        chunks = zip(*schedule(comfy, path, when, per_batch=size)[:2], strict=True)
        settings = (comfy.model, 1, 3, 1.5, sampler, "normal")
        negative = comfy.encode("")
        done = [comfy.nodes.common_ksampler(*settings, p, negative, z)[0] for p, z in chunks]
        films.append(torch.cat([latent["samples"] for latent in done]))
    alone, together = films
    assert torch.equal(alone[0], alone[1])
    assert torch.equal(alone[0], alone[2])
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def comfy_noise(latent: Any) -> Any:
    """The noise that KSampler draws for a LATENT."""
    from comfy.sample import prepare_noise

    return prepare_noise(latent["samples"], 1, latent.get("batch_index"))


def test_entries_of_a_combined_prompt_morph_together(comfy: Comfy) -> None:
    """ConditioningCombine's two entries stay two, paired by position, ends exact."""
    combine = comfy.nodes.ConditioningCombine().combine
    a = combine(comfy.encode(PROMPT_A), comfy.encode("snow"))[0]
    b = combine(comfy.encode(PROMPT_B), comfy.encode("storm"))[0]
    positive, latents, _ = schedule(comfy, couple(comfy, a, b), times(comfy, 3)).result
    assert [entry[0].shape[0] for entry in positive[0]] == [3, 3]
    frames = eight_bit(comfy, comfy.sample(positive[0], latents[0]))
    assert same_picture(frames[:1], eight_bit(comfy, comfy.sample(a, comfy.latent())))
    assert same_picture(frames[-1:], eight_bit(comfy, comfy.sample(b, comfy.latent())))


def test_a_number_that_changes_gets_batches_of_its_own(comfy: Comfy) -> None:
    """One conditioning holds one `strength`, so frames of different strength are not joined."""
    a, b = (
        [[rows, extras | {"strength": strength}] for rows, extras in comfy.encode(text)]
        for text, strength in ((PROMPT_A, 1.0), (PROMPT_B, 0.5))
    )
    positive, latents, _ = schedule(comfy, couple(comfy, a, b), times(comfy, 3)).result
    assert [entry[0][1]["strength"] for entry in positive] == [1.0, 0.75, 0.5]
    assert [latent["samples"].shape[0] for latent in latents] == [1, 1, 1]


def test_the_blend_at_its_ends_is_the_prompt_itself(comfy: Comfy) -> None:
    """t = 0 and t = 1 give the source and the target with their own rows."""
    a, b = comfy.encode(PROMPT_A), comfy.encode(LONG)
    coupling = couple(comfy, a, b)
    blend = comfy.prompt.GeodesicBlend.execute
    assert torch.equal(blend(coupling, 0.0)[0][0][0], a[0][0])
    assert torch.equal(blend(coupling, 1.0)[0][0][0], b[0][0])
    assert blend(coupling, 0.5)[0][0][0].shape == (1, 154, 768)


def test_the_barycentre_of_two_is_on_their_geodesic(comfy: Comfy) -> None:
    """K = 2 gives the blend; a weight of 1 gives that prompt."""
    a, b = comfy.encode(PROMPT_A), comfy.encode(PROMPT_B)
    path = keyframes(comfy, a, b)
    mixed = comfy.prompt.GeodesicBarycenter.execute(path, "0.7, 0.3")[0]
    blended = comfy.prompt.GeodesicBlend.execute(couple(comfy, a, b), 0.3)[0]
    torch.testing.assert_close(mixed[0][0], blended[0][0])
    alone = comfy.prompt.GeodesicBarycenter.execute(path, "0, 5")[0]
    assert torch.equal(alone[0][0], b[0][0])
    by_coupling = comfy.prompt.GeodesicBarycenter.execute(couple(comfy, a, b), "")[0]
    assert by_coupling[0][0].shape == a[0][0].shape


def test_bad_input_names_the_input_and_the_remedy(comfy: Comfy) -> None:
    """A mistake in a workflow is reported by the node in which it is."""
    a, b = comfy.encode(PROMPT_A), comfy.encode(PROMPT_B)
    path = couple(comfy, a, b)
    with pytest.raises(ValueError, match=r"latent: expected one image, got a batch of 2.*times"):
        schedule(comfy, path, times(comfy, 4), comfy.latent(count=2))
    combined = comfy.nodes.ConditioningCombine().combine(a, b)[0]
    with pytest.raises(ValueError, match=r"source and target: .* number of.*1 and 2"):
        couple(comfy, a, combined)
    with pytest.raises(ValueError, match="previous and conditioning: expected the same number"):
        keyframes(comfy, a, combined)
    sdxl = [[torch.zeros(1, 77, 2048), {"pooled_output": torch.zeros(1, 1280)}]]
    with pytest.raises(ValueError, match="source and target: expected rows of one width, got 768"):
        couple(comfy, a, sdxl)
    with pytest.raises(ValueError, match="path: expected at least two keyframes, got one"):
        schedule(comfy, keyframes(comfy, a), times(comfy, 4))
    masked = [[rows, extras | {"mask": torch.ones(1, 8, 8)}] for rows, extras in b]
    with pytest.raises(ValueError, match="'mask' must be equal in all prompts"):
        couple(comfy, a, masked)
    area = comfy.nodes.ConditioningSetArea().append(b, 32, 32, 0, 0, 1.0)[0]
    with pytest.raises(ValueError, match="'area' must be equal in all prompts"):
        couple(comfy, a, area)


def test_errors_reach_the_person_who_queued(server: Server, settings: Any) -> None:
    """The server reports our sentence with the failing node."""
    from dev.comfyui.server import ServerError
    from dev.workflows.prompt import two_prompt_morph

    graph = two_prompt_morph(settings).to_api()
    (latent,) = (n for n in graph.values() if n["class_type"] == "EmptyLatentImage")
    latent["inputs"]["batch_size"] = 3
    with pytest.raises(ServerError, match="GeodesicSchedule: latent: expected one image"):
        server.run(graph)
