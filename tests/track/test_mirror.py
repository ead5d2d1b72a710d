"""What MLflow shows of runs and batches: a real sqlite store, written once however often it is mirrored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))  # folders are crafted as the tests of batches craft them

from batch_folders import crafted

from tests.conftest import small_job
from workbench.batch.views import batch_in
from workbench.bench import carry_out
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Run
from workbench.store import Store
from workbench.track import mirror_batch, mirror_runs, why_not

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of one tracker for all: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def run(shared_store: Store) -> Run:
    return carry_out(small_job(), shared_store)


def entries(database: str, experiment: str) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(database)
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def test_a_run_is_mirrored_once_with_its_file_and_its_numbers(run: Run, database: str) -> None:
    assert mirror_runs([run], database, experiment="one").added == 1
    again = mirror_runs([run], database, experiment="one")
    assert (again.added, again.already_there) == (0, 1)
    (entry,) = entries(database, "one")
    assert entry.data.metrics["artifact_bytes"] == run.get("artifact_bytes").value  # type: ignore[union-attr]
    assert entry.data.params["model"] == "lenet_300_100 hidden_1=16 hidden_2=8" and entry.info.status == "FINISHED"
    place = Path(entry.info.artifact_uri.removeprefix("file://"))
    assert (place / "run.json").is_file() and (place / "artifact" / "model.onnx").is_file()


def test_a_batch_is_an_experiment_and_its_runs_hang_below_their_rows(run: Run, database: str, tmp_path: Path) -> None:
    made = [
        {"run_id": run.run_id, "store": str(Path(run.folder).parent)},
        {"run_id": "deleted-01", "store": str(tmp_path)},
    ]
    batch = batch_in(crafted(tmp_path, 2, failing=1, runs=made).path)
    assert mirror_batch(batch, database).added == 3
    found = {entry.info.run_name: entry for entry in entries(database, "work")}
    failed, passed = (found[view.row_id] for view in batch.rows)
    assert (failed.info.status, passed.info.status) == ("FAILED", "FINISHED")
    assert failed.data.tags["workbench.error"].startswith("no <b>file") and passed.data.metrics["accuracy"] == 0.51
    assert found[run.run_id].data.tags["mlflow.parentRunId"] == failed.info.run_id  # the first row that made it
    assert mirror_batch(batch, database).added == 0


def test_what_is_no_tracker_is_refused_before_anything_runs(tmp_path: Path) -> None:
    assert why_not("file:///tmp/mlruns") and not why_not("http://localhost:5000")
    with pytest.raises(InvalidInput, match="must begin with sqlite"):
        mirror_runs([], "mlruns")
    words = ("run", "--model", "lenet_5", "--data", "digits", "--store", tmp_path / "runs", "--track", "mlruns")
    done = subprocess.run([sys.executable, "-m", "workbench.cli", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 2 and "is no tracker" in done.stderr and not (tmp_path / "runs").exists()


def test_a_tracker_that_does_not_answer_is_said_and_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(WorkbenchError, match="doesn't answer") as caught:
        mirror_runs([run], "http://127.0.0.1:9")
    assert "workbench track" in caught.value.next_move
