"""Who measures: this process alone, or Ray's actors, each with a ComfyUI and a GPU of its own.

Ray distributes pairs, restarts workers that die and reaches other machines. What a pair's numbers
are does not depend on that: batch and threads are in the plan, and no pair knows of another.
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

RETRIES = 1  # of a pair whose worker died; the worker itself is always started again
MOST_LOST = 2  # pairs in a row that cost a worker its life; then it gets no more
START_SECONDS = 900  # for all workers to load ComfyUI and the checkpoint


class Crew(Protocol):
    """Workers that are ready."""

    def fastest_batch(self) -> int:
        """What a worker of this kind renders fastest."""
        ...

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Results in the order in which they are done."""
        ...


class Alone:
    """This process."""

    def __init__(self, plan: Plan, cpu: bool) -> None:
        self.studio = Studio(plan, cpu)

    def fastest_batch(self) -> int:
        return self.studio.fastest_batch()

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        return map(self.studio.run, tasks)


class Many:
    """Ray's actors. Raises ValueError where Ray is missing or has too little for them."""

    def __init__(self, plan: Plan, cpu: bool, workers: int | None, address: str | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise ValueError(
                f"workers: {workers or 'those of a cluster'} need Ray, which is not installed; "
                "install it (pip install ray), or give --workers 1."
            ) from error
        self.ray: Any = ray
        # Every machine of a cluster has the project, set up, in the same place.
        path = f"{ROOT}:{PACK.parent}"
        ray.init(
            address=address or "local",  # never a cluster that was not asked for
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
        there = int(self.ray.cluster_resources().get(kind, 0))
        workers = workers or max(1, there // each)
        if there < workers * each:
            raise ValueError(
                f"workers: {workers} need {workers * each} {kind}s, Ray has {there}; lower "
                "--workers" + (f" ({each} threads each)." if cpu else ".")
            )
        needs = {"num_cpus": each} if cpu else {"num_gpus": each, "num_cpus": 0}
        actor = self.ray.remote(max_restarts=-1, max_task_retries=RETRIES, **needs)(Studio)
        actors = [actor.remote(plan, cpu) for _ in range(workers)]
        try:
            self.ray.get([one.__ray_ready__.remote() for one in actors], timeout=START_SECONDS)
        except self.ray.exceptions.RayError as error:
            raise ValueError(f"workers: a worker could not start: {error}") from error
        return actors

    def fastest_batch(self) -> int:
        return self.ray.get(self.actors[0].fastest_batch.remote())

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        from ray.exceptions import RayError

        # Not ray.util.ActorPool, which can't say whose pair it was when a worker dies.
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
            # One that died for good would be through with all that waits in a moment.
            for following in islice(waiting, 1 if lost[actor] < MOST_LOST else 0):
                running[actor.run.remote(following)] = actor, following
            yield result


@contextmanager
def crew(plan: Plan, cpu: bool, workers: int | None, address: str | None) -> Iterator[Crew]:
    """This process for one worker, else Ray's actors, gone afterwards."""
    if workers == 1 and address is None:
        yield Alone(plan, cpu)
        return
    many = Many(plan, cpu, workers, address)
    try:
        yield many
    finally:
        many.ray.shutdown()
