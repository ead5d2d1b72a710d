"""A package opens, measures and asks in an environment that has what it lists, and comes home as a device of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import call, read
from tests.conftest import small_job
from tests.promises._stranger import CUSTOMS, refused_packages
from workbench import artifact, package, table
from workbench.bench import carry_out
from workbench.compare import Budgets, choose
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run
from workbench.package import device
from workbench.protect import sign
from workbench.store import Store

QUICK = ("--pairs", "6", "--singles", "30", "--restarts", "2")
METRICS = [{"use": "size"}, {"use": "quality"}, {"use": "latency", "pairs": 6, "singles": 30, "restarts": 1}]


@pytest.fixture(scope="module")
def run(shared_store: Store) -> Run:
    return carry_out(small_job(metrics=METRICS), shared_store)


@pytest.fixture(scope="module")
def unpacked(run: Run, keys_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    planned = package.plan(run, keys=keys_folder, name="digits_small")
    with tarfile.open(package.write(planned, folder / "out.tar")) as archive:
        archive.extractall(folder, filter="data")
    assert sorted(file.name for file in planned.files) == sorted(
        path.relative_to(folder / "digits_small").as_posix()
        for path in (folder / "digits_small").rglob("*")
        if path.is_file()
    )
    assert planned.num_bytes == sum(
        path.stat().st_size for path in (folder / "digits_small").rglob("*") if path.is_file()
    )
    return folder / "digits_small"


@pytest.fixture(scope="module")
def result(unpacked: Path) -> Path:
    """Run measure.py as a stranger: nothing importable but what requirements.txt lists and what that needs."""
    done = as_a_stranger(unpacked, "measure.py", *QUICK, "--device", "Board 7", "--out", str(unpacked / "RESULT.json"))
    assert done.returncode == 0, done.stderr
    assert "gap to the recorded output" in done.stdout and "workbench import" in done.stdout
    return unpacked / "RESULT.json"


def as_a_stranger(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    needs = [line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()]
    refused = json.dumps(sorted(refused_packages(tuple(sorted(needs)))))
    ran = f"{CUSTOMS}import runpy\nsys.argv = sys.argv[2:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", ran, refused, str(folder / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd="/")


def test_the_device_comes_home_as_a_run_with_its_own_times(run: Run, result: Path, shared_store: Store) -> None:
    came = device.take_in(shared_store, result)
    assert came.run_id == f"{run.job_id}.board_7-01" and came.status == "done"
    assert came.get("accuracy", split="test") == run.get("accuracy", split="test")
    assert came.get("artifact_bytes") == run.get("artifact_bytes")
    times = json.loads(result.read_text())
    singles = sorted(value for each in times["single_ms"] for value in each)
    assert (
        singles[0] < came.get("latency_ms_p50").value < singles[-1]
        and came.get("latency_ms_p50").n == len(singles) == 30
    )  # type: ignore[union-attr]
    assert came.get("latency_ratio_to_parent") is None, "nothing was measured beside it there"
    assert came.get("latency_ms_p50").conditions["device"] == "Board 7"  # type: ignore[union-attr]
    assert artifact.verify(artifact.read(Path(came.folder) / "artifact")) == []
    assert device.take_in(shared_store, result).run_id == came.run_id, "twice is once"
    assert shared_store.find(run.job_id).run_id == run.run_id, "the job is done here, whatever came from elsewhere"  # type: ignore[union-attr]
    rows = {row["run_id"]: row for row in table.rows([run, came])}
    assert rows[came.run_id]["latency_ms_p50"] != rows[run.run_id]["latency_ms_p50"]


def test_another_machine_s_time_is_not_ranked_with_ours(
    run: Run, result: Path, shared_store: Store, tmp_path: Path
) -> None:
    record = json.loads(result.read_text())
    record["machine"]["cpu"], record["device"] = "Another 3000", "another"
    (tmp_path / "other.json").write_text(json.dumps(record))
    came = device.take_in(shared_store, tmp_path / "other.json")
    why_not = choose([run, came], Budgets(max_latency_ms=1e6)).why_not
    assert any("Another 3000" in str(reasons) for reasons in why_not.values()), why_not


def test_what_was_changed_on_the_way_is_not_measured(unpacked: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "changed"
    shutil.copytree(unpacked, folder)
    with (folder / "artifact" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    done = as_a_stranger(folder, "measure.py", *QUICK)
    assert done.returncode == 1 and "changed since the package was written: model.onnx" in done.stderr


def test_the_artifact_is_signed_and_unchanged(unpacked: Path, run: Run, keys_folder: Path) -> None:
    assert sign.verify(unpacked / "artifact", keys_folder)
    ours = Path(run.folder) / "artifact"
    for path in ours.rglob("*"):
        assert (unpacked / "artifact" / path.relative_to(ours)).read_bytes() == path.read_bytes()
    assert not sign.signature_of(ours).exists(), "the run itself stays as it was"


def test_the_model_card_tells_figures_with_intervals_and_the_commands(unpacked: Path, run: Run) -> None:
    text = (unpacked / "README.md").read_text()
    accuracy = run.get("accuracy", split="test")
    assert accuracy is not None and f"{accuracy.value:.1%}" in text and f"n = {accuracy.n:,}" in text
    for words in ("artifact_bytes", "latency_ms_p50", "python measure.py", "/v2/models/digits_small/infer", run.run_id):
        assert words in text


def test_the_client_asks_with_what_lies_beside_it(unpacked: Path) -> None:
    asked: dict[str, Any] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            asked.update(path=self.path, key=self.headers["Authorization"])
            asked["body"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            logits = [float(index == 7) for index in range(10)]
            content = json.dumps({"outputs": [{"name": "logits", "shape": [1, 10], "data": logits}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = as_a_stranger(unpacked, "client.py", f"http://127.0.0.1:{server.server_port}", "--token", "secret")
    server.shutdown()
    assert done.returncode == 0 and "most probable: 7" in done.stdout, done.stderr
    assert asked["path"] == "/v2/models/digits_small/infer" and asked["key"] == "Bearer secret"
    (given,) = asked["body"]["inputs"]
    assert given["datatype"] == "FP32" and given["shape"][0] == 1


def test_what_can_not_be_packaged_or_taken_in_is_said(run: Run, result: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a–z"):
        package.plan(run, name="Big Model")
    (tmp_path / "there.tar").touch()
    with pytest.raises(InvalidInput, match="exists already"):
        package.write(package.plan(run), tmp_path / "there.tar")
    with pytest.raises(InvalidInput, match="no run"):
        device.take_in(store, result)
    whole = json.loads(result.read_text())
    (tmp_path / "other.json").write_text(json.dumps({**whole, "files": {**whole["files"], "model.onnx": "0" * 64}}))
    with pytest.raises(InvalidInput, match="other files"):
        device.take_in(Store(Path(run.folder).parent), tmp_path / "other.json")
    for change in ({"kind": "x"}, {"single_ms": [[-1]]}, {"machine": "fast"}, {"device": "/"}, {"peak_bytes": []}):
        (tmp_path / "odd.json").write_text(json.dumps({**whole, **change}))
        with pytest.raises(ArtifactError, match="is no result"):
            device.take_in(store, tmp_path / "odd.json")


def test_the_command_says_sizes_first_and_import_takes_the_result(
    run: Run, result: Path, shared_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_STORE", str(shared_store.root))
    monkeypatch.delenv("WORKBENCH_KEYS", raising=False)
    told = read("package", run.run_id, tmp_path / "a.tar", "--plan")
    assert told["file"] is None and not (tmp_path / "a.tar").exists()
    assert told["bytes"] == sum(file["num_bytes"] for file in told["files"])
    assert "artifact/model.onnx" in call("package", run.run_id, tmp_path / "a.tar").stdout
    package.write(package.plan(run), tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes(), "the same run, the same bytes"
    assert read("import", result)["already_there"] == [f"{run.job_id}.board_7-01"]
