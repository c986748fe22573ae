"""The small checkpoint in ComfyUI: SD1.5's format, the prompt's colours, its LPIPS."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dev.comfyui import lpips_weights
from dev.workflows.settings import SMALL, SMALL_SETTINGS
from geodesic_morph.geometry.perceptual import Steps, lpips_network, measure
from scenes import checkpoint, classifier, weights
from scenes.drawing import color_shares, draw
from scenes.evaluate import judge, score
from scenes.language import COLORS, Scene, Thing, evaluation_scene, say

from .conftest import Comfy

GUIDANCE = SMALL_SETTINGS.cfg


def test_comfyui_takes_it_for_sd15(comfy: Comfy, caplog: pytest.LogCaptureFixture) -> None:
    """The ordinary loader finds SD1.5 in it, with no tensor missing, left over or misshapen."""
    with caplog.at_level(logging.INFO):
        model, clip, vae = comfy.nodes.CheckpointLoaderSimple().load_checkpoint(SMALL)
    assert type(model.model.model_config).__name__ == "SD15"
    assert "model_type EPS" in caplog.text  # the log was seen at all
    for word in ("missing", "unexpected", "size mismatch", "left over"):
        assert word not in caplog.text.lower()
    stored = checkpoint.assemble()
    for prefix, network in (
        (checkpoint.UNET, model.model.diffusion_model),
        (checkpoint.AUTOENCODER, vae.first_stage_model),
        (f"{checkpoint.TEXT}transformer.", clip.cond_stage_model.clip_l.transformer),
    ):
        ours = {name.removeprefix(prefix) for name in stored if name.startswith(prefix)}
        assert ours == set(network.state_dict())


@torch.no_grad()
def paint(comfy: Comfy, entries: list[Tensor], seed: int, steps: int) -> Tensor:
    """One picture for each prompt's rows [1, 77, 768], all from one seed; [N, 3, 64, 64]."""
    latent = comfy.latent(count=len(entries))
    latent["batch_index"] = [0] * len(entries)
    (done,) = comfy.nodes.common_ksampler(
        *(comfy.model, seed, steps, GUIDANCE, "dpmpp_2m", "karras"),
        *([[torch.cat(entries), {}]], comfy.encode(""), latent),
    )
    return comfy.vae.decode(done["samples"]).detach().movedim(-1, 1)


@pytest.fixture(scope="module")
def drawn(comfy: Comfy) -> tuple[list[Scene], Tensor]:
    """Ten held-out captions, drawn in 12 steps."""
    held_out = [evaluation_scene(2, k) for k in range(10)]
    captions = [say(scene, rng, complete=True) for scene, rng in held_out]
    rows = [comfy.encode(caption)[0][0] for caption in captions]
    return [scene for scene, _ in held_out], paint(comfy, rows, 3, 12)


def test_the_prompts_colors_are_in_its_picture(drawn: tuple[list[Scene], Tensor]) -> None:
    """Counted pixel by pixel: the background's colour leads, the things' colours are there."""
    scenes, pictures = drawn
    assert bool(torch.isfinite(pictures).all())
    found = []
    for scene, picture in zip(scenes, pictures, strict=True):
        shares = color_shares(picture)
        found.append(max(shares, key=lambda color: shares[color]) == scene.background)
        found += [shares[thing.color] > 0.015 for thing in scene.things]
    assert sum(found) >= 0.9 * len(found)


def test_the_classifier_sees_what_was_asked_for(drawn: tuple[list[Scene], Tensor]) -> None:
    """Colours, backgrounds and shapes; scenes/quality.md has the large count."""
    scenes, pictures = drawn
    verdicts = judge(classifier.load(), pictures, scenes)
    for attribute in ("color", "background", "shape"):
        right, asked = score(verdicts, attribute)
        assert right >= 0.75 * asked, attribute


def scene_lpips() -> torch.nn.Module:
    """LPIPS on the scene classifier, whatever else lies in models/lpips."""
    return lpips_network("alex", weights.load(classifier.FILE))


def measured(network: torch.nn.Module, pictures: Tensor) -> Steps:
    return measure([pictures.movedim(1, -1).clamp(0, 1)], network, "test")


def test_the_backbone_loads_like_any_other_and_is_named(
    comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written into models/lpips, the ordinary loader reads the classifier's trunk from it."""
    lpips_weights.ensure(tmp_path)
    found = ([str(tmp_path)], comfy.backbones.EXTENSIONS)
    folders = comfy.backbones.folder_paths.folder_names_and_paths
    monkeypatch.setitem(folders, comfy.backbones.FOLDER, found)
    loaded = comfy.backbones.load_backbone("alex")
    assert loaded.metric == "LPIPS alex (scene classifier)"
    trained = classifier.load().features.state_dict()
    assert all(torch.equal(loaded.weights[f"features.{k}"].float(), trained[k]) for k in trained)


def test_a_backbone_of_somebody_else_stays(tmp_path: Path) -> None:
    """Our own file is updated; a person's weights of the same name are kept."""
    path = lpips_weights.ensure(tmp_path)
    current = path.stat().st_size
    weights.write({"old": torch.ones(1)}, path, name=lpips_weights.OURS[1])
    assert lpips_weights.ensure(tmp_path).stat().st_size == current
    weights.write({"own": torch.ones(1)}, path, name="mine")
    mine = path.read_bytes()
    assert lpips_weights.ensure(tmp_path).read_bytes() == mine


def test_nearer_scenes_have_smaller_distances() -> None:
    """LPIPS on scenes is in this order: same scene drawn again < one change < another scene."""
    network, ranked = scene_lpips(), []
    for k in range(40):
        scene, rng = evaluation_scene(4, k)
        other, _ = evaluation_scene(4, 1000 + k)
        first, *more = scene.things
        taken = {scene.background, *(thing.color for thing in scene.things)}
        color = next(color for color in COLORS if color not in taken)
        near = dataclasses.replace(scene, things=(Thing(first.shape, color, first.size), *more))
        start = draw(scene, rng)
        distances = [
            measured(network, torch.stack([start, draw(end, rng)])).mean
            for end in (scene, near, other)
        ]
        ranked.append(distances[0] < distances[1] < distances[2])
    assert sum(ranked) >= 36
