"""Noise workflows through the real server: native ends, regenerated photos, cancelling."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dev.comfyui.environment import BASE
from dev.comfyui.server import Server, ServerError
from dev.pictures import photos
from dev.workflows.graph import Graph
from dev.workflows.noise import prompt_and_seed_travel, seed_travel
from dev.workflows.photos import photo_to_photo
from dev.workflows.settings import SMALL_SETTINGS, Settings


def frames_of(server: Server, graph: Graph) -> np.ndarray:
    """The images of a workflow's decoder, or of Morph Sampler: [F, H, W, 3], 0 to 255."""
    (decoder,) = (node for node in graph.nodes if node.title in ("Decode", "Morph Sampler"))
    graph.add("PreviewImage", "Frames", images=decoder[0])
    files = server.run(graph.to_api())[graph.find("Frames")]["images"]
    shown = [np.array(Image.open(io.BytesIO(server.fetch(file)))) for file in files]
    return np.array(shown, dtype=int)


def native(server: Server, s: Settings, prompt: str, seed: int) -> np.ndarray:
    """KSampler's own picture: [H, W, 3]."""
    graph = Graph()
    loaded = graph.add("CheckpointLoaderSimple", ckpt_name=s.checkpoint)
    texts = [graph.add("CLIPTextEncode", clip=loaded[1], text=t)[0] for t in (prompt, s.negative)]
    latent = graph.add("EmptyLatentImage", width=s.size, height=s.size, batch_size=1)
    sampled = graph.add(
        "KSampler",
        model=loaded[0],
        seed=seed,
        steps=s.steps,
        cfg=s.cfg,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        positive=texts[0],
        negative=texts[1],
        latent_image=latent[0],
        denoise=1.0,
    )
    graph.add("VAEDecode", "Decode", samples=sampled[0], vae=loaded[2])
    return frames_of(server, graph)[0]


def same_picture(a: np.ndarray, b: np.ndarray) -> bool:
    """Up to the order of sums: one level in fewer than one value in a hundred."""
    difference = np.abs(a - b)
    return difference.max() <= 1 and (difference > 0).mean() < 1e-2


@pytest.mark.parametrize("per_batch", [0, 3])
def test_seed_travel_passes_through_the_seeds(
    server: Server, settings: Settings, per_batch: int
) -> None:
    """Four seeds in a loop of eight frames: every second one is KSampler's own picture."""
    s = dataclasses.replace(settings, frames=4, frames_per_batch=per_batch, seed=20)
    frames = frames_of(server, seed_travel(s))
    assert len(frames) == 8
    for k in range(4):
        assert same_picture(frames[2 * k], native(server, s, s.prompt_a, 20 + k))
    assert np.abs(frames[0] - frames[1]).mean() > 1


def test_prompt_and_noise_arrive_together(server: Server, settings: Settings) -> None:
    """In batches of two: the first frame is prompt A on seed 30, the last prompt B on seed 31."""
    s = dataclasses.replace(settings, frames=5, frames_per_batch=2, seed=30)
    frames = frames_of(server, prompt_and_seed_travel(s))
    assert same_picture(frames[0], native(server, s, s.prompt_a, 30))
    assert same_picture(frames[-1], native(server, s, s.prompt_b, 31))


def test_photos_are_the_ends_of_their_path(server: Server) -> None:
    """As well as the autoencoder can keep them; pasted in, as the workflow has it, exactly."""
    photos.ensure(BASE / "input")
    s = dataclasses.replace(SMALL_SETTINGS, frames=3, inversion_steps=16)
    pasted = photo_to_photo(s)
    plain = photo_to_photo(s)
    plain.titled("Morph Sampler").inputs["photo_frames"] = "rendered"
    frames = frames_of(server, plain)
    with_photos = frames_of(server, pasted)
    for k, name in zip((0, -1), s.photos, strict=True):
        photo = np.array(Image.open(BASE / "input" / name), dtype=int)
        error = np.square((frames[k] - photo) / 255).mean()
        assert -10 * np.log10(error) > 28
        assert np.abs(with_photos[k] - photo).max() <= 1
    assert np.abs(frames[1] - frames[0]).mean() > 5
    assert np.abs(frames[1] - frames[-1]).mean() > 5


def cancelled(server: Server, graph: Graph, kind: str, **changes: Any) -> list[dict[str, Any]]:
    """Run, and cancel at the second progress event of a node of this kind; returns its events."""
    told: list[dict[str, Any]] = []
    ids = {str(node.id) for node in graph.nodes if node.type == kind}
    api = graph.to_api()
    for title, inputs in changes.items():
        api[graph.find(title)]["inputs"] |= inputs

    def cancel(event: str, data: dict[str, Any]) -> None:
        if event == "progress" and data["node"] in ids:
            told.append(data)
            if len(told) == 2:
                server.post("interrupt")

    with pytest.raises(ServerError, match="cancelled"):
        server.run(api, cancel)
    return told


def test_an_inversion_can_be_cancelled(server: Server) -> None:
    """It reports its steps, stops between two of them, and the next run works."""
    photos.ensure(BASE / "input")
    s = dataclasses.replace(SMALL_SETTINGS, frames=2, inversion_steps=5000)
    told = cancelled(server, photo_to_photo(s), "GeodesicImageKeyframe")
    assert told[-1]["max"] == 3000
    assert told[-1]["value"] < 2400
    assert len(frames_of(server, photo_to_photo(dataclasses.replace(s, inversion_steps=3)))) == 2


def test_nao_shows_its_progress_under_the_sampler_and_can_be_cancelled(
    server: Server, settings: Settings
) -> None:
    """The optimisation of 512×512 noises is cut short, and leaves the server usable."""
    s = dataclasses.replace(settings, size=512, seed=40)
    nao = {"One noise per frame": {"method": "NAO"}}
    told = cancelled(server, seed_travel(s), "SamplerCustomAdvanced", **nao)
    assert told[-1]["max"] == 4 * 10_000
    assert told[-1]["value"] < 20_000


def test_frames_that_do_not_match_are_refused_by_name(server: Server, settings: Settings) -> None:
    """A batch of twelve for a path of eight: the error reaches the person, at the sampler."""
    graph = seed_travel(dataclasses.replace(settings, frames=4, seed=50))
    api = graph.to_api()
    api[graph.find("Size, one for each frame")]["inputs"]["batch_size"] = 12
    with pytest.raises(ServerError, match=r"SamplerCustomAdvanced.*latent_image: expected one"):
        server.run(api)
