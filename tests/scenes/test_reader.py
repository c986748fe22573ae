"""The trained text model: laws that hold for any weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from scenes import checkpoint, classifier, reader, text, weights
from scenes.reader import PREFIX, TRAINED_LAYERS, Reader
from scenes.text import EMBEDDINGS, POSITIONS
from scenes.tokens import END, KNOWN, START, tokens
from study.text_models import clip_rows

CAPTIONS = ("a red circle left of a cyan star", "on black, a big ring in pink", "")


@pytest.fixture(scope="module")
def loud() -> Reader:
    """Weights as they are after training: all different, and large enough to matter."""
    network, g = reader.build(3), torch.Generator().manual_seed(4)
    for p in network.parameters():
        p.data.add_(torch.randn(p.shape, generator=g) * 0.03)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def stored(loud: Reader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "reader.safetensors"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "FILE", path)
        reader.export(loud)
    return path


@pytest.fixture(scope="module")
def whole(stored: Path) -> dict[str, Tensor]:
    return reader.clip_tensors(weights.load(stored))


def said(*captions: str) -> Tensor:
    return torch.tensor([tokens(caption) for caption in captions])


def test_a_later_word_changes_no_earlier_row(loud: Reader) -> None:
    """Causal: rows before the word are equal, its own and all later ones are not."""
    a, b = loud(said("a red circle on blue", "a red star on blue"))
    change = (a - b).abs().amax(1)
    assert not change[:3].any()
    assert bool((change[3:] > 1e-4).all())


def test_paddings_hold_what_was_read_before_them(loud: Reader) -> None:
    """Two captions of one length have other paddings, and no two paddings of one are equal."""
    a, b = loud(said("a red circle on blue", "a red star on blue"))
    assert bool(((a - b)[6:].norm(dim=1) > 0.01).all())
    gaps = torch.cdist(a[6:], a[6:]) + torch.eye(POSITIONS - 6)
    assert float(gaps.min()) > 0.01


def test_clip_with_these_tensors_gives_the_readers_rows(
    whole: dict[str, Tensor], stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widened tensors are the same function, in CLIP-L's shapes and names."""
    monkeypatch.setattr(reader, "FILE", stored)
    written = text.weights()
    assert {name: t.shape for name, t in whole.items()} == {n: t.shape for n, t in written.items()}
    assert torch.allclose(
        reader.load()(said(*CAPTIONS)), clip_rows(whole, said(*CAPTIONS)), atol=1e-2
    )


def test_what_is_not_trained_adds_nothing(whole: dict[str, Tensor]) -> None:
    """Nine layers pass through, and the others use only their first heads and hidden units."""
    for k in range(text.LAYERS):
        layer = f"text_model.encoder.layers.{k}"
        heads = whole[f"{layer}.self_attn.out_proj.weight"].view(text.WIDTH, text.HEADS, -1)
        hidden = whole[f"{layer}.mlp.fc2.weight"]
        used = (heads.abs().sum((0, 2)) > 0, hidden.abs().sum(0) > 0)
        trained = k < TRAINED_LAYERS
        assert [int(x.sum()) for x in used] == [
            reader.TRAINED_HEADS * trained,
            reader.TRAINED_HIDDEN * trained,
        ]
        if not trained:
            assert not whole[f"{layer}.self_attn.out_proj.bias"].any()
            assert not whole[f"{layer}.mlp.fc2.bias"].any()


def test_words_that_no_caption_has_keep_their_vectors(
    whole: dict[str, Tensor], loud: Reader
) -> None:
    """Known tokens have the trained vectors, all others those of the seed."""
    name = f"{EMBEDDINGS}.token_embedding.weight"
    table = whole[name]
    untouched = torch.ones(len(table), dtype=torch.bool)
    untouched[torch.tensor(KNOWN)] = False
    fresh = reader.clip_tensors(
        {PREFIX + n: p.half() for n, p in reader.build(9).state_dict().items()}
    )[name]
    assert torch.equal(table[untouched], fresh[untouched])
    learned = loud.embeddings.token_embedding.weight
    assert torch.allclose(table[~untouched].float(), learned, atol=float(learned.abs().max()) / 200)


def test_it_is_stored_in_few_bytes(stored: Path) -> None:
    """With a UNet of its own, as large as the other one, all weights stay below 60 MB."""
    with safe_open(checkpoint.TRAINED, framework="pt") as file:
        unet = sum(
            file.get_tensor(name).nbytes
            for name in file.keys()  # noqa: SIM118 - it is no mapping
            if name.startswith(checkpoint.UNET)
        )
    both = sum(file.stat().st_size for file in (checkpoint.TRAINED, classifier.FILE, stored))
    assert both + unet * 1.001 <= 60e6


def test_tokens_begin_and_end_as_clips_do() -> None:
    """START, the words, END to the end; a word of another language is refused."""
    row = tokens("a cyan star, big")
    assert row == [START, 320, 1470, 550, 1565, 267, 1205, *[END] * 70]
    with pytest.raises(KeyError):
        tokens("a dog")


def test_without_weights_the_text_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, with what to do; the written-down one is not asked for them."""
    monkeypatch.setattr(reader, "FILE", tmp_path / "reader.safetensors")
    with pytest.raises(weights.WeightsError, match=r"expected the trained 'reader' .* 'written'"):
        checkpoint.ensure(tmp_path / "c.safetensors", "reader")
    assert checkpoint.expected_digest("written")


@pytest.mark.slow
def test_another_reader_than_the_signed_one_is_refused(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UNet belongs to one reader: any other has another digest, and nothing is written."""
    monkeypatch.setattr(reader, "FILE", tmp_path / "reader.safetensors")
    monkeypatch.setattr(checkpoint, "READER_UNET", tmp_path / "unet.safetensors")
    monkeypatch.setattr(checkpoint, "READER_DIGEST", tmp_path / "reader.digest")
    reader.FILE.write_bytes(stored.read_bytes())
    digest = checkpoint.export_unet({"out.2.bias": torch.zeros(4)})
    assert checkpoint.ensure(tmp_path / "c.safetensors", "reader").is_file()
    assert digest == checkpoint.expected_digest("reader")
    reader.export(reader.build(1))
    with pytest.raises(weights.WeightsError, match=r"should have the digest"):
        checkpoint.write(tmp_path / "d.safetensors", "reader")
    assert not (tmp_path / "d.safetensors").exists()
