"""Runs are written once, appear whole, and nobody's accident hides another's."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from workbench import _drafts
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.nouns import Measurement, Run
from workbench.store import Store, own


def a_run(draft: Path, **changes: object) -> Run:
    run_id = draft.name.removeprefix(".draft-")
    fields = {"run_id": run_id, "job_id": run_id.rpartition("-")[0], "status": "done", "job": {"seed": 0}}
    return Run(**{**fields, **changes})  # type: ignore[arg-type]


def publish_many(root: str, count: int) -> None:
    store = Store(root)
    for _ in range(count):
        draft = store.begin("job-0123456789", {"seed": 0})
        store.publish(draft, a_run(draft))


def test_a_run_comes_back_as_it_was_written(store: Store) -> None:
    draft = store.begin("m-0000000000", {"seed": 3})
    measured = Measurement(
        "accuracy", "share", "higher", 0.9, 0.8, 0.95, "wilson95", 9, 10, conditions={"split": "test"}
    )
    written = a_run(draft, measurements=(measured,), cached=("steps[0].train",), error={"kind": "raised"})
    store.publish(draft, written)
    found = store.get("m-0000000000-01")
    assert found.measurements == (measured,)
    assert found.cached == ("steps[0].train",)
    assert found.error == {"kind": "raised"}
    assert not draft.exists()


def test_concurrent_writers_get_different_ids_and_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=publish_many, args=(str(tmp_path), 25)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    ids = sorted(run.run_id for run in Store(tmp_path).runs())
    assert ids == [f"job-0123456789-{number:02d}" for number in range(1, 76)]


def test_a_used_run_id_is_refused_and_the_draft_kept(store: Store) -> None:
    draft = store.begin("m-0000000000", {})
    (store.root / "m-0000000000-01").mkdir()
    (store.root / "m-0000000000-01" / "run.json").write_text("{}")
    with pytest.raises(WorkbenchError, match="exists already"):
        store.publish(draft, a_run(draft))
    assert draft.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"schema": 1, "run_id": "bad-0000000000-01"', "not a readable"),
        ('{"schema": 99, "run_id": "bad-0000000000-01"}', "schema 99"),
        ('{"schema": 1, "run_id": "bad-0000000000-01", "surprise": 1}', "not a readable"),
        ("[]", "not a readable"),
        ("", "not a readable"),
        (
            '{"schema": 1, "run_id": "other-01", "job_id": "other", "status": "done", "job": {}}',
            "is the record of other-01",
        ),
    ],
)
def test_broken_records_are_named_and_skipped(store: Store, text: str, reason: str) -> None:
    publish_many(str(store.root), 2)
    folder = store.root / "bad-0000000000-01"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    assert len(store.runs()) == 2
    assert len(store.skipped) == 1
    assert reason in store.skipped[0]
    with pytest.raises(ArtifactError):
        store.get("bad-0000000000-01")


def test_a_folder_without_a_record_is_told_too(store: Store) -> None:
    (store.root / "empty-0000000000-01").mkdir(parents=True)
    assert store.runs() == []
    assert "no record" in store.skipped[0]


def test_find_returns_the_newest_done_run(store: Store) -> None:
    for status in ("done", "done", "failed"):
        draft = store.begin("m-0000000000", {})
        store.publish(draft, a_run(draft, status=status))
    found = store.find("m-0000000000")
    assert found is not None
    assert found.run_id == "m-0000000000-02"
    assert store.find("m-1111111111") is None


def test_the_hundredth_run_of_a_job_is_newer_than_the_ninety_ninth(store: Store) -> None:
    publish_many(str(store.root), 1)
    for number in (99, 100):
        shutil.copytree(store.root / "job-0123456789-01", store.root / f"job-0123456789-{number:02d}")
        record = store.root / f"job-0123456789-{number:02d}" / "run.json"
        record.write_text(record.read_text().replace("0123456789-01", f"0123456789-{number:02d}"))
    found = store.find("job-0123456789")
    assert found is not None
    assert found.run_id == "job-0123456789-100"


def test_a_draft_that_is_published_while_drafts_are_listed_disturbs_no_listing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    staying, going = store.begin("m-0000000000", {}), store.begin("m-1111111111", {})
    read = _drafts._optional

    def published_meanwhile(path: Path) -> dict[str, Any]:
        if path.parent == going and going.exists():
            store.publish(going, a_run(going))
        return read(path)

    monkeypatch.setattr(_drafts, "_optional", published_meanwhile)
    assert [run.run_id for run in store.drafts()] == [staying.name.removeprefix(".draft-")]


def test_a_full_disk_names_the_path_and_keeps_the_draft(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = store.begin("m-0000000000", {})

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkbenchError, match="is full") as told:
        store.publish(draft, a_run(draft))
    assert str(store.root) in str(told.value)
    assert draft.exists()
    assert store.runs() == []


def test_a_draft_is_planned_then_running_then_lost(store: Store) -> None:
    draft = store.begin("m-0000000000", {})
    assert [run.status for run in store.drafts()] == ["planned"]
    own(draft)
    assert [run.status for run in store.drafts()] == ["running"]
    owner = json.loads((draft / "owner.json").read_text())
    (draft / "owner.json").write_text(json.dumps({**owner, "born": owner["born"] - 1000}))  # the pid was used again
    assert [run.status for run in store.drafts()] == ["lost"]
    (draft / "exit.json").write_text(json.dumps({"exit_code": -9, "signal": "SIGKILL"}))
    (lost,) = store.lost()
    assert lost.error is not None
    assert "SIGKILL" in lost.error["message"]


def test_an_old_draft_without_an_owner_is_lost(store: Store) -> None:
    draft = store.begin("m-0000000000", {})
    long_ago = time.time() - 3600
    os.utime(draft, (long_ago, long_ago))
    assert [run.status for run in store.drafts()] == ["lost"]


def test_deleting_takes_a_run_but_not_a_running_one(store: Store) -> None:
    publish_many(str(store.root), 1)
    draft = store.begin("m-0000000000", {})
    own(draft)
    with pytest.raises(InvalidInput, match="is running"):
        store.delete("m-0000000000-01")
    store.delete("job-0123456789-01")
    assert store.runs() == []


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "nothing-here-01"])
def test_a_run_id_never_leaves_the_store(store: Store, name: str) -> None:
    store.root.mkdir(parents=True)
    with pytest.raises(InvalidInput):
        store.get(name)
