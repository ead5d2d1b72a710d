"""Hand a job to a Ray cluster that is there: an agent on each of its nodes, processes under it."""

from __future__ import annotations

from pathlib import Path

import orjson

from workbench.launch import _order, _ray_driver
from workbench.launch._several import Several
from workbench.launch._worker import Worker
from workbench.params import param


class Ray(Several):
    """Ray chooses the nodes and keeps their cores; one that is lost is replaced, and all go on from the last checkpoint.

    The store lies on a disk that every node sees under the same path. A token of the cluster is read from RAY_AUTH_TOKEN.
    """

    title = "Ray cluster"
    source = "Ray placement groups; torch.distributed.run on each node"
    requires = ("ray",)
    extra = "ray"

    address: str = param("", help="HOST:PORT of the cluster; empty = RAY_ADDRESS, or one on this machine")
    nodes: int = param(
        1, help="Agents that work together, each on a node of its own where there are enough", ge=1, le=1024
    )
    gpus: int = param(0, help="Accelerators for each agent", ge=0, le=64)
    memory: str = param("", help="Memory to keep for each agent, as in 64G; empty = none is kept")
    interface: str = param("", help="Network interface of the nodes towards each other, as in eth0")

    @property
    def num_processes(self) -> int:
        return self.nodes * self.nproc

    def why_not(self) -> list[str]:
        reasons = []
        if self.address.startswith("ray://"):
            reasons.append(f"launcher ray: address={self.address} is Ray's client, write it as in HOST:6379")
        if self.memory and _ray_driver.num_bytes(self.memory) is None:
            reasons.append(f"launcher ray: memory={self.memory} is no amount, write it as in 64G")
        return reasons

    def preview(self, draft: Path, store: Path) -> str:
        asked = ", ".join(f"{name}={amount:.3g}" for name, amount in self._wanted(store).resources.items())
        each = "node" if self.nodes == 1 else "node of its own where there are enough"
        return f"placement group {self._wanted(store).strategy}: {self.nodes} × ({asked}), each on a {each}, with {self.nproc} processes\n"

    def submit(self, draft: Path, store: Path) -> Worker:
        wanted = _order.order(draft, store, self.threads)
        (draft / _order.RANKS).mkdir(exist_ok=True)
        (draft / _order.RANKS / _ray_driver.FILE).write_bytes(orjson.dumps(self._wanted(store)))
        return _ray_driver.Driver(wanted)

    def _wanted(self, store: Path) -> _ray_driver.Wanted:
        resources = {"CPU": float(self.nproc * self.threads)}
        resources |= {"GPU": float(self.gpus)} if self.gpus else {}
        resources |= {"memory": _ray_driver.num_bytes(self.memory) or 0.0} if self.memory else {}
        return _ray_driver.Wanted(
            self.address, self.nodes, self.nproc, resources, self.restarts, self.threads, str(store.absolute()), self.interface
        )  # fmt: skip
