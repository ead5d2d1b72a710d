"""The queue with a keeper that is stepped by hand: order, words, refusals, and every way in which an entry goes wrong."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import small_job
from tests.queue.conftest import PRUNED, Hands, entry
from tests.queue.jobs import HALF, MOST, OTHER, TRAINED, states
from workbench import queue
from workbench.errors import InvalidInput
from workbench.queue import _work
from workbench.store import Store

TUNED = small_job(steps=[*PRUNED, {"use": "train", "epochs": 2}])


def test_a_job_brings_what_it_compares_itself_with_as_an_entry_before_it(hands: Hands, store: Store) -> None:
    (asked,) = queue.put(HALF, store)
    assert asked.job_id == HALF.job_id
    assert [(each.job_id, each.for_job) for each in queue.entries(store)] == [
        (TRAINED.job_id, HALF.job_id),
        (HALF.job_id, ""),
    ]
    assert asked.why_waiting == f"waits for {TRAINED.job_id} (as trained)"
    assert states(hands.step()) == {TRAINED.job_id: "running", HALF.job_id: "waiting"}
    assert states(hands.end(TRAINED)) == {TRAINED.job_id: "done", HALF.job_id: "running"}
    done = {each.job_id: each for each in hands.end(HALF)}
    assert done[HALF.job_id].run_id == f"{HALF.job_id}-01"
    assert done[HALF.job_id].started and done[HALF.job_id].ended


def test_jobs_that_would_train_the_same_wait_for_each_other_and_say_so(hands: Hands, store: Store) -> None:
    queue.put([HALF, TUNED, MOST], store, workers=3)
    hands.step()
    found = {each.job_id: each for each in hands.end(TRAINED)}
    assert {job_id: each.state for job_id, each in found.items() if each.job_id != TRAINED.job_id} == {
        HALF.job_id: "running", TUNED.job_id: "waiting", MOST.job_id: "running",
    }  # fmt: skip
    assert found[TUNED.job_id].why_waiting == f"shares its training with {HALF.job_id}"
    assert states(hands.end(HALF))[TUNED.job_id] == "running"


def test_no_more_than_workers_run_and_the_others_say_how_many_are_before_them(hands: Hands, store: Store) -> None:
    queue.put([TRAINED, OTHER, small_job(seed=2)], store)
    assert [each.why_waiting for each in queue.entries(store)] == ["begins in a moment", "1 before it", "2 before it"]
    assert [each.state for each in hands.step()] == ["running", "waiting", "waiting"]


def test_an_entry_that_is_moved_up_goes_first_with_what_it_needs(hands: Hands, store: Store) -> None:
    other, another, half = queue.put([OTHER, small_job(seed=2), HALF], store)
    for _ in range(3):  # the third time it is first already
        queue.move(store, half.entry_id, up=True)
    row = [TRAINED.job_id, HALF.job_id, other.job_id, another.job_id]
    assert [each.job_id for each in queue.entries(store)] == row
    assert states(hands.step()) == dict(zip(row, ["running", "waiting", "waiting", "waiting"]))
    assert states(hands.end(TRAINED)) == dict(zip(row, ["done", "running", "waiting", "waiting"]))
    queue.move(store, another.entry_id, up=False)
    with pytest.raises(InvalidInput, match="doesn't wait"):
        queue.move(store, half.entry_id, up=True)


def test_a_job_that_is_done_is_answered_at_once_and_listed_once(hands: Hands, store: Store) -> None:
    queue.put(TRAINED, store)
    hands.step()
    hands.end(TRAINED)
    for _ in range(2):
        (found,) = queue.put(TRAINED, store)
        assert (found.state, found.run_id) == ("done", f"{TRAINED.job_id}-01")
    assert len(queue.entries(store)) == 1
    queue.clear_finished(store)
    (found,) = queue.put(TRAINED, store)
    assert (found.state, found.run_id) == ("done", f"{TRAINED.job_id}-01")
    assert len(hands.workers) == 1


def test_the_same_job_gives_its_entry_while_it_waits_and_while_it_runs(hands: Hands, store: Store) -> None:
    (first,) = queue.put(TRAINED, store)
    assert queue.put(TRAINED, store)[0].entry_id == first.entry_id
    hands.step()
    assert queue.put([TRAINED, TRAINED], store, again=True)[1].entry_id == first.entry_id


def test_again_makes_another_run(hands: Hands, store: Store) -> None:
    queue.put(TRAINED, store)
    hands.step()
    hands.end(TRAINED)
    (again,) = queue.put(TRAINED, store, again=True)
    assert again.state == "waiting"
    hands.step()
    hands.end(TRAINED)
    assert entry(store, again.entry_id).run_id == f"{TRAINED.job_id}-02"


def test_a_relative_that_is_asked_for_becomes_an_entry_of_its_own(hands: Hands, store: Store) -> None:
    (half,) = queue.put(HALF, store)
    (trained,) = queue.put(TRAINED, store)
    assert trained.for_job == ""
    queue.cancel(store, half.entry_id)
    assert states(queue.entries(store)) == {TRAINED.job_id: "waiting", HALF.job_id: "cancelled"}


def test_a_job_that_somebody_else_runs_already_is_followed_and_not_started(hands: Hands, store: Store) -> None:
    from workbench.store import own

    own(store.begin(TRAINED.job_id, TRAINED.to_json()))  # a worker of another process: here, we
    (found,) = queue.put(TRAINED, store)
    hands.step()
    assert (entry(store, found.entry_id).state, hands.workers) == ("running", {})


def test_a_waiting_entry_is_cancelled_at_once_with_what_only_it_needed(hands: Hands, store: Store) -> None:
    half, most = queue.put([HALF, MOST], store)
    queue.cancel(store, half.entry_id)
    assert states(queue.entries(store)) == {TRAINED.job_id: "waiting", HALF.job_id: "cancelled", MOST.job_id: "waiting"}
    queue.cancel(store, most.entry_id)
    assert set(states(queue.entries(store)).values()) == {"cancelled"}
    hands.step()
    assert not hands.workers


def test_what_compares_itself_with_a_cancelled_one_says_so(hands: Hands, store: Store) -> None:
    queue.put(HALF, store)
    hands.step()
    trained = next(each for each in queue.entries(store) if each.job_id == TRAINED.job_id)
    queue.cancel(store, trained.entry_id)
    assert entry(store, trained.entry_id).cancelling
    hands.step()
    assert hands.workers[TRAINED.job_id].heard == [signal.SIGTERM]
    found = {each.job_id: each for each in hands.end(TRAINED, "cancelled")}
    assert found[TRAINED.job_id].state == "cancelled"
    assert found[HALF.job_id].state == "failed"
    assert found[HALF.job_id].error["message"] == f"its comparison {TRAINED.job_id}-01 (as trained) is cancelled"


def test_a_worker_that_does_not_heed_is_killed(hands: Hands, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_work, "SECONDS_TO_STOP", 0.0)
    (found,) = queue.put(TRAINED, store)
    hands.step()
    queue.cancel(store, found.entry_id)
    for _ in range(3):
        hands.step()
    assert hands.workers[TRAINED.job_id].heard == [signal.SIGTERM, signal.SIGKILL]
    assert entry(store, found.entry_id).state == "cancelled"


def test_an_entry_that_is_cancelled_in_the_moment_it_begins_is_stopped(hands: Hands, store: Store) -> None:
    (found,) = queue.put(TRAINED, store)
    cancels = partial(queue.cancel, store, found.entry_id)  # it waits still, as far as the client can see
    hands.keeper.following.work.place = lambda job: _calling(cancels)
    hands.step()
    hands.step()
    assert hands.workers[TRAINED.job_id].heard == [signal.SIGTERM]
    hands.end(TRAINED, "cancelled")
    assert entry(store, found.entry_id).state == "cancelled"


def test_progress_is_what_the_worker_said_last(hands: Hands, store: Store) -> None:
    (found,) = queue.put(TRAINED, store)
    hands.step()
    assert entry(store, found.entry_id).text == "its worker is being made ready"
    events = hands.workers[TRAINED.job_id].draft / "events.jsonl"
    events.write_text(
        '{"part":"steps[0].train","kind":"progress","text":"training","done":3,"total":10,"unit":"batches","eta_s":1.5,'
        '"values":{"loss":0.5}}\n{"part":"steps[0].train","kind":"log","text":"slower"}\n{"part":"torn'
    )
    said = entry(store, found.entry_id)
    assert (said.part, said.done, said.total, said.unit) == ("steps[0].train", 3, 10, "batches")
    assert (said.eta_seconds, said.values, said.text) == (1.5, {"loss": 0.5}, "slower")
    with events.open("a") as file:
        file.write('\n{"part":"save","kind":"log","text":"save begins"}\n')
    said = entry(store, found.entry_id)
    assert (said.part, said.done, said.total, said.values) == ("save", 0, 0, {})
    assert said.log == str(events.with_name("log.txt"))


def test_the_end_of_a_run_is_seen_also_when_no_keeper_notes_it(hands: Hands, store: Store) -> None:
    (found,) = queue.put(TRAINED, store)
    hands.step()
    hands.workers[TRAINED.job_id].end()
    assert entry(store, found.entry_id).state == "done"


def test_only_finished_entries_leave_the_list_and_their_runs_stay(hands: Hands, store: Store) -> None:
    first, second = queue.put([TRAINED, OTHER], store)
    with pytest.raises(InvalidInput, match="not finished"):
        queue.dismiss(store, first.entry_id)
    hands.step()
    hands.end(TRAINED)
    queue.clear_finished(store)
    assert [each.entry_id for each in queue.entries(store)] == [second.entry_id]
    assert store.find(TRAINED.job_id)
    for act in (queue.cancel, queue.dismiss):
        with pytest.raises(InvalidInput, match="no entry"):
            act(store, first.entry_id)


def test_entries_of_a_store_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert queue.entries(Store(tmp_path / "nowhere")) == ()
    assert queue.attach(Store(tmp_path / "nowhere")) == ()
    queue.clear_finished(Store(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


@contextlib.contextmanager
def _calling(act: Callable[[], object]) -> Iterator[None]:
    act()
    yield
