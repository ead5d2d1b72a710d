"""Marks lie beside records: they come and go whole, never touch a record, and disturb no other run's."""

from __future__ import annotations

import multiprocessing

import pytest
from stored import made, names

from workbench import marks, table
from workbench.errors import ArtifactError, InvalidInput
from workbench.store import Store, own


def test_tags_notes_and_pins_are_kept_beside_an_unchanged_record(store: Store) -> None:
    run = made(store, "a-01")
    record = (store.root / "a-01" / "run.json").read_bytes()
    marks.mark(store, "a-01", add_tags=["good", "round-2"], note="  the one\nto take ", pinned=True)
    after = marks.mark(store, "a-01", remove_tags=["good", "never-there"])
    assert after == marks.Marks(("round-2",), "the one\nto take", pinned=True)
    assert marks.read_all(store) == {"a-01": after} and marks.read(store, "a-01") == after
    assert (store.root / "a-01" / "run.json").read_bytes() == record and store.runs() == [run]


def test_a_run_whose_marks_are_taken_away_leaves_no_file(store: Store) -> None:
    made(store, "a-01")
    marks.mark(store, "a-01", add_tags=["x"], pinned=True)
    assert marks.mark(store, "a-01", remove_tags=["x"], pinned=False) == marks.NONE
    assert list((store.root / ".marks").iterdir()) == []


def test_everything_that_is_wrong_is_told_at_once_and_nothing_changes(store: Store) -> None:
    made(store, "a-01")
    with pytest.raises(InvalidInput) as told:
        marks.mark(store, "b-01", add_tags=["two words", "+plus", "", "x" * 51], note="n" * 2001)
    assert len(told.value.problems) == 6
    assert not (store.root / ".marks").exists()


@pytest.mark.parametrize("run_id", ["", "..", "../a-01", ".marks", "a-01/artifact"])
def test_what_is_no_run_can_not_be_marked(store: Store, run_id: str) -> None:
    made(store, "a-01")
    with pytest.raises(InvalidInput, match="no run"):
        marks.mark(store, run_id, pinned=True)


def test_a_draft_can_be_marked_and_keeps_its_marks_as_a_run(store: Store) -> None:
    store.begin("a", {})
    marks.mark(store, "a-01", note="watch this")
    assert marks.read_all(store)["a-01"].note == "watch this"


def mark_many(root: str, run_id: str, word: str) -> None:
    for number in range(30):
        marks.mark(Store(root), run_id, add_tags=[f"{word}{number}"])


def test_writers_on_different_runs_never_disturb_each_other(store: Store) -> None:
    for run_id in ("a-01", "b-01", "c-01"):
        made(store, run_id)
    run_in_parallel([(str(store.root), run_id, "t") for run_id in ("a-01", "b-01", "c-01")])
    expected = {f"t{number}" for number in range(30)}
    assert {run_id: set(found.tags) for run_id, found in marks.read_all(store).items()} == dict.fromkeys(
        ("a-01", "b-01", "c-01"), expected
    )


def test_of_two_writers_on_one_run_the_last_one_wins_whole(store: Store) -> None:
    made(store, "a-01")
    run_in_parallel([(str(store.root), "a-01", "t"), (str(store.root), "a-01", "u")])
    found = marks.read(store, "a-01")  # raises when it was torn
    assert {"t29", "u29"} & set(found.tags)
    assert [path.name for path in (store.root / ".marks").iterdir()] == ["a-01.json"]


def run_in_parallel(arguments: list[tuple[str, str, str]]) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=mark_many, args=each) for each in arguments]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": 1, "tags": [1]}', '{"schema": 1, "tags": [], "pinned": "yes"}', '{"tags": [], "odd": 1}'],
)
def test_marks_that_can_not_be_read_hide_no_other_and_protect_their_run(store: Store, text: str) -> None:
    for run_id in ("a-01", "b-01"):
        made(store, run_id)
        marks.mark(store, run_id, add_tags=["x"])
    (store.root / ".marks" / "a-01.json").write_text(text)
    store.runs()
    assert list(marks.read_all(store)) == ["b-01"]
    assert "a-01.json" in store.skipped[0]
    with pytest.raises(ArtifactError, match="a-01.json"):
        marks.read(store, "a-01")


# ── deleting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleting_takes_marks_and_comparisons_along(store: Store) -> None:
    for run_id in ("a-01", "b-01", "c-01"):
        made(store, run_id)
        marks.mark(store, run_id, note="n")
    (store.root / ".comparisons").mkdir()
    for pair in ("a-01+b-01", "b-01+a-01", "b-01+c-01"):
        (store.root / ".comparisons" / f"{pair}-01.npz").write_bytes(b"")
    store.delete("a-01")
    assert sorted(marks.read_all(store)) == ["b-01", "c-01"]
    assert [path.name for path in (store.root / ".comparisons").iterdir()] == ["b-01+c-01-01.npz"]
    assert sorted(path.name for path in store.root.iterdir()) == [".comparisons", ".marks", "b-01", "c-01"]


def test_a_pinned_run_is_not_deleted_even_by_force(store: Store) -> None:
    made(store, "a-01")
    marks.mark(store, "a-01", pinned=True)
    with pytest.raises(InvalidInput, match=r"a-01 is pinned → workbench unpin"):
        store.delete("a-01", force=True)
    (store.root / ".marks" / "a-01.json").write_text("{")
    with pytest.raises(ArtifactError, match="not readable"):
        store.delete("a-01", force=True)
    assert names(store) == ["a-01"]


def test_a_run_that_others_need_is_kept_and_they_are_named(store: Store) -> None:
    made(store, "base-01")
    made(store, "teacher-01")
    made(store, "child-01", parent="base-01")
    made(store, "onnx-01", reference="base-01")
    made(store, "student-01", job={"steps": [{"use": "distill", "teacher": "run:teacher-01"}]})
    with pytest.raises(InvalidInput) as told:
        store.delete("base-01", "teacher-01")
    assert told.value.problems == (
        "base-01 is needed by child-01, onnx-01", "teacher-01 is needed by student-01",
    )  # fmt: skip
    assert len(names(store)) == 5
    store.delete("base-01", "child-01", "onnx-01")  # with all that need it
    store.delete("teacher-01", force=True)
    assert names(store) == ["student-01"]


def test_a_run_that_work_under_way_needs_is_kept(store: Store) -> None:
    made(store, "base-01")
    own(store.begin("child", {}, parent="base-01", reference=None))
    with pytest.raises(InvalidInput, match="base-01 is needed by child-01"):
        store.delete("base-01")


def test_when_one_is_refused_none_is_deleted(store: Store) -> None:
    made(store, "a-01")
    made(store, "b-01")
    marks.mark(store, "b-01", pinned=True)
    with pytest.raises(InvalidInput):
        store.delete("a-01", "b-01")
    with pytest.raises(InvalidInput, match="no run"):
        store.delete("a-01", "a-01/../b-01")
    assert names(store) == ["a-01", "b-01"]


# ── in the table ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_say_and_find_what_was_marked(store: Store) -> None:
    for run_id in ("a-01", "b-01"):
        made(store, run_id)
    marks.mark(store, "a-01", add_tags=["good", "fast"], note="take", pinned=True)
    marks.write(store, "b-01", marks.Marks(imported_from="runs.zip"))
    rows = {row["run_id"]: row for row in table.rows(store.runs(), marks.read_all(store))}
    told = [(row["tags"], row["note"], row["pinned"], row["machine"]) for row in (rows["a-01"], rows["b-01"])]
    assert told == [("fast, good", "take", True, "Example CPU"), (None, None, False, "imported: Example CPU")]
    for text in ("pinned = true", "tags contains fast", "note = take", "tags != none"):
        assert [name for name, row in rows.items() if table.where(text)(row)] == ["a-01"], text
    assert table.rows(store.runs())[0]["pinned"] is None  # nobody looked
