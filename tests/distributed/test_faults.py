"""Processes that die, are cancelled or fail: what is lost, what is told, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench import bench
from workbench.job import Job
from workbench.store import DRAFT, Store

EVERY = 20  # updates between checkpoints
UNTIL_TOLD = 240.0  # seconds; a busy machine takes one to start processes


def job(**changes: Any) -> Job:
    record = {
        "model": {"use": "lenet_300_100", "hidden_1": 64, "hidden_2": 32}, "data": {"use": "digits"},
        "steps": [{"use": "train", "epochs": 16, "batch_size": 16, "learning_rate": 1e-3}], "format": {"use": "onnx"},
        "metrics": ["size"], "layout": {"use": "data_parallel"},
        "launcher": {"use": "torchrun", "nproc": 2, "checkpoint_every": EVERY},
    }  # fmt: skip
    return Job.from_json({**record, **changes})


def events(folder: Path, file: str = "events.jsonl") -> list[dict[str, Any]]:
    path = folder / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def last_update(folder: Path) -> int:
    return max((event["done"] for event in events(folder) if event["kind"] == "progress"), default=0)


def until(is_so: Callable[[], Any], seconds: float = UNTIL_TOLD) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def started(draft: Path) -> dict[int, int]:
    """Return the newest process of each rank that has said that it works."""
    found = {}
    for folder in (draft, draft.parent / draft.name.removeprefix(DRAFT)):
        for rank, file in enumerate(("events.jsonl", "ranks/events-1.jsonl")):
            for event in events(folder, file):
                if event["kind"] == "started":
                    found[rank] = event["pid"]
    return found


def processes_of(draft: Path) -> list[psutil.Process]:
    """Return whoever works on this draft: by what they said, by their agent, or by their command line."""
    name = draft.name.removeprefix(DRAFT)
    words = {each: " ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])}
    named = [each for each, line in words.items() if name in line and str(draft.parent) in line]
    owners = [folder / "owner.json" for folder in (draft, draft.parent / name)]
    pids = [json.loads(each.read_text())["pid"] for each in owners if each.exists()] + list(started(draft).values())
    found = {each.pid: each for each in named}
    for pid in pids:
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            found[pid] = psutil.Process(pid)
    return list(found.values())


@pytest.mark.slow
def test_a_cancelled_job_goes_on_where_it_stood_and_a_killed_process_costs_the_updates_since_the_last_checkpoint(
    store: Store,
) -> None:
    draft, worker = bench.submit(job(), store)
    until(lambda: last_update(draft) > 2 * EVERY)
    began = time.monotonic()
    worker.cancel(grace=20.0)
    print(f"cancelled in {time.monotonic() - began:.2f} s")
    cancelled = bench.ended(draft, store)
    assert cancelled.status == "cancelled", cancelled.error
    assert not processes_of(draft)
    stood_at = last_update(Path(cancelled.folder))

    draft, worker = bench.submit(job(), store)
    until(lambda: last_update(draft) > stood_at + 2 * EVERY)
    os.kill(started(draft)[1], signal.SIGKILL)
    killed_at = last_update(draft)
    worker.wait(UNTIL_TOLD)
    run = bench.ended(draft, store)
    assert run.status == "done", run.error
    resumed_at = [int(e["text"].split()[-1]) for e in events(Path(run.folder)) if "going on after" in e.get("text", "")]
    assert stood_at - 2 * EVERY <= resumed_at[0] <= stood_at
    assert killed_at - 2 * EVERY <= resumed_at[1]

    alone = bench.carry_out(job(layout=None, launcher=None), store)
    losses = [events(Path(each.folder)) for each in (run, alone)]
    ends = [[e["values"]["loss"] for e in each if e["kind"] == "progress"][-1] for each in losses]
    print(ends)
    assert ends[0] == pytest.approx(ends[1], abs=1e-5)
    assert not list((store.root / ".cache").glob("*.training/*/update-*"))  # what has ended leaves none


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_an_agent_that_is_killed_while_it_starts_processes_leaves_none(start: str, store: Store) -> None:
    """A new interpreter takes a while until it can ask the kernel to end with its agent: by then that may be gone."""
    launcher = {"use": "torchrun", "nproc": 2, "start": start}
    _, worker = bench.submit(job(launcher=launcher), store)
    until(lambda: worker.poll() is None and worker.pid)
    agent = psutil.Process(worker.pid)
    begun = until(agent.children)
    agent.kill()
    worker.wait(UNTIL_TOLD)
    until(lambda: not [each for each in begun if each.is_running() and each.status() != psutil.STATUS_ZOMBIE], 60.0)


@pytest.mark.slow
def test_a_command_that_is_told_to_end_cancels_its_job(store: Store) -> None:
    """As `timeout` tells it, a closed terminal, or a service manager."""
    made = job(model={"use": "lenet_300_100", "hidden_1": 8, "hidden_2": 8})
    (store.root.parent / "job.json").write_text(json.dumps(made.to_json()))
    words = ["run", str(store.root.parent / "job.json"), "--store", str(store.root)]
    ended = subprocess.Popen([sys.executable, "-m", "workbench.cli", *words], stderr=subprocess.PIPE, text=True)
    draft = store.root / f"{DRAFT}{made.job_id}-01"
    until(lambda: last_update(draft) > 0)
    left = processes_of(draft)
    assert len(left) == 3, "the agent and two processes"
    ended.terminate()
    assert "finished steps are kept" in ended.communicate(timeout=60)[1] and ended.returncode == 1
    assert not processes_of(draft)
    assert store.get(f"{made.job_id}-01").status == "cancelled"


@pytest.mark.slow
def test_a_killed_agent_takes_its_processes_along_and_the_draft_is_lost(store: Store) -> None:
    draft, worker = bench.submit(job(), store)
    until(lambda: worker.poll() is None and worker.pid and last_update(draft) > 0)
    assert len(processes_of(draft)) == 3
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(UNTIL_TOLD)
    until(lambda: not processes_of(draft), 5.0)
    lost = bench.ended(draft, store)
    assert lost.status == "lost" and lost.error and lost.error["signal"] == "SIGKILL"


@pytest.mark.slow
def test_the_first_failing_rank_is_named_with_its_words(store: Store) -> None:
    model = {"use": "python_callable", "function": "tests.distributed.failing:picky"}
    run = bench.carry_out(job(model=model), store)
    assert run.status == "failed"
    assert run.error and "rank 1 of 2: ValueError: this one can't" in run.error["message"]
    assert "failing.py" in run.error["traceback"]
    draft = store.root / f"{DRAFT}{run.run_id}"
    assert not processes_of(draft) and not draft.exists()
