"""Rows on an existing Ray cluster: one task each, which executes the notebook in a process of its own on the machine Ray chooses.

The folder of the batch lies where all machines see it under one path: files, resuming and the page are those of a batch on one machine.
A token that the cluster asks for is read by Ray itself, from RAY_AUTH_MODE and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH).
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.batch import _row
from workbench.batch._execution import Execution
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._ray_row import Ended, execute_row
from workbench.errors import InvalidInput, MissingExtra, WorkbenchError
from workbench.launch import _order

MOST_LOSSES = 3  # so often may a row lose its machine before that counts as a failure of the row
AMOUNTS = {"cpu": "CPU", "gpu": "GPU", "memory": "memory"}  # as people write them, as Ray does


@dataclass
class OnRay(Execution):
    """A row that a Ray task executes."""

    task: Any = None
    environment_id: Callable[[Mapping[str, Any]], str] = lambda environment: (
        ""
    )  # keeps an environment, returns its name
    _ended: Ended | None = None
    _exit_code: int | None = None

    def poll(self) -> int | None:
        """Return 0 when the task has returned, 1 when it can't any more; raises WorkbenchError when no row can be executed so."""
        import ray
        from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError, WorkerCrashedError

        lost = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError)
        if self._exit_code is None and ray.wait([self.task], timeout=0)[0]:
            try:
                self._take(ray.get(self.task))
            except ray.exceptions.TaskCancelledError:
                self._exit_code = 1
            except lost as error:
                self.lost, self._exit_code = f"its worker was lost: {_first_line(error)}", 1
            except ray.exceptions.RayError as error:
                raise WorkbenchError(
                    f"the cluster can't execute {self.row.row_id}: {error}",
                    next_move="every machine needs this version of the workbench and of Python",
                ) from None
        return self._exit_code

    def _take(self, said: Ended | list[str]) -> None:
        if isinstance(said, list):
            raise InvalidInput(
                said, next_move="put the notebook and --out where every machine of the cluster sees them"
            )
        self._ended, self._exit_code = said, 0
        self.breach = self.breach or said.breach
        self.peak_bytes, self.start, self.host = said.peak_bytes, said.start, said.host
        self.env_id = self.environment_id(said.environment)

    @property
    def seconds(self) -> float:
        """As the machine counted that executed it, without the wait for a free place."""
        return self._ended.seconds if self._ended else super().seconds

    def look(self) -> None:
        self._read_progress()

    def stop(self, why: str) -> None:
        import ray

        if not self.breach:
            self.breach = ("cancelled", why)
            ray.cancel(self.task)

    def kill(self) -> None:
        import ray

        ray.cancel(self.task, force=True)

    def finish(self) -> dict[str, Any]:
        self._read_progress()
        return self._ended.outcome if self._ended else {}


class Cluster:
    """A connection to a Ray cluster; raises MissingExtra without Ray, InvalidInput when there is no such cluster."""

    def __init__(self, options: Options) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("a batch on a cluster needs ray", next_move="pip install 'workbench[ray]'")
        import ray

        address = options.address or "auto"
        try:
            ray.init(
                address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
                runtime_env=_found_modules(),
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InvalidInput(
                [f"no Ray cluster at {options.address or 'RAY_ADDRESS or on this machine'}: {_first_line(error)}"],
                next_move="`ray start --head` starts one; --address HOST:6379 names another; its token goes into RAY_AUTH_TOKEN",
            ) from None
        try:
            self.asked = {
                "CPU": float(options.threads),
                **{AMOUNTS.get(name, name): each for name, each in options.resources.items()},
            }
            if options.memory_bytes:
                self.asked.setdefault("memory", float(options.memory_bytes))
            self.options = replace(options, jobs=options.jobs or self._num_places(ray.nodes()))
        except BaseException:
            self.close()
            raise

    def _num_places(self, nodes: list[dict[str, Any]]) -> int:
        """Return how many rows fit at once; raises InvalidInput when not one does."""
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        wanted = {name: amount for name, amount in self.asked.items() if amount}
        places = sum(
            min((int(node.get(name, 0) // amount) for name, amount in wanted.items()), default=1) for node in alive
        )
        if not places:
            asked = ", ".join(f"{name}={amount:g}" for name, amount in wanted.items())
            raise InvalidInput(
                [f"no machine of the cluster has {asked}, which one row asks for"],
                next_move="`ray status` says what there is",
            )
        return places

    def start(
        self, row: Row, order: _row.Order, attempt: int, environment_id: Callable[[Mapping[str, Any]], str]
    ) -> OnRay:
        """Hand a row to the cluster; Ray holds it back until its resources are free."""
        import ray

        rest = {name: amount for name, amount in self.asked.items() if name not in AMOUNTS.values()}
        task = ray.remote(execute_row).options(
            num_cpus=self.asked["CPU"], num_gpus=self.asked.get("GPU"), memory=self.asked.get("memory"), resources=rest,
            max_retries=0, name=row.row_id,
        )  # fmt: skip
        return OnRay(
            row, Path(order.draft), self.options, attempt, "Ray", host="",
            task=task.remote(order, row, self.options, attempt), environment_id=environment_id,
        )  # fmt: skip

    def close(self) -> None:
        import ray

        ray.shutdown()


def _found_modules() -> dict[str, Any]:
    """Let workers find the modules that this process finds beside what is installed: the folder is shared anyway."""
    path = _order.environment(1)["PYTHONPATH"]
    return (
        {"env_vars": {"PYTHONPATH": os.path.pathsep.join(os.path.abspath(each) for each in path.split(os.pathsep))}}
        if path
        else {}
    )


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
