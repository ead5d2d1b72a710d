"""What launchers of several processes have in common: how many there are on a host, and what is done when one dies."""

from __future__ import annotations

from pathlib import Path

from workbench.launch import _host
from workbench.params import param
from workbench.part import Launcher


class Several(Launcher):
    """Processes that join in one job, and go on from its last checkpoint when one of them dies."""

    nproc: int = param(2, help="Processes on each host that join in the job", unit="processes", ge=1, le=1024)
    threads: int = param(1, help="Threads for computing of each process", unit="threads", ge=1, le=1024)
    restarts: int = param(3, help="How often a process may die before the job does", unit="times", ge=0, le=100)
    checkpoint_every: int = param(
        100, help="How often a training writes what it needs to go on; 0 = never", unit="updates", ge=0, le=1_000_000
    )

    @property
    def updates_between_checkpoints(self) -> int:
        return self.checkpoint_every


class OverNodes(Several):
    """An agent on each of a cluster's nodes, which meet on the first one."""

    nodes: int = param(1, help="Nodes (pods) that work together", ge=1, le=1024)
    port: int = param(29500, help="Where they meet on the first one", ge=1024, le=65535)

    @property
    def num_processes(self) -> int:
        return self.nodes * self.nproc

    def note_hosts(self, draft: Path, store: Path) -> None:
        """Write into the draft what each node's agent has to know."""
        made = _host.Hosts(self.nodes, self.nproc, f":{self.port}", self.restarts, self.threads, str(store.absolute()))
        made.write(draft)
