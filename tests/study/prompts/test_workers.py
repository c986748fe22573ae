"""Ray's workers measure what one process measures, and die without harm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev.comfyui.environment import PACK, ROOT
from study.prompts.workers import RayWorkers

from .quick_runs import THREE, begin, measured

pytestmark = pytest.mark.usefixtures("threads", "one_studio")


class Cluster:
    """Ray of this machine, running already: what runs ask of it, and how often they left it."""

    def __init__(self) -> None:
        import ray

        self.ray: Any = ray
        self.left = 0
        path = f"{ROOT}:{PACK.parent}"
        self.options: dict[str, Any] = {
            "include_dashboard": False,
            "log_to_driver": False,
            "runtime_env": {"env_vars": {"PYTHONPATH": path}},
        }
        ray.init(address="local", **self.options)

    def init(self, **options: Any) -> None:
        assert options.items() >= {"address": "local", **self.options}.items()

    def shutdown(self) -> None:
        self.left += 1


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    one = Cluster()
    yield one
    one.ray.shutdown()


@pytest.fixture
def cluster(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """One Ray for all tests that need it: starting it takes as long as they do."""
    running.left = 0
    with monkeypatch.context() as patched:
        patched.setattr(running.ray, "init", running.init)
        patched.setattr(running.ray, "shutdown", running.shutdown)
        yield running


@pytest.mark.comfyui
def test_two_workers_are_one_worker(cluster: Cluster, tmp_path: Path) -> None:
    """Ray's two actors measure the very same numbers as this process does."""
    alone, both = tmp_path / "alone", tmp_path / "both"
    begin(alone, THREE[:2])
    done = begin(both, THREE[:2], workers=2)
    assert (done.measured, done.failed) == (2, 0)
    assert measured(both) == measured(alone)
    assert cluster.left == 1


@pytest.mark.comfyui
def test_more_workers_than_there_is_room_for(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"workers: 400 need 400 CPUs, Ray has \d+; lower"):
        begin(tmp_path, workers=400)
    assert cluster.left == 1


@pytest.mark.comfyui
def test_without_ray_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"2 need Ray, which is not installed.*--workers 1"):
        begin(tmp_path, workers=2)


@pytest.mark.comfyui
def test_a_worker_that_dies_costs_one_pair(cluster: Cluster) -> None:
    """Ray starts it again; the pair is recorded with the reason, the others are measured."""

    class Fragile:  # plain values: each start of a worker would import torch for ours
        def run(self, task: SimpleNamespace) -> SimpleNamespace:
            if task.number == 1:
                os._exit(1)
            return SimpleNamespace(pair=task.number, failure=None)

    many = RayWorkers.__new__(RayWorkers)
    many.ray = cluster.ray
    actor: Any = many.ray.remote(max_restarts=-1, max_task_retries=1)(Fragile)
    many.actors = [actor.remote() for _ in range(2)]
    tasks: Any = [SimpleNamespace(number=k) for k in range(8)]
    found = {one.pair: one for one in many.results(tasks)}
    assert sorted(found) == list(range(8))
    assert [k for k, one in found.items() if one.failure] == [1]
    assert "worker lost" in str(found[1].failure)
