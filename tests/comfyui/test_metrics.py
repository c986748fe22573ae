"""The metrics nodes inside a real ComfyUI: weights from its folders, values of the package."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dev.comfyui.lpips_weights import random_weights

from .conftest import Comfy


@pytest.fixture
def folder(comfy: Comfy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models/lpips folder, in ComfyUI's own table of folders."""
    import folder_paths

    entry = ([str(tmp_path / "lpips")], comfy.backbones.EXTENSIONS)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "lpips", entry)
    (tmp_path / "lpips").mkdir()
    return tmp_path / "lpips"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A web server for a folder, in place of download.pytorch.org, which tests do not ask."""
    root = tmp_path / "mirror"
    root.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()


def frames(count: int = 5, size: int = 64) -> Tensor:
    return torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(5))


def package_values(weights: dict[str, Tensor], images: Tensor, backbone: str) -> Tensor:
    """LPIPS of consecutive images as the package computes it, pair by pair."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    names = {key: "features." + key.split(".", 1)[1] for key in network.net.state_dict()}
    network.net.load_state_dict({key: weights[name] for key, name in names.items()})
    x = images.movedim(-1, 1)
    pairs = pairwise(x)
    with torch.no_grad():
        return torch.stack([network(a[None], b[None], normalize=True).squeeze() for a, b in pairs])


@pytest.mark.parametrize("backbone", ["alex", "vgg", "squeeze"])
def test_values_are_those_of_the_package(comfy: Comfy, folder: Path, backbone: str) -> None:
    """On weights in torchvision's file, all numbers equal the lpips package's to 1e-5."""
    weights = random_weights(backbone, seed=3)
    name = comfy.backbones.FILES[backbone]
    torch.save(weights | {"classifier.6.bias": torch.zeros(1000)}, folder / name)
    expected = package_values(weights, frames(), backbone).double()
    execute = comfy.metrics.GeodesicPathLength.execute
    ppl, total, pdv, steps, chart = execute([frames()], [backbone], [2], [False]).result
    found = torch.tensor(steps.distances, dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert ppl == pytest.approx(float(expected.mean()), abs=1e-5)
    assert total == pytest.approx(float(expected.sum()), abs=1e-5)
    assert pdv == pytest.approx(float(expected.var(correction=0)), abs=1e-5)
    assert chart.shape[0] == 1
    # Torchvision's name with other content must not pass for the published metric.
    assert steps.metric == f"LPIPS {backbone} ({name}, not the published weights)"


def test_lists_are_collected(comfy: Comfy, folder: Path) -> None:
    """A list of batches, as a schedule in batches makes it, is one path."""
    save_file(random_weights("alex"), folder / "alex.safetensors")
    execute = comfy.metrics.GeodesicPathLength.execute
    whole = execute([frames()], ["alex"], [16])[3]
    parts = execute([frames()[:2], frames()[2:3], frames()[3:]], ["alex"], [16])[3]
    assert parts.distances == pytest.approx(whole.distances, rel=1e-5)
    assert whole.metric == "LPIPS alex (alex.safetensors)"


def test_a_missing_backbone_names_file_source_and_folder(comfy: Comfy, folder: Path) -> None:
    """Without weights the error says which file, from where, where to, and what to switch on."""
    with pytest.raises(FileNotFoundError) as caught:
        comfy.metrics.GeodesicPathLength.execute([frames()], ["vgg"], [16], [False])
    message = str(caught.value)
    for part in ("vgg16-397923af.pth", "https://download.pytorch.org/models/", str(folder)):
        assert part in message
    assert "'download'" in message
    assert list(folder.iterdir()) == []


def test_the_switch_downloads_whole_and_checked(
    comfy: Comfy, folder: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real download code, from a local server: the file arrives, its hash is checked."""
    root, url = mirror
    content = root / "content"
    torch.save(random_weights("alex"), content)
    digest = hashlib.sha256(content.read_bytes()).hexdigest()
    name = f"alexnet-owt-{digest[:8]}.pth"
    content.rename(root / name)
    monkeypatch.setattr(comfy.backbones, "SOURCE", url)
    monkeypatch.setitem(comfy.backbones.FILES, "alex", name)
    steps = comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16], [True])[3]
    assert (folder / name).is_file()
    assert steps.metric == "LPIPS alex"


def test_a_damaged_download_is_refused_and_leaves_nothing(
    comfy: Comfy, folder: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose hash is not the one in its name never reaches the models folder."""
    root, url = mirror
    (root / comfy.backbones.FILES["alex"]).write_bytes(b"not the weights")
    monkeypatch.setattr(comfy.backbones, "SOURCE", url)
    with pytest.raises(RuntimeError, match=r"download: could not fetch .*alexnet-owt-7be5be79.pth"):
        comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16], [True])
    assert list(folder.iterdir()) == []


def test_weights_that_would_run_code_are_not_read(comfy: Comfy, folder: Path) -> None:
    """A pickle with more than tensors in it is refused, not executed."""
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (folder / "sprung",))

    torch.save({"features.0.weight": Trap()}, folder / comfy.backbones.FILES["alex"])
    with pytest.raises(pickle.UnpicklingError):
        comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16])
    assert not (folder / "sprung").exists()


def test_the_network_leaves_comfyui_memory(comfy: Comfy, folder: Path) -> None:
    """After measuring, ComfyUI holds no LPIPS network."""
    import gc

    from comfy import model_management as management

    save_file(random_weights("alex"), folder / "alex.safetensors")
    comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16])
    gc.collect()
    management.cleanup_models()
    loaded = [type(one.model.model).__name__ for one in management.current_loaded_models]
    assert "LPIPS" not in loaded


def test_retime_and_compare_speak_of_their_inputs(comfy: Comfy, folder: Path) -> None:
    """Times of another length are refused; one path alone is compared without complaint."""
    save_file(random_weights("alex"), folder / "alex.safetensors", metadata={"name": "mine"})
    steps = comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16])[3]
    make = partial(comfy.prompt.GeodesicTimes.execute, easing="linear", curve="[[0,0],[1,1]]")
    retime = comfy.metrics.GeodesicRetime.execute
    with pytest.raises(ValueError, match=r"times and steps: .*got 9 times and 4 distances"):
        retime(make(9, ending="stop")[0], steps, 20)
    for ending in ("stop", "loop", "ping-pong"):
        new = retime(make(5, ending=ending)[0], steps, 20)[0]
        assert len(new) == 20
        assert new.ending == ending
        assert new.values[0] == 0
    # Neither a Markdown table nor matplotlib's formulas may stumble over a person's words.
    labels = {"label_a": "a | $x_$", "label_b": "_b", "label_c": "", "label_d": "d"}
    chart, table = comfy.metrics.GeodesicCompare.execute(steps_a=steps, **labels).result
    assert chart.shape[-1] == 3
    assert "| a / $x_$ |" in table
    assert "LPIPS alex (mine)" in table
