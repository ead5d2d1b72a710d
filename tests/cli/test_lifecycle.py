"""What becomes of runs, by command: marked, deleted, tidied away, carried to another store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import call, keys_of, read
from workbench.nouns import Measurement, Run
from workbench.store import Store

JOB = {"model": {"use": "lenet_5"}, "data": {"use": "digits"}, "format": {"use": "onnx"}, "seed": 0}


def made(store: Store, job_id: str, *, parent: str | None = None) -> str:
    """Publish a run with an artifact of 10,000 bytes and return its id."""
    draft = store.begin(job_id, JOB, parent=parent, reference=None)
    (draft / "model.bin").write_bytes(os.urandom(10_000))
    run_id = draft.name.removeprefix(".draft-")
    size = Measurement("artifact_bytes", "bytes", "lower", 10_000)
    run = Run(run_id, job_id, "done", JOB, parent=parent, ended="2026-01-02T03:04:05Z", measurements=(size,))
    return store.publish(draft, run).run_id


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A base, its child, and one on its own, in the store that commands take without --store."""
    store = Store(tmp_path / "runs")
    made(store, "base-aaaaaaaaaa")
    made(store, "child-bbbbbbbbbb", parent="base-aaaaaaaaaa-01")
    made(store, "single-cccccccccc")
    monkeypatch.setenv("WORKBENCH_STORE", str(store.root))
    return store


def ids(store: Store) -> list[str]:
    return sorted(run.run_id.partition("-")[0] for run in store.runs())


# ── tag, note, pin ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tags_are_added_and_removed_in_one_go(three: Store) -> None:
    call("tag", "child", "+good", "+draft")
    record = read("tag", "child", "+round-2", "-draft")
    assert record["run_id"] == "child-bbbbbbbbbb-01" and record["tags"] == ["good", "round-2"]
    assert "tagged good, round-2" in call("tag", "child").stdout


def test_marks_are_shown_and_pick_rows_of_the_table(three: Store) -> None:
    call("note", "child", "take this one")
    call("pin", "single")
    rows = read("table", "--where", "pinned = true or note contains TAKE")["rows"]
    assert [row["run_id"].partition("-")[0] for row in rows] == ["child", "single"]
    assert "single-cccccccccc-01 pinned" in call("table").stdout
    assert "take this one" in call("show", "child").stdout
    assert call("table", "--csv").stdout.splitlines()[0].count("tags,note,pinned,machine") == 1
    assert read("unpin", "single")["pinned"] is False
    assert read("note", "child", "")["note"] == ""


def test_a_word_without_a_sign_and_a_run_that_is_not_there_are_bad_input(three: Store) -> None:
    assert "write +good" in call("tag", "child", "good", code=2).stderr
    assert "can't be a tag" in call("tag", "child", "+two words", code=2).stderr
    assert "did you mean" in call("pin", "sinlge-cccccccccc-01", code=2).stderr


def test_choosing_can_be_among_tagged_runs(three: Store) -> None:
    call("tag", "child", "+good")
    record = read("choose", "--max-bytes", "1000000", "--where", "tags contains good")
    assert record["recommended"] == "child-bbbbbbbbbb-01" and record["why_not"] == {}


# ── delete ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleting_asks_and_needs_yes_where_nobody_can_answer(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--yes" in call("delete", "single", code=2).stderr
    assert len(ids(three)) == 3
    monkeypatch.setattr("workbench.cli._lifecycle._somebody_is_there", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, abort: asked.append(question))
    asked: list[str] = []
    call("delete", "single")
    assert ids(three) == ["base", "child"] and "single-cccccccccc-01" in asked[0]


def test_a_no_deletes_nothing(three: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from workbench.cli import app

    monkeypatch.setattr("workbench.cli._lifecycle._somebody_is_there", lambda: True)
    assert CliRunner().invoke(app, ["delete", "single"], input="n\n").exit_code == 1
    assert len(ids(three)) == 3


def test_a_parent_is_deleted_with_its_children_or_by_force(three: Store) -> None:
    said = call("delete", "base", "single", "--yes", code=2).stderr
    assert "base-aaaaaaaaaa-01 is needed by child-bbbbbbbbbb-01" in said and len(ids(three)) == 3
    assert read("delete", "base", "child", "--yes")["deleted"] == ["base-aaaaaaaaaa-01", "child-bbbbbbbbbb-01"]
    made(three, "again-dddddddddd", parent="single-cccccccccc-01")
    call("delete", "single", "--yes", "--force")
    assert ids(three) == ["again"]


def test_a_pinned_run_is_not_deleted(three: Store) -> None:
    call("pin", "single")
    assert "workbench unpin" in call("delete", "single", "--yes", "--force", code=2).stderr


# ── gc ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_gc_says_what_would_go_and_does_it_with_yes_only(three: Store) -> None:
    said = call("gc", "--quota", "25kB").stdout
    assert "would go" in said and "--yes does it" in said and len(ids(three)) == 3
    record = read("gc", "--quota", "25kB", "--yes")
    assert record["is_enough"] and len(record["removed"]) == 1 and record["used_bytes"] > 25_000 >= record["left_bytes"]
    assert len(ids(three)) == 2
    assert "nothing has to go" in call("gc", "--quota", "25kB", "--yes").stdout


def test_gc_ends_with_one_and_removes_nothing_when_too_much_is_pinned(three: Store) -> None:
    for run in ("base", "child"):
        call("pin", run)
    said = call("gc", "--quota", "15kB", "--yes", code=1).stdout
    assert "2 runs (pinned)" in said and "nothing was removed" in said
    assert len(ids(three)) == 3
    assert "is not a size" in call("gc", "--quota", "much", code=2).stderr


def test_gc_leaves_runs_of_the_last_days(three: Store) -> None:
    record = read("gc", "--quota", "0", "--keep-days", "1000000", code=1)
    assert record["items"] == [] and record["kept"][0]["runs"] == 3


# ── export, import ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_carried_to_another_store(three: Store, tmp_path: Path) -> None:
    call("tag", "child", "+good")
    told = read("export", "child", "--to", tmp_path / "runs.zip")
    assert told["runs"] == ["child-bbbbbbbbbb-01"] and told["bytes"] == (tmp_path / "runs.zip").stat().st_size
    other = Store(tmp_path / "other")
    assert len(read("import", tmp_path / "runs.zip", "--store", other.root)["added"]) == 2
    rows = read("table", "--store", other.root, "--where", "tags contains good")["rows"]
    assert rows[0]["machine"].startswith("imported: ")
    assert "imported from runs.zip" in call("show", "child", "--store", other.root).stdout
    assert "here already: base" in call("import", tmp_path / "runs.zip", "--store", other.root).stdout
    call("export", "child", "--alone", "--to", tmp_path / "alone.zip")
    assert "added child-bbbbbbbbbb-01\n" in call("import", tmp_path / "alone.zip", "--store", tmp_path / "third").stdout


def test_a_damaged_file_ends_with_one_and_an_old_name_with_two(three: Store, tmp_path: Path) -> None:
    call("export", "child", "--to", tmp_path / "runs.zip")
    assert "exists already" in call("export", "child", "--to", tmp_path / "runs.zip", code=2).stderr
    (tmp_path / "half.zip").write_bytes((tmp_path / "runs.zip").read_bytes()[:5000])
    assert "nothing was imported" in call("import", tmp_path / "half.zip", "--store", tmp_path / "o", code=1).stderr


# ── help ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_field_of_json_is_documented_in_the_help(three: Store, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "tag": read("tag", "child", "+x"),
        "note": read("note", "child", "n"),
        "pin": read("pin", "child"),
        "unpin": read("unpin", "child"),
        "gc": {**read("gc", "--quota", "15kB", code=1), "refused": {}},
        "export": read("export", "child", "--to", tmp_path / "runs.zip"),
        "import": read("import", tmp_path / "runs.zip"),
        "delete": read("delete", "single", "--yes"),
    }
    for command, record in asked.items():
        said = call(command, "--help").stdout
        missing = [key for key in keys_of(record) if f'"{key}"' not in said]
        assert not missing, (command, missing)
