"""`make train` from nothing to a checkpoint, a few steps of each stage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from scenes import checkpoint, classifier, reader, text, train, train_reader
from scenes.denoiser import Text
from scenes.language import say, training_scene
from scenes.tokens import TOKENS, tokens

from .conftest import Comfy


@pytest.fixture(scope="module")
def trained(comfy: Comfy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two steps of every stage on 70 scenes, stored in a folder of its own."""
    assert comfy
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "SCENES", 70)
        for stage in ("AUTOENCODER", "DECODER", "DENOISER", "CLASSIFIER"):
            patched.setattr(train, stage, {"steps": 2, "batch": 2})
        patched.setattr(checkpoint, "TRAINED", folder / "small.safetensors")
        patched.setattr(checkpoint, "DIGEST", folder / "small.digest")
        patched.setattr(classifier, "FILE", folder / "classifier.safetensors")
        train.main(folder / "training", cpu=True)
        yield folder


def test_training_ends_in_a_checkpoint_that_comfyui_loads(
    comfy: Comfy, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage runs, the checkpoint is made of what they store, and nothing runs twice."""
    path = checkpoint.write(trained / "checkpoint.safetensors")
    import comfy.sd as sd

    loaded: Any = sd.load_checkpoint_guess_config(str(path))
    model, clip, vae = loaded[:3]
    (done,) = comfy.nodes.common_ksampler(
        *(model, 0, 2, 4.0, "dpmpp_2m", "karras"),
        *(clip.encode_from_tokens_scheduled(clip.tokenize("a red ring")), comfy.encode("")),
        comfy.latent(),
    )
    assert bool(torch.isfinite(vae.decode(done["samples"])).all())
    assert classifier.load()(torch.zeros(1, 3, 64, 64))["shape"].shape == (1, 6)

    def again(*_: Any) -> None:
        raise AssertionError("a finished stage was trained again")

    digest = checkpoint.DIGEST.read_text()
    monkeypatch.setattr("scenes.training_loop._save", again)
    train.main(trained / "training", cpu=True)
    assert checkpoint.DIGEST.read_text() == digest


def test_training_sees_the_rows_that_comfyui_makes(comfy: Comfy) -> None:
    """The same tokens; and the text model's only active layer gives the same as all twelve."""
    encoder = Text(text.weights(), torch.device("cpu"))
    for k in range(6):
        caption = say(*training_scene(7, k))
        (pairs,) = comfy.clip.tokenize(caption)["l"]
        assert encoder.tokens(caption) == [token for token, _ in pairs]
        (native,) = comfy.encode(caption)[0][0]  # [1, 77, 768]
        (ours,) = encoder.rows([caption])
        assert float((ours.float() - native).abs().mean()) < 0.02


def test_latents_of_another_autoencoder_are_not_reused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages that were trained on an older autoencoder are refused by name."""
    folder = shutil.copytree(trained / "training", tmp_path / "training")
    (folder / "autoencoder.pt").unlink()
    monkeypatch.setattr(train, "AUTOENCODER", {"steps": 1, "batch": 2})
    with pytest.raises(ValueError, match=r"denoiser\.pt is a run of other settings .* remove it"):
        train.main(folder, cpu=True)


def test_the_classifier_starts_from_its_seed() -> None:
    """Two builds are equal, another seed is not."""
    one, two, other = (classifier.build(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_reader_and_its_denoiser_end_in_a_checkpoint(
    comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of both stages; ComfyUI gives the rows on which the denoiser was trained."""
    monkeypatch.setattr(reader, "FILE", tmp_path / "reader.safetensors")
    monkeypatch.setattr(checkpoint, "READER_UNET", tmp_path / "unet.safetensors")
    monkeypatch.setattr(checkpoint, "READER_DIGEST", tmp_path / "reader.digest")
    plan = train_reader.Plan(6, 6, reader_steps=2, reader_batch=2, steps=2, batch=2)
    read, unet = train_reader.main(tmp_path / "training", True, plan)
    checkpoint.export_unet(unet.state_dict())
    path = checkpoint.write(tmp_path / "checkpoint.safetensors", "reader")
    import comfy.sd as sd

    loaded: Any = sd.load_checkpoint_guess_config(str(path))
    model, clip, vae = loaded[:3]
    caption = "a small cyan ring, pink background"
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize(caption))
    expected = read(torch.tensor([tokens(caption)]))
    assert torch.allclose(prompt[0][0].float(), expected, atol=0.02)
    (done,) = comfy.nodes.common_ksampler(
        *(model, 0, 2, 4.0, "dpmpp_2m", "karras", prompt, prompt, comfy.latent())
    )
    assert bool(torch.isfinite(vae.decode(done["samples"])).all())


@pytest.mark.usefixtures("comfy")
def test_words_have_the_tokens_of_comfyuis_tokenizer() -> None:
    """All words of the language, one by one and in a caption."""
    from comfy.sd1_clip import SDTokenizer

    tokenizer = SDTokenizer()
    for said in (*TOKENS, "on black, a big cyan ring in the middle", ""):
        (row,) = tokenizer.tokenize_with_weights(said)
        assert tokens(said) == [token for token, _ in row]
