"""Hand a job to a Ray cluster that is there already: one process as a task, several as an agent on each of its nodes."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from workbench.launch import _order, _ray_cluster, _ray_driver, _ray_task
from workbench.launch._several import Several
from workbench.launch._worker import Worker
from workbench.params import param


class Ray(Several):
    """Ray chooses the machines and keeps their cores. A lost one is replaced: finished steps are kept, trainings go on from
    the last checkpoint.

    The store lies on a disk that every machine sees under the same path. A token of the cluster is read from RAY_AUTH_TOKEN.
    """

    title = "Ray cluster"
    source = "Ray tasks and placement groups; torch.distributed.run on each node"
    requires = ("ray",)
    extra = "ray"

    address: str = param("", help="HOST:PORT of the cluster; empty = RAY_ADDRESS, or the one on this machine")
    nodes: int = param(
        1, help="Agents that work together, each on a node of its own where there are enough", ge=1, le=1024
    )
    nproc: int = param(1, help="Processes under each agent that join in the job", unit="processes", ge=1, le=1024)
    resources: dict[str, float] = param(
        {}, help="What else each agent asks for, by name: gpu, memory (bytes), your own; cores are nproc × threads"
    )
    interface: str = param("", help="Network interface of the nodes towards each other, as in eth0")

    @property
    def num_processes(self) -> int:
        return self.nodes * self.nproc

    def why_not(self) -> list[str]:
        reasons = _ray_cluster.address_problems(self.address, "launcher ray")
        return reasons + [
            f"launcher ray: {name}={each:g} is less than 0" for name, each in self.resources.items() if each < 0
        ]

    def num_places(self) -> int | None:
        _ray_cluster.connect(self.address)
        return max(1, _ray_cluster.num_places(self._asked()) // self.nodes)

    def preview(self, draft: Path, store: Path) -> str:
        asked = ", ".join(f"{name}={amount:.3g}" for name, amount in self._asked().items())
        if self.num_processes == 1:
            return f"one task ({asked})\n"
        each = "node" if self.nodes == 1 else "node of its own where there are enough"
        strategy = _ray_driver.strategy(self.nodes)
        return f"placement group {strategy}: {self.nodes} × ({asked}), each on a {each}, with {self.nproc} processes\n"

    def submit(self, draft: Path, store: Path) -> Worker:
        wanted, asked = _order.order(draft, store, self.threads), self._asked()
        if self.num_processes == 1:
            _ray_cluster.connect(self.address)
            _ray_cluster.num_places(asked)
            sent = _ray_task.Sent(str(draft.absolute()), str(store.absolute()), self.threads, os.getcwd())
            return _ray_task.OnRay(sent, asked, self.restarts)
        (draft / _order.RANKS).mkdir(exist_ok=True)
        told = _ray_driver.Wanted(
            self.address, self.nodes, self.nproc, asked, self.restarts, self.threads, str(store.absolute()), self.interface
        )  # fmt: skip
        (draft / _order.RANKS / _ray_driver.FILE).write_bytes(orjson.dumps(told))
        return _ray_driver.Driver(wanted)

    def _asked(self) -> dict[str, float]:
        return _ray_cluster.asked(self.nproc * self.threads, self.resources)
