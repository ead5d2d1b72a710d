"""Hand a job to Slurm: one sbatch script, an agent on each node, processes under it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from workbench.launch import _host, _order, _polled
from workbench.launch._several import OverNodes
from workbench.launch._worker import Worker
from workbench.params import param

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


class Slurm(OverNodes):
    """The store lies on a disk that all nodes see, and the environment of this Python, too."""

    title = "Slurm"
    source = "sbatch and srun; torch.distributed.run on each node"

    time: str = param("", help="Limit, as in 2:00:00; empty = the partition's")
    partition: str = param("", help="Partition; empty = the default one")
    account: str = param("", help="Account; empty = the default one")
    memory: str = param("", help="Of a node, as in 64G; empty = the partition's")
    gpus_per_node: int = param(0, help="Accelerators of each node", ge=0, le=64)
    interface: str = param("", help="Network interface of the nodes towards each other, as in ib0")

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
        self.note_hosts(draft, store)
        _order.note_start(_order.order(draft, store, self.threads), "slurm", f"{self.nodes} nodes")
        job = _polled.called(["sbatch", "--parsable"], given=self.preview(draft, store)).strip().partition(";")[0]
        ask = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
        return _polled.Polled(
            draft, ask, ["scancel", job], gone=("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY")
        )
