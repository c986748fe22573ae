"""The pack as ComfyUI loads it: its log, its schemas, its help, its imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib

from dev.comfyui.environment import ROOT, locate
from dev.comfyui.server import Server
from dev.workflows.catalogue import ALL_WORKFLOWS, FAMILIES, as_text
from dev.workflows.settings import Settings

from ..generations import BOTH, OLDER_ONLY

pytestmark = BOTH

SNAPSHOT = Path(__file__).parent / "schemas.json"
# Inputs whose options ComfyUI or its folders list, in every version and on every machine others.
COMFYUIS = ("sampler_name", "scheduler", "file")
LAZY = ("ot", "lpips", "scipy", "matplotlib")


def own_schemas(server: Server) -> dict[str, Any]:
    """The parts of a schema on which saved workflows depend: ids, names, types, defaults, order."""
    found = server.get("object_info")
    return {name: contract(found[name]) for name in sorted(found) if name.startswith("Geodesic")}


def contract(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {"default", "min", "max", "options", "control_after_generate"}

    def options(name: str, entry: list[Any]) -> dict[str, Any]:
        ours = kept - ({"options"} if name in COMFYUIS else set())
        return {k: v for k, v in [*entry, {}][1].items() if k in ours}

    return {
        "category": schema["category"],
        "inputs": [
            [kind, name, entry[0], options(name, entry)]
            for kind in ("required", "optional")
            for name, entry in schema["input"].get(kind, {}).items()
        ],
        "outputs": [
            list(output)
            for output in zip(
                schema["output_name"], schema["output"], schema["output_is_list"], strict=True
            )
        ],
        "is_output_node": schema["output_node"],
    }


def test_the_pack_starts_without_a_warning(server: Server) -> None:
    """Up to the moment ComfyUI is ready, its log has no warning, error or failed import."""
    log, ready, _ = server.log.read_text().partition("To see the GUI")
    assert ready
    assert "custom_nodes/geodesic_morph" in log
    for word in ("warning", "error", "failed", "traceback", "cannot import", "skip "):
        assert word not in log.lower(), server.tail(60)


def test_every_schema_is_the_one_workflows_were_saved_with(server: Server) -> None:
    """Ids, names, order, types and defaults are a public interface; append, never change.

    After a wanted addition, delete tests/comfyui/schemas.json's entry and paste what this prints.
    """
    assert own_schemas(server) == json.loads(SNAPSHOT.read_text()), json.dumps(own_schemas(server))


def test_every_node_and_input_is_explained(server: Server) -> None:
    """Every node has a description and a category of ours, every input and output a tooltip."""
    found = server.get("object_info")
    for name in own_schemas(server):
        schema = found[name]
        assert schema["description"]
        assert schema["category"].startswith("geodesic/")
        for inputs in schema["input"].values():
            for input_name, entry in inputs.items():
                if isinstance(entry[0], str) and entry[0].isupper() and len(entry) == 1:
                    continue  # hidden inputs, which nobody sees
                assert entry[1].get("tooltip"), f"{name}.{input_name}"
        assert all(schema["output_tooltips"]), name


def test_every_node_has_a_help_page_that_names_its_inputs(server: Server) -> None:
    """The help panel finds js/docs/NodeId.md, and the page speaks of every input and output."""
    for name, schema in own_schemas(server).items():
        page = server.session.get(
            f"{server.url}/extensions/geodesic_morph/docs/{name}.md", timeout=10
        )
        assert page.status_code == 200, name
        for part in [entry[1] for entry in schema["inputs"]] + [o[0] for o in schema["outputs"]]:
            assert f"`{part}`" in page.text, f"{name}: {part}"


@OLDER_ONLY
@pytest.mark.parametrize("name", list(ALL_WORKFLOWS))
def test_the_example_files_are_what_their_definition_writes(server: Server, name: str) -> None:
    """example_workflows/*.json and dev/workflows/ agree; `make workflows` writes them anew."""
    path = ROOT / "example_workflows" / f"{name}.json"
    assert path.read_text() == as_text(name, server.get("object_info"))


@pytest.mark.parametrize("name", list(FAMILIES))
def test_only_model_files_are_missing_for_other_families(server: Server, name: str) -> None:
    """The server checks every value and link of the graph, and misses nothing but the files."""
    graph = FAMILIES[name](Settings())
    answer = server.post("prompt", {"prompt": graph.to_api()})
    assert answer.status_code == 400
    errors = answer.json()["node_errors"]
    nodes = {str(node.id): node for node in graph.nodes}
    assert errors
    for id, found in errors.items():
        assert nodes[id].type in (
            "CheckpointLoaderSimple",
            "UNETLoader",
            "DualCLIPLoader",
            "VAELoader",
        )
        for error in found["errors"]:
            assert error["type"] == "value_not_in_list", error
            given = error["extra_info"]["received_value"]
            assert given in nodes[id].inputs.values()
            assert given.endswith(".safetensors")


@pytest.mark.comfyui
def test_loading_the_pack_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    """ot, lpips, scipy and matplotlib are imported by the nodes that need them, when they run.

    Modules that ComfyUI itself has loaded before do not count. The time over them is printed.
    """
    code = f"""
import asyncio, sys, time
sys.path.insert(0, {str(locate().comfyui)!r})
sys.argv = ["comfyui", "--cpu"]
import utils.install_util, comfy.options
comfy.options.enable_args_parsing()
import nodes, server, comfy_api.latest
sys.path.append({str(ROOT / ".comfyui" / "base" / "custom_nodes")!r})
before = set(sys.modules)
start = time.perf_counter()
import geodesic_morph
assert not any(name.startswith("geodesic_morph.") for name in sys.modules)
async def load():
    return await (await geodesic_morph.comfy_entrypoint()).get_node_list()
count = len(asyncio.run(load()))
seconds = time.perf_counter() - start
roots = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(count, seconds, sorted(roots & set({LAZY!r})), sep="|")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, seconds, heavy = done.stdout.splitlines()[-1].split("|")
    with capsys.disabled():
        print(f"\nthe pack loads in {float(seconds) * 1000:.0f} ms over ComfyUI (budget 200 ms)")
    assert int(count) == 33
    assert heavy == "[]"


def test_the_root_and_the_mathematics_know_nothing_of_comfyui() -> None:
    """Root and geometry import without ComfyUI, and without what is heavy."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / ".comfyui" / "base" / "custom_nodes")!r})
import geodesic_morph
import importlib, pkgutil
from geodesic_morph import geometry
for module in pkgutil.walk_packages(geometry.__path__, "geodesic_morph.geometry."):
    importlib.import_module(module.name)
print(sorted({{n.split(".")[0] for n in sys.modules}} & set({(*LAZY, "comfy", "folder_paths")!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_artists_install_only_what_comfyui_does_not_bring() -> None:
    """requirements.txt and pyproject.toml agree and name lower bounds of three packages."""
    listed = (ROOT / "requirements.txt").read_text().split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert listed == project["dependencies"]
    assert [line.split(">=")[0] for line in listed] == ["POT", "lpips", "matplotlib"]
