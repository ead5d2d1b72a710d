"""Against a real tracking server: what is mirrored over HTTP comes back over HTTP, files included, and is there once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import small_job
from workbench.bench import carry_out
from workbench.errors import WorkbenchError
from workbench.store import Store
from workbench.track import mirror_runs

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

SECONDS = 120


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination", str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    running = Server(f"http://127.0.0.1:{port}", process)
    try:
        _wait_until_ready(running, tmp_path / "server.log")
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def test_runs_come_back_from_the_server_and_a_dead_server_is_said(
    server: Server, shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carry_out(small_job(), shared_store)
    assert mirror_runs([run], server.url, experiment="one").added == 1
    again = mirror_runs([run], server.url, experiment="one")
    assert (again.added, again.already_there) == (0, 1)

    client = mlflow.MlflowClient(server.url)
    (entry,) = client.search_runs([client.get_experiment_by_name("one").experiment_id])
    assert entry.info.status == "FINISHED"
    assert entry.data.metrics["artifact_bytes"] == run.get("artifact_bytes").value  # type: ignore[union-attr]
    back = Path(client.download_artifacts(entry.info.run_id, "artifact/model.onnx", str(tmp_path)))
    assert back.read_bytes() == (Path(run.folder) / "artifact" / "model.onnx").read_bytes()

    server.stop()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(WorkbenchError, match="doesn't answer"):
        mirror_runs([run], server.url, experiment="two")
    assert shared_store.get(run.run_id).status == "done"


def _wait_until_ready(server: Server, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])
