"""Whole jobs through the process launcher: forked and spawned alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import small_job
from tests.launch.conftest import ask, kill_parent, record, until
from workbench import bench
from workbench.job import Job
from workbench.launch import _nursery_place
from workbench.launch.process import Process
from workbench.nouns import Run
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

STARTS = ("fork", "spawn")
LONG = 60  # epochs that take seconds: time enough to be killed in


def job(start: str, **changes: Any) -> Job:
    return small_job(launcher={"use": "process", "start": start}, **changes)


def long_job(start: str) -> Job:
    steps = [{"use": "train", "epochs": 1}, {"use": "train", "epochs": LONG, "learning_rate": 1e-4}]
    return job(start, steps=steps)


def launched_by(run: Run) -> dict[str, Any]:
    return record(Path(run.folder), "launcher.json")


def in_second_step(draft: Path) -> bool:
    events = draft / "events.jsonl"
    return events.exists() and '"part":"steps[1].train","kind":"progress"' in events.read_text()


def test_a_forked_and_a_spawned_run_give_the_same_bits(tmp_path: Path) -> None:
    found = {}
    for start in STARTS:
        run = bench.carry_out(job(start, metrics=["size", "quality"]), Store(tmp_path / start))
        assert run.status == "done", run.error
        assert launched_by(run)["start"] == start
        with np.load(Path(run.folder, "samples", "predictions.npz")) as samples:
            found[start] = {name: samples[name] for name in samples.files}
    assert found["fork"].keys() == found["spawn"].keys() >= {"test_outputs", "validation_outputs"}
    assert all(np.array_equal(array, found["spawn"][name]) for name, array in found["fork"].items())


def test_how_a_worker_started_is_the_first_thing_that_its_events_say(store: Store) -> None:
    heard: list[dict[str, Any]] = []
    run = bench.carry_out(job("fork"), store, on_event=heard.append)
    assert heard[0]["run_id"] == run.run_id and heard[0]["text"].startswith("started by fork: by the warmed parent")
    assert heard[0].keys() >= {"t", "seq", "part", "kind"}


def test_two_stores_and_two_processes_share_one_parent(store: Store, tmp_path: Path) -> None:
    bench.carry_out(job("fork"), store)
    code = f"""
from tests.launch.test_process import bench, job, Store
assert bench.carry_out(job("fork"), Store({str(tmp_path / "other")!r})).status == "done"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    told = ask(do="tell")
    assert told
    for root in (store.root, tmp_path / "other"):
        assert launched_by(Store(root).runs()[0])["why"] == f"by the warmed parent, process {told['pid']}"


@pytest.mark.parametrize("start", STARTS)
def test_a_worker_killed_in_a_step_is_lost_and_its_finished_steps_are_kept(start: str, store: Store) -> None:
    draft, worker = bench.submit(long_job(start), store)
    until(lambda: worker.poll() is not None or in_second_step(draft))
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait(60) == -signal.SIGKILL
    (lost,) = store.lost()
    assert f"{lost.run_id}" in draft.name and lost.error and lost.error["signal"] == "SIGKILL"
    again = bench.carry_out(long_job(start), store)
    assert again.status == "done", again.error
    assert again.cached == ("steps[0].train",)


@pytest.mark.parametrize("start", STARTS)
def test_a_cancelled_worker_stops_by_itself_and_says_so(start: str, store: Store) -> None:
    draft, worker = bench.submit(long_job(start), store)
    until(lambda: worker.poll() is not None or in_second_step(draft))
    worker.cancel(grace=2.0)
    assert bench.ended(draft, store).status == "cancelled", "a killed one would be lost"


def test_a_worker_outlives_the_parent_that_forked_it(store: Store) -> None:
    draft, worker = bench.submit(long_job("fork"), store)
    until(lambda: worker.poll() is not None or in_second_step(draft))
    kill_parent()
    assert worker.wait(120) == 0
    assert bench.ended(draft, store).status == "done"


def test_an_edited_function_is_what_runs_next(tmp_path: Path) -> None:
    """Stands for any part, none of which the parent holds: the function of a person's own data is read anew by each forked worker."""
    source = tmp_path / "own.py"
    text = "import numpy\ndef data():\n    return numpy.ones((200, 1, 8, 8)) * SIZE, numpy.arange(200) % 2\n"
    runs = []
    for size in (1, 2):
        source.write_text(text.replace("SIZE", str(size)))
        data = {"use": "python_dataset", "function": f"{source}:data"}
        runs.append(bench.carry_out(job("fork", data=data), Store(tmp_path / f"runs{size}")))
    assert [run.status for run in runs] == ["done", "done"], [run.error for run in runs]
    assert runs[0].data_sha256 != runs[1].data_sha256


@pytest.mark.parametrize("start", STARTS)
def test_a_worker_finds_modules_that_only_its_submitter_was_shown(
    start: str, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shown_module.py").write_text(
        "import numpy\ndef data():\n    return numpy.ones((100, 1, 8, 8)), numpy.arange(100) % 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = bench.carry_out(job(start, data={"use": "python_dataset", "function": "shown_module:data"}), store)
    assert run.status == "done", run.error


def test_where_forking_is_not_safe_a_worker_is_spawned_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerator = tmp_path / "nvidiactl"
    accelerator.touch()
    monkeypatch.setattr(_nursery_place, "ACCELERATORS", (str(accelerator),))
    assert "accelerator" in _nursery_place.why_not_fork()
    monkeypatch.setattr(sys, "platform", "darwin")
    draft = tmp_path / ".draft-x"
    draft.mkdir()
    worker = Process().submit(draft, tmp_path)
    worker.cancel()
    assert record(draft, "launcher.json")["start"] == "spawn"
    assert "darwin" in record(draft, "launcher.json")["why"]
