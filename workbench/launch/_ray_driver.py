"""The process that keeps a job going on a Ray cluster: it asks for places, replaces a lost one, and ends all when told to.

It is a driver of the cluster: when it dies, Ray ends what it has started, and the job's processes end with that. Hosts agree
on attempts through the draft (`_host`); where they meet is chosen on the node that Ray gives to the first of them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import InvalidInput, MissingExtra, RunFailed, WorkbenchError
from workbench.launch import _host, _order, _ray_host, _worker

FILE = "ray.json"
SECONDS_BETWEEN_LOOKS = 0.3
SECONDS_TO_END = 20.0  # for processes that were asked to; then Ray ends them
UNITS = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}


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

    @property
    def strategy(self) -> str:
        return "SPREAD" if self.nodes > 1 else "PACK"


def num_bytes(text: str) -> float | None:
    """Return the bytes that `64G` or `512M` says; None when it says none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text.strip().upper())
    return float(found[1]) * UNITS[found[2]] if found else None


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

        bundles = [dict(self.wanted.resources)] * self.wanted.nodes
        _check_room(self.wanted, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        self.group = ray.util.placement_group(bundles, strategy=self.wanted.strategy)
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
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        asked = self.wanted.resources if num_cpus is None else {"CPU": num_cpus}
        strategy = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=host)
        made = ray.remote(function).options(
            num_cpus=asked["CPU"], num_gpus=asked.get("GPU", 0), memory=asked.get("memory"), max_retries=0,
            scheduling_strategy=strategy, name=f"{self.draft.name.removeprefix('.draft-')} host {host}",
        )  # fmt: skip
        return made.remote(*arguments)


def _outcome(task: Any) -> Any:
    """Return what a task returned; None when its node or process was lost; raises InvalidInput with a node's reasons."""
    import ray
    from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError, WorkerCrashedError

    try:
        found = ray.get(task)
    except (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError, RaySystemError):
        return None
    except ray.exceptions.TaskCancelledError:
        return 1
    except ray.exceptions.RayError as error:
        raise RunFailed(
            f"the cluster can't take the job: {_first_line(error)}",
            next_move="every node needs this version of the workbench and of Python",
        ) from None
    if isinstance(found, list):
        raise InvalidInput(found, next_move="put the store where every node of the cluster sees it under the same path")
    return found


def _check_room(wanted: Wanted, nodes: list[dict[str, float]]) -> None:
    """Raise InvalidInput where the cluster, empty, would not have so many places."""
    places = sum(
        int(min(node.get(name, 0.0) // amount for name, amount in wanted.resources.items() if amount)) for node in nodes
    )
    if places < wanted.nodes:
        asked = ", ".join(f"{name}={amount:g}" for name, amount in wanted.resources.items())
        raise InvalidInput(
            [f"the cluster has {places} places with {asked}, this job needs {wanted.nodes}"],
            next_move="`ray status` says what there is; nodes, nproc, threads and gpus say what is asked",
        )


def _connect(address: str) -> None:
    """Join the cluster; raises MissingExtra without Ray, InvalidInput when there is none."""
    import importlib.util
    import logging

    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("a job on a cluster needs ray", next_move="pip install 'workbench[ray]'")
    import ray

    found = {"env_vars": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}}
    quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
    try:
        ray.init(address or "auto", runtime_env=found, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InvalidInput(
            [f"no Ray cluster at {address or 'RAY_ADDRESS or on this machine'}: {_first_line(error)}"],
            next_move="`ray start --head` starts one; address=HOST:6379 names another; its token goes into RAY_AUTH_TOKEN",
        ) from None


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def main(arguments: list[str]) -> int:
    """`work DRAFT STORE`: keep the job in the draft going; what can't be done is written into it."""
    draft = Path(arguments[1])
    wanted = Wanted(**orjson.loads((draft / _order.RANKS / FILE).read_bytes()))
    keeping = _Keeping(draft, wanted)
    try:
        _connect(wanted.address)
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
