"""The queue of a study: what may run beside what, what happens after a failure, and how it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.study.test_study_file import record
from workbench import bench
from workbench.errors import Cancelled
from workbench.job import Job
from workbench.nouns import Run
from workbench.store import Store
from workbench.study import Progress, carry_out_study, check_study, expand, labels

MANY = {
    "as trained": {},
    "80": {"steps": ["magnitude_prune sparsity=0.8"]},
    "95": {"steps": ["magnitude_prune sparsity=0.95"]},
    "80 tuned": {"steps": ["magnitude_prune sparsity=0.8", "train epochs=2"]},
    "80 tuned int8": {"steps": ["magnitude_prune sparsity=0.8", "train epochs=2", "int8_dynamic"]},
}


class Machine:
    """Stands in for workers: each job takes a few looks, and ends done unless its recipe is to fail."""

    def __init__(self, fails: tuple[str, ...] = ()) -> None:
        self.fails = fails
        self.active: list[Job] = []
        self.started: list[str] = []
        self.side_by_side: list[tuple[str, str]] = []
        self.cancelled: list[str] = []

    def submit(self, job: Job, store: Store, **_: Any) -> tuple[Path, Any]:
        self.side_by_side += [(other.recipe(), job.recipe()) for other in self.active]
        self.active.append(job)
        self.started.append(job.recipe())
        return store.begin(job.job_id, job.to_json()), Worker(self, job, store)


class Worker:
    def __init__(self, machine: Machine, job: Job, store: Store) -> None:
        self.machine, self.job, self.store, self.looks = machine, job, store, 3
        self.draft = store.root / f".draft-{job.job_id}-01"

    def poll(self) -> int | None:
        self.looks -= 1
        if self.looks:
            return None
        failed = self.job.recipe() in self.machine.fails
        error = {"kind": "raised", "message": "it was to fail", "next": "nothing"} if failed else None
        status = "failed" if failed else "done"
        run = Run(f"{self.job.job_id}-01", self.job.job_id, status, self.job.to_json(), error=error)
        self.store.publish(self.draft, run)
        self.machine.active.remove(self.job)
        return int(failed)

    def cancel(self) -> None:
        self.machine.cancelled.append(self.job.recipe())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setattr(bench, "submit", made.submit)
    monkeypatch.setattr("workbench.queue._work.SECONDS_BETWEEN_LOOKS", 0.0)
    yield made


def test_every_job_is_carried_out_once_in_order(machine: Machine, store: Store) -> None:
    study = check_study(record(recipes=MANY))
    runs = carry_out_study(study, store)
    assert [run.job_id for run in runs] == [job.job_id for job in expand(study)]
    assert {run.status for run in runs} == {"done"}
    assert len(machine.started) == len(set(machine.started)) == 5


def test_what_is_done_is_not_done_again(machine: Machine, store: Store) -> None:
    first = carry_out_study(check_study(record()), store)
    again = carry_out_study(check_study(record(recipes=MANY)), store)
    assert len(machine.started) == 5
    assert [run.run_id for run in first] == [run.run_id for run in again][:2]


def test_jobs_that_share_an_unfinished_step_never_run_side_by_side(machine: Machine, store: Store) -> None:
    carry_out_study(check_study(record(recipes=MANY)), store, workers=5)
    assert machine.started[0] == "train 1"
    pairs = {frozenset(pair) for pair in machine.side_by_side}
    assert not any("train 1" in pair for pair in pairs)  # everything stands on it
    assert frozenset(("train 1 → prune 80%", "train 1 → prune 80% → train 2")) not in pairs
    assert frozenset(("train 1 → prune 80%", "train 1 → prune 95%")) in pairs


def test_no_more_than_workers_run_at_a_time(machine: Machine, store: Store) -> None:
    carry_out_study(check_study(record(recipes=MANY)), store, workers=1)
    assert machine.side_by_side == []


def test_a_failed_job_does_not_stop_the_others(machine: Machine, store: Store) -> None:
    machine.fails = ("train 1 → prune 80%",)
    runs = carry_out_study(check_study(record(recipes=MANY)), store)
    assert [run.status for run in runs].count("failed") == 1
    assert [run.status for run in runs].count("done") == 4


def test_what_compares_itself_with_a_failed_run_says_so_and_is_not_started(machine: Machine, store: Store) -> None:
    machine.fails = ("train 1",)
    parent, pruned = carry_out_study(check_study(record()), store)
    assert parent.run_id
    assert (pruned.status, pruned.run_id) == ("failed", "")
    assert parent.run_id in pruned.error["message"]
    assert machine.started == ["train 1"]


def test_progress_counts_up_to_the_total_and_names_what_ended(machine: Machine, store: Store) -> None:
    seen: list[Progress] = []
    carry_out_study(check_study(record(recipes=MANY)), store, on_event=seen.append)
    assert (seen[0].done, seen[0].total, seen[0].eta_seconds) == (0, 5, None)
    assert [each.done for each in seen if each.ended] == [1, 2, 3, 4, 5]
    assert seen[-1].eta_seconds == 0
    assert not seen[-1].running


def test_a_refused_submission_is_a_failed_job(machine: Machine, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.errors import WorkbenchError

    def full(*_: Any, **__: Any) -> None:
        raise WorkbenchError("the disk of /somewhere is full", next_move="free some space")

    monkeypatch.setattr(bench, "submit", full)
    runs = carry_out_study(check_study(record(recipes={"as trained": {}})), store)
    assert [(run.status, run.error["message"]) for run in runs] == [("failed", "the disk of /somewhere is full")]


def test_ctrl_c_cancels_the_workers_and_says_what_is_resumable(machine: Machine, store: Store) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 1 and progress.running:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled) as caught:
        carry_out_study(check_study(record(recipes=MANY)), store, on_event=stop)
    assert machine.cancelled
    assert "1 of 5" in caught.value.message
    assert "again" in caught.value.next_move
    assert len(carry_out_study(check_study(record(recipes=MANY)), Store(store.root / "other"))) == 5


def test_labels_name_every_job() -> None:
    study = check_study(record(recipes={"bf16": {"steps": ["bfloat16"], "format": "pt2"}}))
    named = labels(study)
    assert {named[job.job_id].recipe for job in expand(study)} == {"as trained", "bf16"}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups")
def test_a_real_study_that_is_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    """One real study in a process of its own: Ctrl-C while it trains, then again to the end."""
    text = """
name: small
data: digits
metrics: [size]
train: [train epochs=EPOCHS]
models: {mlp: lenet_300_100 hidden_1=16 hidden_2=8}
recipes: {as trained: {}, pruned: {steps: [magnitude_prune sparsity=0.8]}}
"""
    file = tmp_path / "small.yaml"
    command = [sys.executable, "-m", "workbench.cli", "study", str(file), "--store", str(tmp_path / "runs")]
    file.write_text(text.replace("EPOCHS", "10000"))
    long = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c)
    assert long.stderr
    for line in long.stderr:
        if "train" in line and "/" in line:  # batches are counted: it is in the middle of a step
            break
    long.send_signal(signal.SIGINT)
    said = long.stderr.read()
    assert long.wait(60) == 1, said
    assert "0 of 2 jobs are done" in said
    assert "run the same study again" in said
    store = Store(tmp_path / "runs")
    assert [run.status for run in store.runs()] == ["cancelled"]
    file.write_text(text.replace("EPOCHS", "1"))
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(run.status for run in store.runs()) == ["cancelled", "done", "done"]


def _hear_ctrl_c() -> None:
    """Undo an ignored SIGINT, which every process started in the background of a script inherits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
