"""A Ray cluster of two nodes on this machine that asks for a token, and commands that are carried out on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
PATIENCE = {
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # none of them would have what a row's worker needs
}

# Ray reads its settings when it is imported: the cluster has a process of its own, which answers each word with a line.
# Each node has room for one row of a batch and one job of a study.
HOLDER = """
import sys
from ray.cluster_utils import Cluster
def node(address):
    return {"num_cpus": 2, "resources": {"row": 1, "job": 1}, "node_ip_address": address, "include_dashboard": False,
            "include_log_monitor": False, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args={**node("127.0.0.2"), "no_monitor": True})  # 127.0.0.1 would leave the loopback
second = cluster.add_node(**node("127.0.0.3"))
print(cluster.address, flush=True)
for word in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


class TwoNodes:
    """The cluster, in a process of its own."""

    def __init__(self) -> None:
        self.environment = {**os.environ, **TOKEN, **PATIENCE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=self.environment, preexec_fn=_hear_nothing,
        )  # fmt: skip
        self.address = self._answer()

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def kill_the_second(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self._answer() == "killed"

    def start(self, *words: Any, **changes: str) -> subprocess.Popen[str]:
        """Start `workbench WORDS --executor ray --address …`."""
        return subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", *map(str, words), "--executor", "ray", "--address", self.address],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment | changes, preexec_fn=_hear_ctrl_c,
        )  # fmt: skip

    def end(self) -> None:
        self.process.communicate(timeout=60)


def workers_of(store: Path) -> list[int]:
    """Return the processes that carry out jobs in a store."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"work" in words and str(store).encode() in words:
            found.append(int(entry.name))
    return found


def _hear_ctrl_c() -> None:
    """Undo an ignored SIGINT, which every process started in the background of a script inherits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _hear_nothing() -> None:
    """Start a cluster as a script does in its background: its tasks are cancelled all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
