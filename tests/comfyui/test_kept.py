"""Inversions as files: exact, complete, of one model, and inside ComfyUI's folders only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dev.comfyui.environment import BASE
from dev.comfyui.server import Server, ServerError
from dev.pictures import photos
from dev.workflows.graph import Graph
from dev.workflows.settings import SMALL

from .conftest import PROMPT_A, Comfy
from .densities import clean


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def output(comfy: Comfy, tmp_path: Path) -> Iterator[Path]:
    """An output folder of its own."""
    import folder_paths

    assert comfy
    before = folder_paths.get_output_directory()
    folder_paths.set_output_directory(str(tmp_path / "output"))
    (tmp_path / "output").mkdir()
    yield tmp_path / "output"
    folder_paths.set_output_directory(before)


def inversion(comfy: Comfy, level: float = 0.6, count: int = 1) -> dict[str, Any]:
    latents = {"samples": torch.cat([clean(comfy, seed)["samples"] for seed in range(count)])}
    return comfy.noise.GeodesicInvert.execute(comfy.model, comfy.encode(""), latents, 2, level, 0)[
        0
    ]


def saved(comfy: Comfy, latent: Any, conditioning: Any = None) -> str:
    """The name of the newest file in the menu, after saving."""
    comfy.noise.GeodesicSaveInversion.execute(latent, "photos/fox", conditioning)
    return comfy.noise.kept.kept_files()[0]


def equal(a: Any, b: Any) -> bool:
    """Whether two values are the same to the last bit and of the same type."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.cpu(), b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


def test_what_is_loaded_is_what_was_saved(comfy: Comfy, output: Path) -> None:
    """Samples, level, model, mask, batch_index; rows, pooled vector, numbers, areas: exactly."""
    latent = inversion(comfy, count=2) | {"noise_mask": torch.ones(1, 1, 8, 8).half()}
    latent["batch_index"] = [3, 4]
    extras = {"strength": 0.3, "area": (8, 8, 0, 0), "set_area_to_bounds": False, "note": None}
    prompt = [[rows, more | extras] for rows, more in comfy.encode(PROMPT_A)] * 2
    name = saved(comfy, latent, prompt)
    assert name == "photos/fox_00001_.inversion.safetensors [output]"
    assert [path.name for path in (output / "photos").iterdir()] == [name.split("/")[1][:-9]]
    found = comfy.noise.GeodesicLoadInversion.execute(name, comfy.model)
    assert equal(latent, found[0])
    assert equal(prompt, found[1])


def test_a_loaded_level_is_the_level(comfy: Comfy, output: Path) -> None:
    """Inverted to 0.6 and loaded, it is refused as pure noise; inverted to 1, it is taken."""
    assert output
    load = comfy.noise.GeodesicLoadInversion.execute
    keyframe = comfy.noise.GeodesicNoiseKeyframe.execute
    with pytest.raises(ValueError, match=r"noise_level 1, got 0\.6"):
        keyframe(0, 1.0, load(saved(comfy, inversion(comfy, 0.6)))[0])
    latent = inversion(comfy, 1.0)
    latent["samples"] /= latent["samples"].std()
    path = keyframe(0, 1.0, load(saved(comfy, latent))[0])[0]
    assert torch.equal(path.keyframes[0].latent, latent["samples"])


def test_without_a_prompt_the_other_output_says_so(comfy: Comfy, output: Path) -> None:
    """Nodes behind it get ComfyUI's blocker with the reason, not an empty prompt."""
    assert output
    found = comfy.noise.GeodesicLoadInversion.execute(saved(comfy, inversion(comfy)))
    assert "saved without its prompt" in found[1].message


def test_another_model_is_refused(comfy: Comfy, output: Path) -> None:
    """By Load Inversion and by Density Path; half precision and LoRAs are the same model."""
    assert output
    name = saved(comfy, inversion(comfy))
    load = comfy.noise.GeodesicLoadInversion.execute
    model = comfy.model.clone()
    weights = dict(model.model.diffusion_model.named_parameters())
    key, weight = next((k, v) for k, v in weights.items() if v.ndim > 1)
    model.add_patches({f"diffusion_model.{key}": ("diff", (torch.ones_like(weight),))})
    model.patch_model()
    try:
        load(name, model)
    finally:
        model.unpatch_model()
    from geodesic_morph.nodes import fingerprint

    own = fingerprint.fingerprint(comfy.model)
    half = tuple(torch.tensor(own.weights).half().tolist())
    trained = tuple(1.05 * value for value in own.weights)
    kind = type(own)
    assert own.is_same(kind(own.format, own.digest, half))
    assert not own.is_same(kind(own.format, "other", own.weights))
    other = {"geodesic_model": kind("SDXL", own.digest, trained)}
    with pytest.raises(ValueError, match=r"file: expected .* connected model, .*\(SDXL latents"):
        load(saved(comfy, inversion(comfy) | other), comfy.model)
    with pytest.raises(ValueError, match="latent_a: expected an image inverted with the connected"):
        comfy.density.find(comfy.model, (), comfy.encode(""), (inversion(comfy) | other,) * 2, None)


def test_other_files_are_refused(comfy: Comfy, output: Path) -> None:
    """Cut short, of another kind, of a later version, with a part missing, not there."""
    load = comfy.noise.GeodesicLoadInversion.execute
    name = saved(comfy, inversion(comfy))
    file = output / "photos" / "fox_00001_.inversion.safetensors"
    whole = file.read_bytes()
    header = json.dumps({"version": 2})
    for broken in (whole[:-10], whole[:40], b"", b"a picture"):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match="incomplete, damaged or something else"):
            load(name)
    for metadata in (None, {"geodesic_inversion": "{"}, {"geodesic_inversion": header}):
        save_file({"latent.samples": torch.zeros(1)}, file, metadata)
        with pytest.raises(ValueError, match="expected an inversion of Save Inversion"):
            load(name)
    file.unlink()
    with pytest.raises(ValueError, match="is not there"):
        load(name)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.inversion.safetensors [output]",
        "../../secret.inversion.safetensors",
        "/etc/passwd",
        "/tmp/x.inversion.safetensors [output]",
        "x.inversion.safetensors [temp]",
        "model.safetensors [output]",
        "",
    ],
)
def test_no_name_leads_out_of_the_folders(comfy: Comfy, output: Path, name: str) -> None:
    """Neither when a graph is checked nor when it runs; nor are models read."""
    (output.parent / "secret.inversion.safetensors").write_bytes(b"secret")
    node = comfy.noise.GeodesicLoadInversion
    assert "output or input folder" in node.validate_inputs(name)
    with pytest.raises(ValueError, match="output or input folder"):
        node.execute(name)


@pytest.mark.parametrize("prefix", ["../x", "/tmp/x", "a/../../x"])
def test_nothing_is_written_elsewhere(comfy: Comfy, output: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match="filename_prefix: expected a name inside"):
        comfy.noise.GeodesicSaveInversion.execute(inversion(comfy), prefix)
    assert list(output.rglob("*")) == []


def test_what_a_file_cannot_hold_is_refused(comfy: Comfy, output: Path) -> None:
    """A latent without its level, and a prompt with a ControlNet."""
    save = comfy.noise.GeodesicSaveInversion.execute
    with pytest.raises(ValueError, match="latent: expected an inverted image, got"):
        save(clean(comfy, 1), "x")
    prompt = [[rows, more | {"control": object()}] for rows, more in comfy.encode("")]
    with pytest.raises(ValueError, match=r"conditioning: expected .* got object under 'control'"):
        save(inversion(comfy), "x", prompt)
    assert list(output.rglob("*")) == []


def test_an_inversion_survives_a_restart(server: Server, tmp_path: Path) -> None:
    """Saved by one server; loaded by the next, which lists it, and saved again: the same file."""
    photos.ensure(BASE / "input")
    prefix = f"{tmp_path.name}/photo"
    graph = Graph()
    loaded = graph.add("CheckpointLoaderSimple", ckpt_name=SMALL)
    prompt = graph.add("CLIPTextEncode", clip=loaded[1], text=PROMPT_A)
    image = graph.add("LoadImage", image="geodesic_scene_a.png")
    encoded = graph.add("VAEEncode", pixels=image[0], vae=loaded[2])
    settings = {"steps": 3, "noise_level": 0.6, "refinements": 1}
    model = {"model": loaded[0], "conditioning": prompt[0], "latent": encoded[0]}
    noise = graph.add("GeodesicInvert", **model, **settings)
    keep = {"filename_prefix": prefix, "conditioning": prompt[0]}
    graph.add("GeodesicSaveInversion", latent=noise[0], **keep)
    server.run(graph.to_api())
    name = f"{tmp_path.name}/photo_00001_.inversion.safetensors [output]"
    with Server(cpu=True, log=tmp_path / "server.log") as restarted:
        inputs = restarted.get("object_info")["GeodesicLoadInversion"]["input"]["required"]
        assert name in [*inputs["file"][0], *inputs["file"][1].get("options", [])]
        again = Graph()
        loaded = again.add("CheckpointLoaderSimple", ckpt_name=SMALL)
        kept = again.add("GeodesicLoadInversion", file=name, model=loaded[0])
        again.add(
            "GeodesicSaveInversion",
            latent=kept[0],
            filename_prefix=prefix,
            conditioning=kept[1],
        )
        restarted.run(again.to_api())
        bad = again.to_api()
        bad[again.nodes[1].id if isinstance(again.nodes[1].id, str) else str(again.nodes[1].id)][
            "inputs"
        ]["file"] = "../x.inversion.safetensors"
        with pytest.raises(ServerError, match="output or input folder"):
            restarted.run(bad)
    first, second = (
        BASE / "output" / tmp_path.name / f"photo_0000{k}_.inversion.safetensors" for k in (1, 2)
    )
    a, b = load_file(first), load_file(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert first.read_bytes() == second.read_bytes()
