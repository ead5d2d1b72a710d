"""A real Ray cluster of two nodes on the loopback, which asks for a token, and one of which can be killed."""

from __future__ import annotations

import os
import subprocess
import sys

SECRETS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
PATIENCE = {
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_USAGE_STATS_ENABLED": "0",
}

# Ray reads its settings when it is imported: the cluster has a process of its own, which answers each word with a line.
HOLDER = """
import sys
from ray.cluster_utils import Cluster
cores = int(sys.argv[1])
def node(address):
    return {"num_cpus": cores, "node_ip_address": address, "include_dashboard": False, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args=node("127.0.0.2"))  # stays on the loopback; 127.0.0.1 would not
second = cluster.add_node(**node("127.0.0.3"))
print(cluster.address, flush=True)
for word in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


class TwoNodes:
    """A cluster with some cores on each of two nodes; `environment` is what its drivers need."""

    def __init__(self, cores: int = 1) -> None:
        self.environment = {**os.environ, **SECRETS, **PATIENCE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(cores)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=self.environment,
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

    def end(self) -> None:
        self.process.communicate(timeout=60)
