"""What is handed to Slurm and Kubernetes, word for word, and how their answers are followed; their commands are stand-ins."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from workbench import bench, catalog
from workbench.cli import app
from workbench.errors import InvalidInput, RunFailed
from workbench.job import Job
from workbench.launch import _host, _order, _polled
from workbench.store import Store

GOLDEN = Path(__file__).parent / "golden"
DRAFT, STORE = Path("/shared/runs/.draft-vit-0123456789-01"), Path("/shared/runs")
SLURM = {"use": "slurm", "nodes": 2, "nproc": 4, "time": "2:00:00", "partition": "gpu", "memory": "64G", "gpus_per_node": 4, "interface": "ib0"}  # fmt: skip
KUBERNETES = {"use": "kubernetes", "image": "registry/workbench:0.1", "claim": "runs", "nodes": 2, "nproc": 4, "memory": "64Gi", "gpus": 4}  # fmt: skip


@pytest.fixture(autouse=True)
def known_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same interpreter, folder and modules on every machine, and no word between questions."""
    made = _order.Order(str(DRAFT), str(STORE), 1, "/home/me/my project", (), {"PYTHONPATH": "/home/me/my project"})
    monkeypatch.setattr(_order, "order", lambda draft, store, threads: made)
    monkeypatch.setattr(_polled, "SECONDS_BETWEEN_QUESTIONS", 0.0)


def preview(launcher: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")
    part: Any = catalog.make("launch", launcher)
    return part.preview(DRAFT, STORE)


@pytest.mark.parametrize(("launcher", "file"), [(SLURM, "slurm.sbatch"), (KUBERNETES, "kubernetes.yaml")])
def test_what_is_submitted_is_word_for_word(
    launcher: dict[str, Any], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preview(launcher, monkeypatch) == (GOLDEN / file).read_text()


def test_bash_and_yaml_understand_what_is_submitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess

    script = tmp_path / "script"
    script.write_text(preview(SLURM, monkeypatch))
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
    service, job = yaml.safe_load_all(preview(KUBERNETES, monkeypatch))
    pod = job["spec"]["template"]["spec"]
    assert service["metadata"]["name"] == pod["subdomain"] == job["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["completions"] == 2


def stand_in(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command before all others: what it was given lies in `<name>.in`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/{name}.words\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_job_in_slurm_is_followed_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = tmp_path / ".draft-vit-0123456789-01"
    draft.mkdir()
    monkeypatch.setattr(_order, "note_start", lambda *_: None)
    stand_in(tmp_path, "sbatch", f"cat > {tmp_path}/script; echo '77;cluster'", monkeypatch)
    stand_in(tmp_path, "squeue", f"cat {tmp_path}/state", monkeypatch)
    stand_in(tmp_path, "scancel", f"echo CANCELLED > {tmp_path}/state", monkeypatch)
    (tmp_path / "state").write_text("PENDING\n")
    part: Any = catalog.make("launch", SLURM)
    worker = part.submit(draft, tmp_path)
    assert "--nodes=2" in (tmp_path / "script").read_text()
    assert _host.Hosts.read(draft).num_hosts == 2
    assert worker.poll() is None
    (tmp_path / "state").write_text("RUNNING\n")
    assert worker.poll() is None
    worker.cancel(grace=1.0)
    assert worker.poll() == 1 and (draft / "exit.json").exists()
    assert (tmp_path / "scancel.words").read_text().split() == ["77"]
    assert "--jobs=77" in (tmp_path / "squeue.words").read_text()


def test_what_the_engine_says_against_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = tmp_path / ".draft-vit-0123456789-01"
    draft.mkdir()
    monkeypatch.setattr(_order, "note_start", lambda *_: None)
    stand_in(tmp_path, "kubectl", "echo 'the server has asked for credentials' >&2; exit 1", monkeypatch)
    part: Any = catalog.make("launch", KUBERNETES)
    with pytest.raises(RunFailed, match="kubectl refused: the server has asked for credentials"):
        part.submit(draft, tmp_path)


def test_a_dry_run_shows_the_script_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no sbatch
    words = [
        "run",
        "--model",
        "vit",
        "--data",
        "digits",
        "--step",
        "train",
        "--store",
        str(tmp_path / "runs"),
        "--dry-run",
    ]
    shown = CliRunner().invoke(app, [*words, "--layout", "sharded", "--launcher", "slurm nodes=2 nproc=4"])
    assert shown.exit_code == 0 and "#SBATCH --nodes=2" in shown.output and not (tmp_path / "runs").exists()
    refused = CliRunner().invoke(app, [*words, "--layout", "tensor", "--launcher", "slurm nodes=2 nproc=4"])
    assert refused.exit_code == 2 and "heads=4 can't be split 8 ways" in refused.output
    here = CliRunner().invoke(app, [*words, "--layout", "sharded", "--launcher", "torchrun"])
    assert here.exit_code == 2 and "nothing to submit" in here.output
    record = {"model": "vit", "data": "digits", "steps": ["train"], "layout": "sharded", "launcher": "slurm"}
    with pytest.raises(InvalidInput, match="sbatch isn't on this machine"):
        bench.carry_out(Job.from_json(record), Store(tmp_path / "runs"))
