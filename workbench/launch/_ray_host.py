"""What runs inside Ray's tasks: one host's part in a job, as a process that ends with the task."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time

from workbench.launch import _bound, _host, _order, _ray_cluster

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 15.0


def meeting_place() -> str:
    """Return HOST:PORT of this node, a port that is free now."""
    import ray

    address = ray.util.get_node_ip_address()
    with socket.socket() as free:
        free.bind((address, 0))
        return f"{address}:{free.getsockname()[1]}"


def take_part(draft: str, host: int, interface: str, address: str, threads: int) -> int | list[str]:
    """Keep this host's agent going to the end; returns its exit code, or why this node can't.

    `ray.cancel` arrives here as KeyboardInterrupt: the agent is then asked to end.
    """
    _ray_cluster.hear_cancel()
    if missing := _ray_cluster.unseen(draft):
        return missing
    words = [sys.executable, "-m", _host.__name__, draft, str(host), interface, address]
    environment = {**_order.environment(threads), **_bound.to_this()}
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        while process.poll() is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
    return process.wait()
