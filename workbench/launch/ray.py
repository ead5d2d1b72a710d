"""Hand a job to a Ray cluster that is there already: one task, on the machine that has what it asks for."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.launch import _ray_cluster, _ray_task
from workbench.launch._worker import Worker
from workbench.params import param
from workbench.part import Launcher


class Ray(Launcher):
    """The store lies where all machines see it under one path. A job whose machine is lost is handed in again."""

    title = "Ray cluster"
    source = "ray.remote: one task per job"
    requires = ("ray",)
    extra = "ray"

    address: str = param("", help="HOST:PORT of the cluster; empty = RAY_ADDRESS, or the one on this machine")
    threads: int = param(1, help="Threads for computing, and cores that it asks for", unit="threads", ge=1, le=1024)
    resources: dict[str, float] = param(
        {}, help="What else it asks the cluster for, by name: gpu, memory (bytes), your own"
    )

    def why_not(self) -> list[str]:
        reasons = _ray_cluster.address_problems(self.address, "launcher ray")
        return reasons + [
            f"launcher ray: {name}={each:g} is less than 0" for name, each in self.resources.items() if each < 0
        ]

    def num_places(self) -> int | None:
        _ray_cluster.connect(self.address)
        return _ray_cluster.num_places(_ray_cluster.asked(self.threads, self.resources))

    def submit(self, draft: Path, store: Path) -> Worker:
        _ray_cluster.connect(self.address)
        wanted = _ray_cluster.asked(self.threads, self.resources)
        _ray_cluster.num_places(wanted)
        sent = _ray_task.Sent(str(draft.absolute()), str(store.absolute()), self.threads, os.getcwd())
        return _ray_task.OnRay(sent, wanted)
