"""What is refused, fails, breaks or disappears is told in words, and the others go on."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_job
from tests.queue.conftest import PRUNED, Hands, entry
from tests.queue.jobs import HALF, MOST, OTHER, TRAINED, states
from workbench import queue
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Run
from workbench.queue._folder import Folder
from workbench.store import Store


def test_what_cannot_run_is_refused_with_every_reason_and_nothing_is_entered(hands: Hands, store: Store) -> None:
    wrong = small_job(steps=[PRUNED[0], {"use": "bfloat16"}])
    worse = small_job(data={"use": "python_source"})
    with pytest.raises(InvalidInput) as caught:
        queue.put([TRAINED, wrong, worse], store)
    assert len(caught.value.problems) >= 2
    assert any(problem.startswith(f"{wrong.job_id}: ") for problem in caught.value.problems)
    assert queue.entries(store) == ()


def test_what_compares_itself_with_a_failed_run_fails_with_a_sentence_and_others_go_on(
    hands: Hands, store: Store
) -> None:
    queue.put([HALF, OTHER], store)
    hands.step()
    found = {each.job_id: each for each in hands.end(TRAINED, "failed")}
    assert found[TRAINED.job_id].error["message"] == "it was to fail"
    assert found[HALF.job_id].error["message"] == f"its comparison {TRAINED.job_id}-01 (as trained) is failed"
    assert found[HALF.job_id].error["next"]
    assert found[OTHER.job_id].state == "running"
    (half,) = queue.put(HALF, store)  # mended: both are tried anew
    hands.end(OTHER)
    assert states(hands.end(TRAINED))[HALF.job_id] == "running"
    assert half.state == "waiting"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"entry_id": 1}', '{"state": "odd"}'])
def test_an_entry_that_cannot_be_read_is_a_failed_one_and_the_others_go_on(
    text: str, hands: Hands, store: Store
) -> None:
    (hands.folder.path / "torn-0123456789.abc.json").write_text(text)
    queue.put(TRAINED, store)
    found = {each.entry_id: each for each in hands.step()}
    torn = found.pop("torn-0123456789.abc")
    assert (torn.state, torn.error["kind"]) == ("failed", "unreadable")
    assert "can't be read" in torn.error["message"]
    assert [each.state for each in found.values()] == ["running"]
    queue.dismiss(store, torn.entry_id)
    assert len(queue.entries(store)) == 1


def test_a_part_that_is_no_longer_there_fails_its_entry_with_words(hands: Hands, store: Store) -> None:
    (found,) = queue.put(TRAINED, store)
    with hands.folder.changes():
        record = hands.folder.find(found.entry_id)
        hands.folder.write(record, job={**record.job, "steps": [{"use": "removed_step"}]})
    hands.step()
    hands.step()
    assert entry(store, found.entry_id).state == "failed"
    assert "removed_step" in entry(store, found.entry_id).error["message"]


def test_a_part_that_raises_anything_fails_its_entry_only(
    hands: Hands, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = queue.put([TRAINED, OTHER], store)
    submit = hands.submit

    def breaks(job: Any, runs: Store) -> Any:
        if job.seed == 0:
            raise ZeroDivisionError("a person's own part")
        return submit(job, runs)

    monkeypatch.setattr("workbench.bench.submit", breaks)
    hands.step()
    assert entry(store, broken.entry_id).error["message"] == "ZeroDivisionError: a person's own part"
    assert entry(store, whole.entry_id).state == "running"


def test_a_full_disk_is_the_entries_failure_and_what_happened_is_written_when_there_is_room(
    hands: Hands, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queue.put([TRAINED, OTHER], store)
    hands.step()
    write = Folder._replace

    def full(self: Folder, name: str, record: dict[str, Any]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", name)

    monkeypatch.setattr(Folder, "_replace", full)
    with pytest.raises(WorkbenchError, match="is full"):
        queue.put(small_job(seed=7), store)
    hands.workers[TRAINED.job_id].end()
    monkeypatch.setattr(
        "workbench.bench.submit", lambda job, runs: (_ for _ in ()).throw(WorkbenchError("the disk of x is full"))
    )
    with pytest.raises(WorkbenchError, match="is full"):  # `keep` waits and goes on
        hands.step()
    monkeypatch.setattr(Folder, "_replace", write)
    hands.step()
    assert entry(store, first.entry_id).state == "done"
    hands.step()
    assert entry(store, second.entry_id).error["message"] == "the disk of x is full"


def test_a_job_whose_folder_is_gone_says_so(
    hands: Hands, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    (found,) = queue.put(TRAINED, store)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "there")
    hands.step()
    hands.step()
    assert "can't be entered" in entry(store, found.entry_id).error["message"]


def test_a_comparison_that_was_mended_elsewhere_counts(hands: Hands, store: Store) -> None:
    queue.put(TRAINED, store)
    hands.step()
    hands.end(TRAINED, "failed")
    run_id = f"{TRAINED.job_id}-02"
    store.publish(
        store.begin(TRAINED.job_id, TRAINED.to_json()), Run(run_id, TRAINED.job_id, "done", TRAINED.to_json())
    )
    (half,) = queue.put(HALF, store)
    hands.step()
    assert entry(store, half.entry_id).state == "running"


def test_a_comparison_whose_entry_was_removed_is_entered_anew(hands: Hands, store: Store) -> None:
    queue.put(HALF, store)
    (trained,) = (each for each in queue.entries(store) if each.for_job)
    (hands.folder.path / f"{trained.entry_id}.json").unlink()
    assert states(hands.step()) == {TRAINED.job_id: "running", HALF.job_id: "waiting"}


def test_a_run_that_was_removed_is_no_comparison_any_more(hands: Hands, store: Store) -> None:
    queue.put([HALF, MOST], store)
    hands.step()
    hands.end(TRAINED)
    store.delete(f"{TRAINED.job_id}-01")
    found = {each.job_id: each for each in hands.end(HALF)}
    assert found[MOST.job_id].error["message"] == f"its comparison {TRAINED.job_id} (as trained) is gone"
