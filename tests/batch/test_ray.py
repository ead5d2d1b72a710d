"""Rows on a Ray cluster of two nodes that asks for a token: same files, same resuming, a lost machine is no lost row."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_notebooks import called, command, processes_of, written

from workbench.batch import _row
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._ray_row import execute_row
from workbench.errors import InvalidInput

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`"),
]
PARAMETERS = "seed: int = 0"
# The first attempt of a row waits until the test lets it go on.
WAITING = """
import os, time
from pathlib import Path
with Path(f"tried-{seed}").open("a") as file:
    file.write("x")
while len(Path(f"tried-{seed}").read_text()) == 1 and not Path("go-on").exists():
    time.sleep(0.02)
"""
RECORDED = "from workbench.batch import record; record('twice', 2 * seed)"
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
def node(address):
    return {"num_cpus": 1, "node_ip_address": address, "include_dashboard": False, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args=node("127.0.0.2"))  # stays on the loopback; 127.0.0.1 would not
second = cluster.add_node(**node("127.0.0.3"))
print(cluster.address, flush=True)
for word in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


class Two:
    """A cluster with one core on each of two nodes, which asks for a token."""

    def __init__(self) -> None:
        self.environment = {**os.environ, **SECRETS, **PATIENCE}
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=self.environment,
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

    def run(self, *words: Any, **changes: str) -> subprocess.Popen[str]:
        """Start `workbench batch run …` on this cluster."""
        return subprocess.Popen(
            command("run", *words, "--executor", "ray", "--address", self.address), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=self.environment | changes,
        )  # fmt: skip

    def end(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    made = Two()
    yield made
    made.end()


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def tried(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("tried-*"))


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(out.glob("rows/*/record.json"))]


def test_limits_hold_on_the_machine_that_executes(two: Two, tmp_path: Path) -> None:
    notebook, out = written(tmp_path, WAITING, parameters=PARAMETERS), tmp_path / "out"
    runner = two.run(notebook, "-p", "seed=1", "--out", out, "--timeout", "4s")
    _, said = runner.communicate()
    (record,) = records(out)
    assert runner.returncode == 1 and record["status"] == "timeout" and record["error"]["cell"] == 3, said
    assert record["peak_mb"] > 10 and record["env_id"] in json.loads((out / "env.json").read_bytes())


def test_a_stopped_batch_goes_on_and_leaves_nothing_running(two: Two, tmp_path: Path) -> None:
    notebook, out = written(tmp_path, WAITING, parameters=PARAMETERS), tmp_path / "out"
    words = (notebook, "-p", "seed=1..3", "--out", out)
    runner = two.run(*words)
    wait_for(lambda: len(tried(tmp_path)) == 2)
    assert called("stop", out, "--now").returncode == 0
    _, said = runner.communicate(timeout=60)
    assert runner.returncode == 5 and f"--executor ray --address {two.address}" in said, said
    assert [each["status"] for each in records(out)] == ["cancelled"] * 2 and not processes_of(out)

    for name in tried(tmp_path):
        (tmp_path / name).unlink()
    killed = two.run(*words)
    wait_for(lambda: len(tried(tmp_path)) == 2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_for(lambda: not processes_of(out))

    (tmp_path / "go-on").touch()
    done = two.run("--resume", "--out", out)
    _, said = done.communicate()
    assert done.returncode == 0 and [each["status"] for each in records(out)] == ["passed"] * 3, said


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (("--resources", "gpu=3"), {}, "no machine of the cluster has CPU=1, GPU=3"),
        (("--resources", "gpu"), {}, "write it as in gpu=1"),
        ((), {"RAY_AUTH_TOKEN": "f" * 64}, "no Ray cluster at"),
    ],
)
def test_what_can_not_be_is_said_before_any_row(
    two: Two, tmp_path: Path, words: Any, changes: dict[str, str], said: str
) -> None:
    notebook = written(tmp_path, WAITING, parameters=PARAMETERS)
    runner = two.run(notebook, "--out", tmp_path / "out", *words, **changes)
    _, told = runner.communicate()
    assert runner.returncode == 2 and said in told, told
    assert not tried(tmp_path)


def test_a_batch_ends_although_a_node_is_killed_in_the_middle(two: Two, tmp_path: Path) -> None:
    notebook, out = written(tmp_path, WAITING, RECORDED, parameters=PARAMETERS), tmp_path / "out"
    runner = two.run(notebook, "-p", "seed=1..4", "--out", out)
    wait_for(lambda: len(tried(tmp_path)) == 2)  # one row on each node
    two.kill_the_second()
    wait_for(lambda: "a lost machine" in (out / "manifest.jsonl").read_text())
    (tmp_path / "go-on").touch()
    _, said = runner.communicate(timeout=120)
    assert runner.returncode == 0, said
    assert [each["status"] for each in records(out)] == ["passed"] * 4
    assert all(each["metrics"]["twice"]["value"] == 2 * each["params"]["seed"] for each in records(out))
    assert sorted(len(each["attempts"]) for each in records(out)) == [1, 1, 1, 2]
    first = next(each["attempts"][0] for each in records(out) if len(each["attempts"]) == 2)
    assert first["status"] == "error" and "worker was lost" in first["message"]
    assert not processes_of(out)
    again = two.run(notebook, "-p", "seed=1..4", "--out", out)
    assert "0 rows to do, 4 done" in again.communicate()[1] and again.returncode == 0


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    order = _row.Order("/nowhere/work.ipynb", str(tmp_path), {}, 1, str(tmp_path))
    (missing,) = execute_row(order, Row("a", {}, {}), Options(), 1)  # type: ignore[misc]
    assert missing.startswith("/nowhere/work.ipynb isn't there on ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(executor="rai"), "did you mean 'ray'"),
        (Options(address="a:1"), "--address is for --executor ray only"),
        (Options(executor="ray", address="ray://a:1"), "as in HOST:6379"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        options.settled()
