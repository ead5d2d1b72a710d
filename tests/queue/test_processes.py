"""The queue with real keepers and workers: whatever is killed, the others go on and nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import small_job
from tests.queue.conftest import (
    ENDLESS,
    PRUNED,
    entry,
    finished,
    keeper_of,
    keepers_of,
    kill,
    trains,
    until,
    worker_of,
)  # fmt: skip
from workbench import queue
from workbench.queue._folder import Folder
from workbench.queue._keeper import library_stamp
from workbench.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups")]

ROOT = Path(__file__).parents[2]
HALF = small_job(steps=[*PRUNED])
LONG = small_job(steps=[{"use": "train", "epochs": 150}])  # seconds: time enough to be killed in
FOR_EVER = small_job(steps=[*ENDLESS])
OTHER = small_job(seed=1)

PUTS = """
import os, signal, sys
from tests.conftest import small_job
from workbench import queue
from workbench.store import Store
jobs = [small_job(seed=int(seed)) for seed in sys.argv[2].split(",")]
queue.put(jobs, Store(sys.argv[1]), workers=2)
if sys.argv[3:]:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def client(store: Store, *words: str) -> subprocess.Popen[bytes]:
    """Start another process that puts jobs into the queue, as a notebook's kernel would."""
    return subprocess.Popen([sys.executable, "-c", PUTS, str(store.root), *words], cwd=ROOT)


def test_a_client_that_is_killed_after_it_put_a_job_loses_nothing(live: Store) -> None:
    assert client(live, "0", "then die").wait(60) == -signal.SIGKILL
    assert [each.state for each in finished(live)] == ["done"]
    assert live.find(small_job().job_id)


def test_a_keeper_that_is_killed_is_followed_by_one_that_adopts_its_worker_and_goes_on(live: Store) -> None:
    long, other = queue.put([LONG, OTHER], live)
    until(lambda: trains(live, long.entry_id))
    worker, killed = worker_of(live, entry(live, long.entry_id)), keeper_of(live)
    kill(killed)
    assert entry(live, long.entry_id).state == "running"
    assert "its keeper was killed" in entry(live, other.entry_id).why_waiting
    queue.attach(live)
    until(lambda: entry(live, other.entry_id).why_waiting == "1 before it")
    assert keeper_of(live) != killed
    assert worker_of(live, entry(live, long.entry_id)) == worker
    assert [(each.state, each.run_id) for each in finished(live)] == [
        ("done", f"{LONG.job_id}-01"), ("done", f"{OTHER.job_id}-01"),
    ]  # fmt: skip
    assert len(live.runs()) == 2


def test_a_killed_worker_is_named_with_its_signal_and_the_next_job_runs(live: Store) -> None:
    long, other = queue.put([FOR_EVER, OTHER], live)
    until(lambda: trains(live, long.entry_id))
    kill(worker_of(live, entry(live, long.entry_id)))
    finished(live)
    lost = entry(live, long.entry_id)
    assert lost.state == "lost"
    assert (lost.error["kind"], lost.error["signal"]) == ("killed", "SIGKILL")
    assert "killed by signal SIGKILL" in lost.error["message"]
    assert lost.error["next"]
    assert entry(live, other.entry_id).state == "done"


@pytest.mark.parametrize("keeper", ["lives", "was killed"])
def test_a_running_entry_is_cancelled_in_two_seconds_also_without_a_keeper(keeper: str, live: Store) -> None:
    (found,) = queue.put(FOR_EVER, live)
    until(lambda: trains(live, found.entry_id))
    worker = psutil.Process(worker_of(live, entry(live, found.entry_id)))
    if keeper == "was killed":
        kill(keeper_of(live))
    began = time.monotonic()
    queue.cancel(live, found.entry_id)
    until(lambda: entry(live, found.entry_id).state == "cancelled" and not worker.is_running())
    assert time.monotonic() - began < 2.0
    assert finished(live)[0].state == "cancelled"


def test_a_stubborn_worker_is_killed_in_two_seconds(live: Store) -> None:
    (found,) = queue.put(FOR_EVER, live)
    until(lambda: trains(live, found.entry_id))
    worker = psutil.Process(worker_of(live, entry(live, found.entry_id)))
    worker.suspend()  # hears nothing
    began = time.monotonic()
    queue.cancel(live, found.entry_id)
    until(lambda: entry(live, found.entry_id).state == "cancelled")
    assert time.monotonic() - began < 2.0
    assert not worker.is_running()


@pytest.mark.slow
def test_many_clients_at_once_have_one_keeper_and_every_job_is_done_once(live: Store) -> None:
    clients = [client(live, f"{number % 4},{(number + 1) % 4},{10 + number % 2}") for number in range(8)]
    seen: set[int] = set()
    while any(each.poll() is None for each in clients):
        queue.entries(live)  # while others write: never raises
        seen |= set(keepers_of(live))
    assert {each.wait() for each in clients} == {0}
    assert [each.state for each in finished(live)] == ["done"] * 6
    assert len(seen | set(keepers_of(live))) == 1
    assert sorted(run.run_id for run in live.runs()) == sorted({f"{run.job_id}-01" for run in live.runs()})
    assert len(live.runs()) == 6


def test_two_keepers_are_never_there(live: Store) -> None:
    queue.warm(live)
    second = subprocess.run(
        [sys.executable, "-m", "workbench.queue", str(live.root)], cwd=ROOT, capture_output=True, text=True
    )
    assert second.returncode == 1
    assert "another keeper" in second.stderr
    assert keepers_of(live) == [keeper_of(live)]


def test_a_keeper_leaves_when_there_is_nothing_to_do_and_one_comes_with_the_next_job(live: Store) -> None:
    queue.warm(live)
    first = psutil.Process(keeper_of(live))
    until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    assert "nothing to do" in (live.root / ".queue" / "keeper.log").read_text()
    queue.put(OTHER, live)
    assert keeper_of(live) != first.pid
    assert finished(live)[0].state == "done"


def test_a_keeper_whose_store_is_deleted_ends_with_its_workers(store: Store) -> None:
    (found,) = queue.put(FOR_EVER, store)
    until(lambda: trains(store, found.entry_id))
    processes = [psutil.Process(keeper_of(store)), psutil.Process(worker_of(store, entry(store, found.entry_id)))]
    until(lambda: shutil.rmtree(store.root, ignore_errors=True) or not store.root.exists())
    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes))
    assert not (store.root / ".queue").exists()


def test_a_keeper_of_an_edited_library_begins_anew_as_the_same_process(live: Store) -> None:
    queue.warm(live)
    keeper, part = keeper_of(live), Path(library_stamp()[0][0]).parent / "zoo" / "__init__.py"
    log = live.root / ".queue" / "keeper.log"
    facts = part.stat()
    until(lambda: "keeps" in log.read_text())
    os.utime(part, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))
    try:
        queue.put(OTHER, live)
        assert finished(live)[0].state == "done"
    finally:
        os.utime(part, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert "the library was edited" in log.read_text()
    assert keepers_of(live) == [keeper]


def test_a_draft_that_no_worker_ever_took_waits_again(live: Store) -> None:
    """As a keeper leaves it that is killed between claiming a draft and ordering its worker."""
    folder = Folder(live)
    (found,) = queue.put(OTHER, live)
    kill(keeper_of(live))
    until(lambda: not keepers_of(live))
    for run in live.drafts():
        shutil.rmtree(run.folder)
    draft = live.begin(OTHER.job_id, OTHER.to_json())
    os.utime(draft, (0, 0))  # long ago: nobody will come
    with folder.changes():
        folder.write(folder.find(found.entry_id), state="running", run_id=draft.name.removeprefix(".draft-"))
    queue.attach(live)
    (ended,) = finished(live)
    assert (ended.state, ended.run_id) == ("done", f"{OTHER.job_id}-02")
