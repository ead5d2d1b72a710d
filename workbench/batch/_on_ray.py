"""Rows on an existing Ray cluster: one task each, which executes the notebook in a process of its own on the machine Ray chooses.

The folder of the batch lies where all machines see it under one path: files, resuming and the page are those of a batch on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.batch import _row
from workbench.batch._execution import Execution
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._ray_row import Ended, execute_row
from workbench.errors import InvalidInput, WorkbenchError
from workbench.launch import _ray_cluster

SECONDS_TO_HEED, MOST_ASKED = 25.0, 2  # a row in its last cell is interrupted, asked to end, and killed in 15 seconds


@dataclass
class OnRay(Execution):
    """A row that a Ray task executes."""

    task: Any = None
    environment_id: Callable[[Mapping[str, Any]], str] = lambda environment: (
        ""
    )  # keeps an environment, returns its name
    _ended: Ended | None = None
    _exit_code: int | None = None
    _asked: int = 0  # so often to stop
    _asked_at: float = 0.0

    def poll(self) -> int | None:
        """Return 0 when the task has returned, 1 when it can't any more; raises WorkbenchError when no row can be executed so."""
        import ray

        if self._exit_code is None and ray.wait([self.task], timeout=0)[0]:
            try:
                self._take(ray.get(self.task))
            except ray.exceptions.TaskCancelledError:
                self._exit_code = 1
            except _ray_cluster.losses() as error:
                self.lost, self._exit_code = f"its worker was lost: {_ray_cluster.first_line(error)}", 1
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
        if self._asked and self._exit_code is None and time.monotonic() - self._asked_at > SECONDS_TO_HEED:
            self._ask()

    def stop(self, why: str) -> None:
        if not self.breach:
            self.breach = ("cancelled", why)
            self._ask()

    def _ask(self) -> None:
        """Ask the task to stop. Python may lose the interrupt that this becomes (in a destructor): it is asked again, then ended."""
        import ray

        ray.cancel(self.task, force=self._asked >= MOST_ASKED)
        self._asked, self._asked_at = self._asked + 1, time.monotonic()

    def kill(self) -> None:
        import ray

        ray.cancel(self.task, force=True)

    def finish(self) -> dict[str, Any]:
        self._read_progress()
        return self._ended.outcome if self._ended else {}


class Cluster:
    """A connection to a Ray cluster; raises MissingExtra without Ray, InvalidInput when there is no such cluster."""

    def __init__(self, options: Options) -> None:
        _ray_cluster.connect(options.address)
        try:
            self.asked = _ray_cluster.asked(options.threads, options.resources)
            if options.memory_bytes:
                self.asked.setdefault("memory", float(options.memory_bytes))
            places = _ray_cluster.num_places(self.asked)
            self.options = replace(options, jobs=options.jobs or places)
        except BaseException:
            self.close()
            raise

    def start(
        self, row: Row, order: _row.Order, attempt: int, environment_id: Callable[[Mapping[str, Any]], str]
    ) -> OnRay:
        """Hand a row to the cluster; Ray holds it back until its resources are free."""
        task = _ray_cluster.remote(execute_row, self.asked, name=row.row_id)
        return OnRay(
            row, Path(order.draft), self.options, attempt, "Ray", host="",
            task=task.remote(order, row, self.options, attempt), environment_id=environment_id,
        )  # fmt: skip

    def close(self) -> None:
        _ray_cluster.close()
