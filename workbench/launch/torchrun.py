"""Start the processes of a job that is spread: `python -m torch.distributed.run` on this host."""

from __future__ import annotations

from pathlib import Path

from workbench.launch import _elastic, _order
from workbench.launch._worker import Worker
from workbench.params import param
from workbench.part import Launcher


class Torchrun(Launcher):
    """An agent starts the processes, and all of them again from their last checkpoint when one dies."""

    title = "Several processes on this machine"
    source = "torch.distributed.run (TorchElastic)"

    nproc: int = param(2, help="Processes that join in the job", unit="processes", ge=1, le=1024)
    threads: int = param(1, help="Threads for computing of each process", unit="threads", ge=1, le=1024)
    restarts: int = param(3, help="How often a process may die before the job does", unit="times", ge=0, le=100)
    checkpoint_every: int = param(
        100, help="How often a training writes what it needs to go on; 0 = never", unit="updates", ge=0, le=1_000_000
    )

    @property
    def num_processes(self) -> int:
        return self.nproc

    @property
    def updates_between_checkpoints(self) -> int:
        return self.checkpoint_every

    def submit(self, draft: Path, store: Path) -> Worker:
        wanted = _order.order(draft, store, self.threads)
        options = ["--standalone", f"--nproc-per-node={self.nproc}", f"--max-restarts={self.restarts}"]
        return _elastic.Elastic(wanted, options)
