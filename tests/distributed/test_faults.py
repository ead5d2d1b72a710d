"""Processes that die, are cancelled or fail: what is lost, what is told, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
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


def events(folder: Path) -> list[dict[str, Any]]:
    path = folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def last_update(folder: Path) -> int:
    return max((event["done"] for event in events(folder) if event["kind"] == "progress"), default=0)


def until(is_so: Callable[[], Any], seconds: float = UNTIL_TOLD) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def rank_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("RANK")
    except psutil.Error:
        return None


def processes_of(draft: Path) -> list[psutil.Process]:
    """Return whoever has this draft on its command line: the agent and its processes."""
    name = draft.name.removeprefix(DRAFT)
    return [each for each in psutil.process_iter(["cmdline"]) if name in " ".join(each.info["cmdline"] or [])]


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
    rank_1 = next(each for each in psutil.Process(worker.pid).children() if rank_of(each) == "1")
    rank_1.kill()
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
def test_a_killed_agent_takes_its_processes_along_and_the_draft_is_lost(store: Store) -> None:
    draft, worker = bench.submit(job(), store)
    until(lambda: last_update(draft) > 0)
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
