"""Start the processes of a job that is spread: `python -m torch.distributed.run` on this host, or on several."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from workbench.launch import _elastic, _host, _order
from workbench.launch._several import Several
from workbench.launch._worker import Worker
from workbench.params import param


class Torchrun(Several):
    """An agent starts the processes, and all of them again from their last checkpoint when one dies.

    With `hosts` > 1 the job waits until as many others have said `workbench join RUN --host N`; the store lies where all see it.
    """

    title = "Several processes, on this machine or more"
    source = "torch.distributed.run (TorchElastic)"

    hosts: int = param(1, help="Machines that work together; the others join by `workbench join`", ge=1, le=1024)
    address: str = param("", help="HOST:PORT of this machine, where the others find it; needed with several hosts")
    interface: str = param("", help="Network interface of this machine towards the others, as in eth0")
    start: Literal["fork", "spawn"] = param(
        "fork",
        help="fork: processes copy what was imported already, where that is safe; spawn: each is a new interpreter",
    )

    @property
    def num_processes(self) -> int:
        return self.hosts * self.nproc

    def why_not(self) -> list[str]:
        host, _, port = self.address.rpartition(":")
        if self.hosts > 1 and not (host and port.isdigit()):
            return [f"launcher torchrun: {self.hosts} hosts need address=HOST:PORT of this one"]
        return []

    def submit(self, draft: Path, store: Path) -> Worker:
        wanted = _order.order(draft, store, self.threads)
        if self.hosts == 1:
            return _elastic.here(wanted, self.nproc, restarts=self.restarts, start=self.start)
        made = _host.Hosts(
            self.hosts, self.nproc, self.address, self.restarts, self.threads, str(store.absolute()), start=self.start
        )
        made.write(draft)
        return _host.First(wanted, self.interface)
