"""Runs travel between stores whole and unchanged; a file that is not what it says adds nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stored import content, made, names

from workbench import exchange, marks, tidy
from workbench.errors import ArtifactError, InvalidInput
from workbench.store import Store, own


def test_runs_arrive_byte_for_byte_with_their_relatives_and_marks(store: Store, other: Store, packed: Path) -> None:
    found = exchange.import_runs(other, packed)
    assert found == exchange.Imported(("base-01", "child-01"), ())
    assert content(other) == content(store)
    assert marks.read_all(other) == {
        "base-01": marks.Marks(imported_from="runs.zip"),
        "child-01": marks.Marks(("good",), "take", pinned=True, imported_from="runs.zip"),
    }
    assert sorted(path.name for path in other.root.iterdir()) == [".marks", "base-01", "child-01"]


def test_relatives_stay_behind_when_asked_to_or_gone(store: Store, tmp_path: Path, packed: Path) -> None:
    alone = exchange.export(store, ["child-01"], tmp_path / "alone.zip", with_relatives=False)
    assert exchange.import_runs(Store(tmp_path / "x"), alone).added == ("child-01",)
    store.delete("base-01", force=True)
    without = exchange.export(store, ["child-01"], tmp_path / "without.zip")
    assert exchange.import_runs(Store(tmp_path / "y"), without).added == ("child-01",)


def test_the_teacher_of_a_distilled_run_travels_along(store: Store, other: Store, tmp_path: Path) -> None:
    made(store, "teacher-01")
    made(store, "student-01", job={"steps": [{"use": "distill", "teacher": "run:teacher-01"}]})
    exchange.import_runs(other, exchange.export(store, ["student-01"], tmp_path / "runs.zip"))
    assert names(other) == ["student-01", "teacher-01"]


def test_equal_runs_make_equal_files(store: Store, packed: Path, tmp_path: Path) -> None:
    again = exchange.export(store, ["child-01", "base-01"], tmp_path / "again.zip")
    assert again.read_bytes() == packed.read_bytes()


def test_what_is_there_already_is_left_as_it_is(store: Store, other: Store, packed: Path) -> None:
    assert exchange.import_runs(store, packed) == exchange.Imported((), ("base-01", "child-01"))
    assert marks.read(store, "base-01") == marks.NONE
    exchange.import_runs(other, packed)
    other.delete("base-01", force=True)
    marks.mark(other, "child-01", remove_tags=["good"])
    assert exchange.import_runs(other, packed) == exchange.Imported(("base-01",), ("child-01",))
    assert marks.read(other, "child-01").tags == ()


def test_ids_that_are_other_runs_here_are_all_named_and_nothing_is_added(other: Store, packed: Path) -> None:
    made(other, "base-01", num_bytes=7)
    own(other.begin("child", {}))
    before = content(other)
    with pytest.raises(InvalidInput) as told:
        exchange.import_runs(other, packed)
    assert told.value.problems == ("base-01 is here with another record", "child-01 is being made here")
    assert content(other) == before and names(other) == ["base-01"]


def test_a_run_that_appears_while_others_are_added_takes_them_back(
    other: Store, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = exchange._unpack

    def unpack(archive: Any, manifest: Any, run_id: str, staging: Path) -> None:
        plain(archive, manifest, run_id, staging)
        if run_id == "child-01":
            made(other, "child-01", num_bytes=3)

    monkeypatch.setattr(exchange, "_unpack", unpack)
    with pytest.raises(InvalidInput, match="appeared here meanwhile"):
        exchange.import_runs(other, packed)
    assert names(other) == ["child-01"] and marks.read_all(other) == {}


def test_an_export_says_everything_that_is_wrong_and_leaves_no_file(store: Store, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(InvalidInput) as told:
        exchange.export(store, ["nothing-01", "neither-01"], packed)
    assert len(told.value.problems) == 3
    with pytest.raises(InvalidInput, match="no run is named"):
        exchange.export(store, [], packed.with_name("new.zip"))
    (store.root / "base-01" / "artifact" / "link").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="is a link"):
        exchange.export(store, ["base-01"], packed.with_name("new.zip"))
    assert packed.read_bytes() == before and [path.name for path in packed.parent.glob("*.zip*")] == ["runs.zip"]
    assert [path.name for path in packed.parent.glob(".*")] == []


KILLED = """
import os, signal, sys
from workbench import exchange, marks
from workbench.store import Store

def dying(function, calls=[]):
    def called(*arguments, **options):
        calls.append(1)
        if len(calls) == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return called

if sys.argv[4] == "unpacking":
    exchange._copied = dying(exchange._copied)
else:
    marks.write = dying(marks.write)
exchange.import_runs(Store(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize(
    ("calls", "while_"), [(1, "unpacking"), (3, "unpacking"), (1, "publishing"), (2, "publishing")]
)
def test_a_killed_import_leaves_whole_runs_only_and_can_be_repeated(
    store: Store, other: Store, packed: Path, calls: int, while_: str
) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(other.root), str(packed), str(calls), while_])
    assert ended.returncode == -signal.SIGKILL
    whole = content(store)
    assert all(whole[name] == text for name, text in content(other).items())
    assert names(other) == ["base-01", "child-01"][: calls if while_ == "publishing" else 0] and not other.skipped
    assert all(
        {name for name in content(other) if name.startswith(run_id)}
        == {name for name in whole if name.startswith(run_id)}
        for run_id in names(other)
    )
    exchange.import_runs(other, packed)
    assert content(other) == whole
    (left,) = other.root.glob(".import-*")
    assert left.is_dir() and tidy.plan(other, quota_bytes=10**9).items == ()
