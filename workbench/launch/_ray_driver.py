"""The process that keeps a job going on a Ray cluster: it asks for places, replaces a lost one, and ends all when told to.

It is a driver of the cluster: when it dies, Ray ends what it has started, and the job's processes end with that. Hosts agree
on attempts through the draft (`_host`); where they meet is chosen on the node that Ray gives to the first of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import InvalidInput, RunFailed, WorkbenchError
from workbench.launch import _host, _order, _ray_cluster, _ray_host, _worker

FILE = "ray.json"
SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_TO_END = 20.0  # for processes that were asked to; then Ray ends them


@dataclass(frozen=True)
class Wanted:
    """What is asked of the cluster."""

    address: str
    nodes: int
    nproc: int
    resources: dict[str, float]  # of each agent, named as Ray does
    restarts: int
    threads: int
    store: str
    interface: str


def strategy(num_nodes: int) -> str:
    """Return how Ray shall lay out what belongs together."""
    return "SPREAD" if num_nodes > 1 else "PACK"


class Driver(_worker.Child):
    """The driver as its submitter sees it."""

    def __init__(self, wanted: _order.Order) -> None:
        super().__init__(Path(wanted.draft))
        _order.note_start(wanted, "ray", "on a cluster")
        self._asked_at: float | None = None  # to end; None = it wasn't
        with (self.draft / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, *wanted.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=wanted.environment, cwd=wanted.folder, start_new_session=True,
            )  # fmt: skip

    def send(self, number: int) -> None:
        """Ask it to end, which takes the cluster some seconds; killed before, it would leave no record."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            super().send(signal.SIGTERM)
        elif time.monotonic() - self._asked_at > 2 * SECONDS_TO_END:
            super().send(number)


class _Stopped(Exception):
    """Somebody wants this to end."""


class _Keeping:
    def __init__(self, draft: Path, wanted: Wanted) -> None:
        self.draft, self.wanted, self.stopping = draft, wanted, False
        self.group: Any = None
        self.tasks: dict[Any, int] = {}  # → host

    def go(self) -> int:
        """Keep the job going until it has ended; returns its exit code."""
        self._place()
        hosts = _host.Hosts(
            self.wanted.nodes, self.wanted.nproc, self._meeting_place(), self.wanted.restarts, self.wanted.threads,
            self.wanted.store,
        )  # fmt: skip
        hosts.write(self.draft)
        self.tasks = {self._on(host, _ray_host.take_part, *self._part(host)): host for host in range(self.wanted.nodes)}
        try:
            return self._watch()
        except _Stopped:
            return self._end()

    def _watch(self) -> int:
        import ray

        code = 0
        while self.tasks:
            self._look()
            done, _ = ray.wait(list(self.tasks), timeout=SECONDS_BETWEEN_LOOKS)
            for task in done:
                host = self.tasks.pop(task)
                ended = _outcome(task)
                if ended is None and self.draft.is_dir():
                    self._replace(host)
                else:
                    code = max(code, ended or 0)
        return code

    def _replace(self, host: int) -> None:
        """Let another node take the part of one that is lost: Ray finds the place, if need be when there is one again."""
        _order.note(self.draft, f"host {host} is lost: its part waits for another place in the cluster")
        address = self._meeting_place() if host == 0 else ""
        self.tasks[self._on(host, _ray_host.take_part, *self._part(host, address))] = host

    def _end(self) -> int:
        """Have every host leave, which lets its processes finish the update, and wait for that a while."""
        import ray

        until = time.monotonic() + SECONDS_TO_END
        for task in self.tasks:
            ray.cancel(task)
        if self.tasks:
            ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=max(0.0, until - time.monotonic()))
        return 1

    def _place(self) -> None:
        import ray

        wanted = self.wanted
        if (places := _ray_cluster.num_places(wanted.resources)) < wanted.nodes:
            asked = _ray_cluster.in_words(wanted.resources)
            raise InvalidInput(
                [f"the cluster has {places} places with {asked}, this job needs {wanted.nodes}"],
                next_move="`ray status` says what there is; nodes, nproc, threads and resources say what is asked",
            )
        self.group = ray.util.placement_group([wanted.resources] * wanted.nodes, strategy=strategy(wanted.nodes))
        self._wait_for(self.group.ready())

    def _meeting_place(self) -> str:
        """Return HOST:PORT on the node of the first host; Ray chooses another node where that one dies meanwhile."""
        while True:
            task = self._on(0, _ray_host.meeting_place, num_cpus=0)
            self._wait_for(task)
            if (address := _outcome(task)) is not None:
                return str(address)

    def _wait_for(self, task: Any) -> None:
        import ray

        while not ray.wait([task], timeout=SECONDS_BETWEEN_LOOKS)[0]:
            self._look()

    def _look(self) -> None:
        if self.stopping:
            raise _Stopped
        if self.draft.is_dir():
            os.utime(self.draft)  # whoever looks sees that somebody cares, also before a host has taken it

    def _part(self, host: int, address: str = "") -> tuple[str, int, str, str, int]:
        return str(self.draft), host, self.wanted.interface, address, self.wanted.threads

    def _on(self, host: int, function: Callable[..., Any], *arguments: Any, num_cpus: float | None = None) -> Any:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        where = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=host)
        asked = self.wanted.resources if num_cpus is None else {"CPU": num_cpus}
        name = f"{self.draft.name.removeprefix('.draft-')} host {host}"
        made = _ray_cluster.remote(function, asked, name=name, where=where)
        return made.remote(*arguments)


def _outcome(task: Any) -> Any:
    """Return what a task returned; None when its node or process was lost; raises InvalidInput with a node's reasons."""
    import ray

    try:
        found = ray.get(task)
    except _ray_cluster.losses():
        return None
    except ray.exceptions.TaskCancelledError:
        return 1
    except ray.exceptions.RayError as error:
        raise RunFailed(
            f"the cluster can't take the job: {_ray_cluster.first_line(error)}",
            next_move="every node needs this version of the workbench and of Python",
        ) from None
    if isinstance(found, list):
        raise InvalidInput(found, next_move="put the store where every node of the cluster sees it under the same path")
    return found


def main(arguments: list[str]) -> int:
    """`work DRAFT STORE`: keep the job in the draft going; what can't be done is written into it."""
    draft = Path(arguments[1])
    wanted = Wanted(**orjson.loads((draft / _order.RANKS / FILE).read_bytes()))
    keeping = _Keeping(draft, wanted)
    try:
        _ray_cluster.connect(wanted.address)
        for number in (signal.SIGTERM, signal.SIGINT):  # only now: Ray sets its own when it connects
            signal.signal(number, lambda *_: setattr(keeping, "stopping", True))
        return keeping.go()
    except _Stopped:
        return 1
    except WorkbenchError as error:
        _order.note_first_failure(draft, f"{error.message} ({error.next_move})" if error.next_move else error.message)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
