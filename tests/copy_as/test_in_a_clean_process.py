"""What was copied is run by a process that knows nothing of us, and finds what is finished."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import small_job
from workbench import copy_as
from workbench.bench import carry_out
from workbench.job import Job
from workbench.store import Store

METRICS = [{"use": "size"}, {"use": "quality"}]


@pytest.fixture
def jobs(shared_store: Store) -> list[Job]:
    """Two finished jobs."""
    steps = [{"use": "train", "epochs": 1}]
    found = [
        small_job(steps=steps, metrics=METRICS),
        small_job(steps=[*steps, {"use": "int8_static"}], metrics=METRICS),
    ]
    for job in found:
        carry_out(job, shared_store)
    return found


def ran(line: str, folder: Path) -> str:
    """Run a shell line as somebody else would, with this interpreter's commands; returns what it printed."""
    line = line.replace("workbench ", f"{shlex.quote(sys.executable)} -m workbench.cli ", 1)
    ended = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def runs_in(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.iterdir() if not path.name.startswith("."))


@pytest.mark.slow
def test_cell_and_command_find_the_finished_runs(jobs: list[Job], shared_store: Store, tmp_path: Path) -> None:
    before = runs_in(shared_store)
    (tmp_path / "cell.py").write_text(
        copy_as.python_cell(jobs, shared_store.root) + "\nprint([run.job_id for run in runs])\n"
    )
    printed = ran(f"{shlex.quote(sys.executable)} cell.py", tmp_path)
    assert printed.strip() == str([job.job_id for job in jobs])
    assert jobs[1].job_id in ran(copy_as.command(jobs[1], shared_store.root), tmp_path)
    assert runs_in(shared_store) == before


@pytest.mark.slow
def test_the_batch_finds_the_finished_runs(jobs: list[Job], shared_store: Store, tmp_path: Path) -> None:
    before = runs_in(shared_store)
    study = tmp_path / "my view, two.yaml"
    study.write_text(copy_as.study_yaml(jobs, "view"))
    line = copy_as.batch_command(study, shared_store.root, reports_folder=tmp_path / "reports")
    assert "1 passed" in ran(line, tmp_path)
    assert runs_in(shared_store) == before
    assert (tmp_path / "reports" / "my view, two.html").is_file()
    (record,) = (tmp_path / "reports" / "my view, two-batch" / "rows").glob("*/record.json")
    assert {run["run_id"] for run in json.loads(record.read_text())["runs"]} <= set(before)
