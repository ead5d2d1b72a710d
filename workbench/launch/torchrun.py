"""Start the processes of a job that is spread: `python -m torch.distributed.run` on this host, or on several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

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
        if self.hosts > 1:
            return _first_host(self, wanted, store)
        options = ["--standalone", f"--nproc-per-node={self.nproc}", f"--max-restarts={self.restarts}"]
        return _elastic.Elastic(wanted, options)


class _FirstHost(_elastic.Elastic):
    """This host's part of a job over several."""

    def words(self, wanted: _order.Order, options: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", _host.__name__, wanted.draft, "0", *options]


def _first_host(launcher: Torchrun, wanted: _order.Order, store: Path) -> Worker:
    made = _host.Hosts(
        launcher.hosts, launcher.nproc, launcher.address, launcher.restarts, launcher.threads, str(store.absolute())
    )
    made.write(Path(wanted.draft))
    return _FirstHost(wanted, [launcher.interface])
