"""Queues apart from other processes: a warmed parent and keepers of our own, which leave soon."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from tests.launch.conftest import dismiss
from workbench import bench, queue
from workbench.job import Job
from workbench.nouns import Run
from workbench.queue import Entry, _keeper_place
from workbench.queue._folder import Folder
from workbench.queue._keeper import Keeper
from workbench.store import Store

PRUNED = ({"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5})
ENDLESS = ({"use": "train", "epochs": 5000},)


@pytest.fixture(scope="package", autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_NURSERY", str(tmp_path_factory.mktemp("nursery") / "warm"))
        patch.setenv("WORKBENCH_LOCKS", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("WORKBENCH_QUEUE_IDLE_SECONDS", "2")
        yield
        dismiss()


@pytest.fixture
def live(store: Store) -> Iterator[Store]:
    """A store whose keeper and workers are ended with the test."""
    yield store
    for entry in queue.entries(store):
        queue.cancel(store, entry.entry_id)
    until(lambda: all(entry.finished for entry in queue.entries(store)))


def until(happens: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait for something that must happen; fails when it doesn't."""
    deadline = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def entry(store: Store, entry_id: str) -> Entry:
    return next(each for each in queue.entries(store) if each.entry_id == entry_id)


def finished(store: Store) -> tuple[Entry, ...]:
    """Wait until nothing waits or runs; return the entries."""
    until(lambda: all(each.finished for each in queue.entries(store)))
    return queue.entries(store)


def trains(store: Store, entry_id: str) -> bool:
    """Say whether an entry is in the middle of training."""
    found = entry(store, entry_id)
    return found.state == "running" and found.part.endswith("train") and found.done > 0


def keeper_of(store: Store) -> int:
    return int(orjson.loads((store.root / ".queue" / "keeper.owner").read_bytes())["pid"])


def keepers_of(store: Store) -> list[int]:
    """Return the processes that are a keeper of this store."""
    wanted = ["-m", "workbench.queue", str(store.root)]
    return [
        process.pid for process in psutil.process_iter(["cmdline"]) if (process.info["cmdline"] or [])[1:4] == wanted
    ]


def worker_of(store: Store, found: Entry) -> int:
    return int(orjson.loads(Path(found.log).with_name("owner.json").read_bytes())["pid"])


def kill(pid: int) -> None:
    """Kill as the kernel would, and wait until it is gone."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


# ── a keeper in our own hands, with workers that compute nothing ──────────────────────────────────────────────────────


class Worker:
    """Works until it is told how to end."""

    def __init__(self, job: Job, store: Store, draft: Path) -> None:
        self.job, self.store, self.draft, self.code, self.heard = job, store, draft, None, []

    def end(self, status: str = "done") -> None:
        error = (
            None
            if status == "done"
            else {"kind": "raised", "message": "it was to fail", "next": "nothing", "signal": None}
        )
        run_id = self.draft.name.removeprefix(".draft-")
        self.store.publish(self.draft, Run(run_id, self.job.job_id, status, self.job.to_json(), error=error))  # type: ignore[arg-type]
        self.code = int(status != "done")

    def poll(self) -> int | None:
        return self.code

    def send(self, number: int) -> None:
        self.heard.append(number)

    def cancel(self, *, grace: float) -> None:
        self.heard.append(signal.SIGKILL)
        self.end("cancelled")


class Hands:
    """A keeper that takes a step when told, and the workers that it has started."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.workers = store, dict[str, Worker]()
        monkeypatch.setattr(_keeper_place, "ensure", lambda folder: None)
        monkeypatch.setattr(_keeper_place, "lives", lambda folder: True)
        monkeypatch.setattr(bench, "submit", self.submit)
        self.folder = Folder(store)
        self.folder.make()
        self.lock = (self.folder.path / "keeper.lock").open("ab")
        self.keeper = Keeper(self.folder, self.lock)

    def submit(self, job: Job, store: Store) -> tuple[Path, Any]:
        draft = store.begin(job.job_id, job.to_json())
        self.workers[job.job_id] = Worker(job, store, draft)
        return draft, self.workers[job.job_id]

    def step(self) -> tuple[Entry, ...]:
        self.keeper._look()
        return queue.entries(self.store)

    def end(self, job: Job, status: str = "done") -> tuple[Entry, ...]:
        self.workers[job.job_id].end(status)
        self.step()
        return self.step()


@pytest.fixture
def hands(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    made = Hands(store, monkeypatch)
    yield made
    made.lock.close()
