"""The workers that measure pairs: this process, or Ray's actors, each with a ComfyUI and a GPU.

Ray distributes pairs, restarts workers that die and reaches other machines. The numbers of a pair
do not depend on this: batch and threads are in the plan, and pairs are independent.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

from dev.comfyui.environment import PACK, ROOT

from .plan import Plan
from .store import Result
from .studio import Studio, Task

RETRIES = 1  # of a pair whose worker died; the worker itself is always restarted
MOST_LOST = 2  # after this many pairs in a row killed a worker, it gets no more pairs
START_SECONDS = 900  # for all workers to load ComfyUI and the checkpoint


class Workers(Protocol):
    """Workers that have loaded ComfyUI and the checkpoint."""

    def fastest_batch(self) -> int:
        """The batch size at which such a worker renders fastest."""
        ...

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """The results, in the order in which they are finished."""
        ...


class ThisProcess:
    """This process as the only worker."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.studio = Studio(plan, cpu)

    def fastest_batch(self) -> int:
        return self.studio.fastest_batch()

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        return map(self.studio.run, tasks)


class RayWorkers:
    """Ray's actors. Raises ValueError if Ray is missing, or has too few CPUs or GPUs."""

    def __init__(self, plan: Plan, cpu: bool, workers: int | None, address: str | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise ValueError(
                f"workers: {workers or 'those of a cluster'} need Ray, which is not installed; "
                "install it (pip install ray), or give --workers 1."
            ) from error
        self.ray: Any = ray
        # On every machine of a cluster the project is set up in the same folder.
        path = f"{ROOT}:{PACK.parent}"
        ray.init(
            address=address or "local",  # never an existing cluster without --ray-address
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        try:
            self.actors = self._start(plan, cpu, workers)
        except BaseException:
            ray.shutdown()
            raise

    def _start(self, plan: Plan, cpu: bool, workers: int | None) -> list[Any]:
        kind, each = ("CPU", plan.threads) if cpu else ("GPU", 1)
        available = int(self.ray.cluster_resources().get(kind, 0))
        workers = workers or max(1, available // each)
        if available < workers * each:
            raise ValueError(
                f"workers: {workers} need {workers * each} {kind}s, Ray has {available}; lower "
                "--workers" + (f" ({each} threads each)." if cpu else ".")
            )
        needs = {"num_cpus": each} if cpu else {"num_gpus": each, "num_cpus": 0}
        remote_studio = self.ray.remote(max_restarts=-1, max_task_retries=RETRIES, **needs)(Studio)
        actors = [remote_studio.remote(plan, cpu) for _ in range(workers)]
        try:
            self.ray.get([actor.__ray_ready__.remote() for actor in actors], timeout=START_SECONDS)
        except self.ray.exceptions.RayError as error:
            raise ValueError(f"workers: a worker could not start: {error}") from error
        return actors

    def fastest_batch(self) -> int:
        return self.ray.get(self.actors[0].fastest_batch.remote())

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        from ray.exceptions import RayError

        # Not ray.util.ActorPool, which cannot say which pair was lost when a worker dies.
        waiting = iter(tasks)
        running = {a.run.remote(t): (a, t) for a, t in zip(self.actors, waiting, strict=False)}
        lost: Counter[Any] = Counter()
        while running:
            (done, *_), _ = self.ray.wait(list(running))
            actor, task = running.pop(done)
            try:
                result = self.ray.get(done)
                lost[actor] = 0
            except RayError as error:
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                result = Result(task.number, (), f"worker lost: {first}", 0.0, "Ray")
                lost[actor] += 1
            # A worker that always dies would otherwise use up all waiting pairs at once.
            for following in islice(waiting, 1 if lost[actor] < MOST_LOST else 0):
                running[actor.run.remote(following)] = actor, following
            yield result


@contextmanager
def start_workers(
    plan: Plan, cpu: bool, workers: int | None, address: str | None
) -> Iterator[Workers]:
    """This process if there is one worker, otherwise Ray's actors, which are stopped afterwards."""
    if workers == 1 and address is None:
        yield ThisProcess(plan, cpu)
        return
    crew = RayWorkers(plan, cpu, workers, address)
    try:
        yield crew
    finally:
        crew.ray.shutdown()
