"""The metrics nodes inside a real ComfyUI: weights from its folders, values of the package."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
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
    """A web server for a folder, used instead of download.pytorch.org."""
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


def loaded() -> list[str]:
    """The models that ComfyUI holds on the device."""
    return [type(one.model.model).__name__ for one in management().current_loaded_models]


def management() -> Any:
    """Imported late: ComfyUI reads the command line when it is imported."""
    from comfy import model_management

    return model_management


def test_the_network_is_one_of_comfyuis_models(comfy: Comfy, folder: Path) -> None:
    """ComfyUI holds the network after a run, may unload it, and loads it again when needed."""
    save_file(random_weights("alex"), folder / "alex.safetensors")
    execute = comfy.metrics.GeodesicPathLength.execute
    before = execute([frames()], ["alex"], [16])[3]
    assert "LPIPS" in loaded()
    management().unload_all_models()
    assert "LPIPS" not in loaded()
    assert execute([frames()], ["alex"], [16])[3] == before
    assert loaded().count("LPIPS") == 1


def test_weights_are_read_once_until_the_file_is_swapped(
    comfy: Comfy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run reads nothing; other weights under the same name are seen at once."""
    read: list[str] = []
    load = comfy.backbones.load_torch_file

    def counted(path: str, **options: Any) -> Any:
        read.append(path)
        return load(path, **options)

    monkeypatch.setattr(comfy.backbones, "load_torch_file", counted)
    path = folder / "alex.safetensors"
    save_file(random_weights("alex", seed=1), path)
    execute = comfy.metrics.GeodesicPathLength.execute
    first = execute([frames()], ["alex"], [16])[3]
    assert execute([frames()], ["alex"], [16])[3] == first
    assert read == [str(path)]
    swap(path, 2)
    assert execute([frames()], ["alex"], [16])[3] != first
    assert read == [str(path)] * 2


def swap(path: Path, seed: int) -> None:
    """Other weights of the same size in the same file, a second later by its time of change."""
    changed = path.stat().st_mtime_ns + 10**9
    save_file(random_weights("alex", seed=seed), path)
    os.utime(path, ns=(changed, changed))


def test_swapping_the_file_runs_the_node_again(
    comfy: Comfy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the swap ComfyUI's check for changed nodes gives another answer."""
    from comfy_execution.graph import DynamicPrompt
    from execution import IsChangedCache

    node = comfy.metrics.GeodesicPathLength
    monkeypatch.setitem(comfy.nodes.NODE_CLASS_MAPPINGS, "GeodesicPathLength", node)

    def asked(**inputs: Any) -> Any:
        inputs = {"images": ["2", 0], "frames_per_batch": 16, "download": False} | inputs
        prompt = {"1": {"class_type": "GeodesicPathLength", "inputs": inputs}}
        unused: Any = None
        cache = IsChangedCache("prompt", DynamicPrompt(prompt), unused)
        return asyncio.run(cache.get("1"))

    # Missing weights are no reason to fail here: the run itself says what to do.
    missing = asked(backbone="alex")
    assert missing == asked(backbone="alex")
    path = folder / "alex.safetensors"
    save_file(random_weights("alex", seed=1), path)
    for inputs in ({"backbone": "alex"}, {"backbone": ["3", 0]}):  # a choice, and a linked one
        before = asked(**inputs)
        assert before == asked(**inputs) != missing
        other = asked(backbone="vgg")
        swap(path, 2)
        assert asked(**inputs) != before
        assert asked(backbone="vgg") == other
        assert asked(backbone="resnet") == asked(backbone="resnet")


@pytest.mark.parametrize(("backbone", "largest"), [("alex", 0.5), ("squeeze", 1.5), ("vgg", 4)])
def test_the_room_asked_for_is_that_of_few_frames(
    comfy: Comfy, folder: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, largest: float
) -> None:
    """16 frames of 1024×1024 request a few gigabytes from ComfyUI; other models stay loaded."""
    save_file(random_weights(backbone), folder / f"{backbone}.safetensors")
    asked: list[float] = []

    def load(_models: Any, memory_required: float = 0, **_: Any) -> None:
        asked.append(memory_required)
        raise InterruptedError

    monkeypatch.setattr(management(), "load_models_gpu", load)
    images = torch.zeros(1, 1024, 1024, 3).expand(16, -1, -1, -1)
    with pytest.raises(InterruptedError):
        comfy.metrics.GeodesicPathLength.execute([images], [backbone], [16])
    assert 0 < asked[0] <= largest * 2**30


@pytest.mark.parametrize(
    ("free", "limit", "batches"),
    [(2**40, 16, [7]), (2**40, 3, [3, 3, 1]), (0, 16, [1] * 7), ("two", 16, [2, 2, 2, 1])],
)
def test_batches_fit_into_free_memory(
    comfy: Comfy,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int | str,
    limit: int,
    batches: list[int],
) -> None:
    """As many frames at once as fit and as the node allows, at least one; same distances."""
    measuring = measuring_of(comfy)
    save_file(random_weights("alex"), folder / "alex.safetensors")
    execute = comfy.metrics.GeodesicPathLength.execute
    expected = execute([frames(7)], ["alex"], [16])[3]
    if free == "two":
        reserved = management().extra_reserved_memory()
        frame = 64 * 64 * measuring.BYTES_PER_PIXEL["alex"]
        free = reserved + (2 + measuring.HELD) * frame
    monkeypatch.setattr(management(), "get_free_memory", lambda _device: free)
    sizes: list[int] = []
    features = measuring.PerceptualMetric.features

    def counted(self: Any, images: Tensor, **options: Any) -> Any:
        sizes.append(len(images))
        return features(self, images, **options)

    monkeypatch.setattr(measuring.PerceptualMetric, "features", counted)
    found = execute([frames(7)], ["alex"], [limit])[3]
    assert sizes == batches
    assert found.distances == pytest.approx(expected.distances, rel=1e-5)


@pytest.mark.parametrize(
    ("backbone", "limit", "message"),
    [
        ("alex", 3, r"^frames_per_batch: 3 frames of 64 x 64 do not fit .*'alex'. Set it below 3"),
        ("alex", 1, r"^images: a frame of 64 x 64 does not .*'alex'. Make the images smaller.$"),
        ("vgg", 1, r"^images: .*'vgg'. Make the images smaller, or choose the backbone 'alex'"),
    ],
)
def test_out_of_memory_is_comfyuis_own_error(
    comfy: Comfy,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    backbone: str,
    limit: int,
    message: str,
) -> None:
    """ComfyUI unloads its models on this kind of error, and the words say which input to lower."""
    save_file(random_weights(backbone), folder / f"{backbone}.safetensors")
    kind = management().OOM_EXCEPTION

    def full(*_: Any, **__: Any) -> None:
        raise kind("CUDA out of memory")

    monkeypatch.setattr(measuring_of(comfy).PerceptualMetric, "features", full)
    with pytest.raises(kind, match=message):
        comfy.metrics.GeodesicPathLength.execute([frames()], [backbone], [limit])


def measuring_of(comfy: Comfy) -> Any:
    """The pack's module that measures, as ComfyUI has loaded it."""
    return sys.modules[comfy.metrics.measure_on_device.__module__]


@pytest.mark.parametrize(
    ("squared", "settings", "expected"),
    [
        (True, {}, (0.0, 0.25, 0.5, 0.75, 1.0)),  # as in a prompt saved before there was a choice
        (True, {"step_length": "square root"}, (0.0, 0.25, 0.5, 0.75, 1.0)),
        (True, {"step_length": "as measured"}, (0.0, 3 / 8, 7 / 12, 19 / 24, 1.0)),
        (False, {"step_length": "square root"}, (0.0, 3 / 8, 7 / 12, 19 / 24, 1.0)),
    ],
)
def test_retime_takes_the_root_of_squared_distances(
    comfy: Comfy, squared: bool, settings: dict[str, Any], expected: tuple[float, ...]
) -> None:
    """Steps of lengths 1 and 3 between t = 0, 1/4 and 1; a metric of lengths keeps its own."""
    steps = comfy.metrics.Steps((1.0, 9.0), 0.0, "test", squared)
    coarse = comfy.metrics.Times((0.0, 0.25, 1.0))
    found = comfy.metrics.GeodesicRetime.execute(coarse, steps, 5, **settings)[0]
    assert found.values == pytest.approx(expected)


def test_retime_refuses_an_unknown_length(comfy: Comfy) -> None:
    """A linked input can bring any text."""
    steps = comfy.metrics.Steps((1.0,), 0.0, "test")
    expected = r"^step_length: expected 'square root' or 'as measured', got 'root'\.$"
    with pytest.raises(ValueError, match=expected):
        comfy.metrics.GeodesicRetime.execute(comfy.metrics.Times((0.0, 1.0)), steps, 5, "root")


def test_retime_and_compare_speak_of_their_inputs(comfy: Comfy, folder: Path) -> None:
    """Times of another length are refused; a single path can be compared."""
    save_file(random_weights("alex"), folder / "alex.safetensors", metadata={"name": "mine"})
    steps = comfy.metrics.GeodesicPathLength.execute([frames()], ["alex"], [16])[3]
    make = partial(comfy.times.GeodesicTimes.execute, easing="linear", curve="[[0,0],[1,1]]")
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
