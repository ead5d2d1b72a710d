"""Hand a job to Slurm: one sbatch script, an agent on each node, processes under it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from workbench.launch import _host, _order, _polled
from workbench.launch._worker import Worker
from workbench.params import param
from workbench.part import Launcher

SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={cores}
{asked}#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --requeue
# Each node keeps its agent going; after a requeue all go on from the last checkpoint.
export PYTHONPATH={path}
export {meet}="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):{port}"
cd {folder}
srun --kill-on-bad-exit=0 bash -c {command}
"""


class Slurm(Launcher):
    """The store lies on a disk that all nodes see, and the environment of this Python, too."""

    title = "Slurm"
    source = "sbatch and srun; torch.distributed.run on each node"

    nodes: int = param(1, help="Nodes that work together", ge=1, le=1024)
    nproc: int = param(2, help="Processes on each node", unit="processes", ge=1, le=1024)
    threads: int = param(1, help="Threads for computing of each process", unit="threads", ge=1, le=1024)
    time: str = param("", help="Limit, as in 2:00:00; empty = the partition's")
    partition: str = param("", help="Partition; empty = the default one")
    account: str = param("", help="Account; empty = the default one")
    memory: str = param("", help="Of a node, as in 64G; empty = the partition's")
    gpus_per_node: int = param(0, help="Accelerators of each node", ge=0, le=64)
    interface: str = param("", help="Network interface of the nodes towards each other, as in ib0")
    port: int = param(29500, help="Where the nodes meet on the first one", ge=1024, le=65535)
    restarts: int = param(
        3, help="How often a process or node may be lost before the job is", unit="times", ge=0, le=100
    )
    checkpoint_every: int = param(
        100, help="How often a training writes what it needs to go on; 0 = never", unit="updates", ge=0, le=1_000_000
    )

    @property
    def num_processes(self) -> int:
        return self.nodes * self.nproc

    @property
    def updates_between_checkpoints(self) -> int:
        return self.checkpoint_every

    def why_not(self) -> list[str]:
        return _polled.absent("sbatch", self.name())

    def preview(self, draft: Path, store: Path) -> str:
        wanted = _order.order(draft, store, self.threads)
        given = {
            "time": self.time, "partition": self.partition, "account": self.account, "mem": self.memory,
            "gpus-per-node": self.gpus_per_node or "",
        }  # fmt: skip
        words = shlex.join([sys.executable, "-m", _host.__name__, wanted.draft])
        command = f'exec {words} "$SLURM_NODEID" {shlex.quote(self.interface)}'
        return SCRIPT.format(
            name=f"workbench-{draft.name.rpartition('draft-')[2]}", nodes=self.nodes, cores=self.nproc * self.threads,
            asked="".join(f"#SBATCH --{name}={value}\n" for name, value in given.items() if value),
            log=shlex.quote(str(draft / "log.txt")), path=shlex.quote(wanted.environment["PYTHONPATH"]), meet=_host.MEET,
            port=self.port, folder=shlex.quote(wanted.folder), command=shlex.quote(command),
        )  # fmt: skip

    def submit(self, draft: Path, store: Path) -> Worker:
        _host.Hosts(self.nodes, self.nproc, f":{self.port}", self.restarts, self.threads, str(store.absolute())).write(
            draft
        )
        _order.note_start(_order.order(draft, store, self.threads), "slurm", f"{self.nodes} nodes")
        job = _polled.called(["sbatch", "--parsable"], given=self.preview(draft, store)).strip().partition(";")[0]
        ask = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
        return _polled.Polled(
            draft, ask, ["scancel", job], gone=("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY")
        )
