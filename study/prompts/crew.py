"""Who measures: this process alone, or Ray's actors, each with a ComfyUI and a GPU of its own.

Ray distributes pairs, restarts workers that die and reaches other machines. What a pair's numbers
are does not depend on that: batch and threads are in the plan, and no pair knows of another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from demo.environment import PACK, ROOT

from .plan import Plan
from .store import Result
from .studio import Studio, Task

RESTARTS = 3  # of a worker that died


class Crew(Protocol):
    """Workers that are ready."""

    def fastest_batch(self) -> int:
        """What a worker of this kind renders fastest."""
        ...

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Results in the order in which they are done; those of lost workers are missing."""
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

    def __init__(self, plan: Plan, cpu: bool, workers: int, address: str | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise ValueError(
                f"workers: {workers} need Ray, which is not installed; install it (pip install ray), or give "
                "--workers 1."
            ) from error
        self.ray: Any = ray
        # Every machine of a cluster has the project, set up, in the same place.
        path = f"{ROOT}:{PACK.parent}"
        ray.init(
            address=address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        self._check(workers, "CPU" if cpu else "GPU", plan.threads if cpu else 1)
        needs: dict[str, Any] = {"num_cpus": plan.threads} if cpu else {"num_gpus": 1}
        actor = self.ray.remote(max_restarts=RESTARTS, **needs)(Studio)
        self.actors = [actor.remote(plan, cpu) for _ in range(workers)]

    def _check(self, workers: int, kind: str, each: int) -> None:
        there = int(self.ray.cluster_resources().get(kind, 0))
        if there < workers * each:
            raise ValueError(
                f"workers: {workers} need {workers * each} {kind}s, Ray has {there}; lower "
                "--workers" + (" or --threads." if kind == "CPU" else ".")
            )

    def fastest_batch(self) -> int:
        return self.ray.get(self.actors[0].fastest_batch.remote())

    def results(self, tasks: Sequence[Task]) -> Iterator[Result]:
        from ray.exceptions import RayError
        from ray.util import ActorPool

        pool: Any = ActorPool(self.actors)
        for task in tasks:
            pool.submit(lambda actor, one: actor.run.remote(one), task)
        while pool.has_next():
            try:
                yield pool.get_next_unordered()
            except RayError as error:
                logging.getLogger(__name__).warning("a worker was lost: %s", error)


@contextmanager
def crew(plan: Plan, cpu: bool, workers: int, address: str | None) -> Iterator[Crew]:
    """This process for one worker, else Ray's actors, gone afterwards."""
    if workers == 1 and address is None:
        yield Alone(plan, cpu)
        return
    many = Many(plan, cpu, workers, address)
    try:
        yield many
    finally:
        many.ray.shutdown()
