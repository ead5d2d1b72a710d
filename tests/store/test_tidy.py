"""A store fits its quota by losing what is missed least, and never what somebody wants to keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored import aged, made, names

from workbench import marks, tidy
from workbench.errors import InvalidInput
from workbench.store import Store, own


def total(store: Store) -> int:
    return sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file())


def state(store: Store, name: str, *, days: float) -> Path:
    path = store.root / ".cache" / f"{name}.state"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"s" * 100)
    path.with_suffix(".lock").touch()
    return aged(path, days)


def lost_draft(store: Store, job_id: str, *, days: float) -> Path:
    draft = store.begin(job_id, {})
    (draft / "exit.json").write_text('{"exit_code": -9, "signal": "SIGKILL"}')
    return aged(draft, days)


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("5GB", 5 * 10**9), ("5 gib", 5 * 2**30), ("500M", 500 * 10**6), ("2.5kB", 2500), ("1000", 1000), ("1 TiB", 2**40),
     ("12 bytes", 12)],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text: str, num_bytes: int) -> None:
    assert tidy.size_from(text) == num_bytes


@pytest.mark.parametrize("text", ["", "GB", "5 apples", "-5GB", "1e9", "5ib", "5 GB of it", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        tidy.size_from(text)


def test_within_its_quota_a_store_loses_nothing(store: Store) -> None:
    made(store, "a-01")
    lost_draft(store, "b", days=3)
    planned = tidy.plan(store, quota_bytes=total(store))
    assert planned.items == () and planned.is_enough and planned.used_bytes == total(store)


def test_what_is_missed_least_goes_first(store: Store) -> None:
    made(store, "new-01", days_old=1)
    made(store, "old-01", days_old=20)
    made(store, "gone-01")
    marks.mark(store, "gone-01", note="n")
    (store.root / ".comparisons").mkdir()
    (store.root / ".comparisons" / "gone-01+new-01-01.npz").write_bytes(b"12")
    (store.root / ".comparisons" / "old-01+new-01-01.npz").write_bytes(b"12")
    (store.root / "gone-01").rename(store.root.parent / "elsewhere")  # by hand, so that its traces stay
    state(store, "fresh", days=0)
    state(store, "unused", days=9)
    lost_draft(store, "killed", days=2)
    lost_draft(store, "just-now", days=0.5)
    (store.root / ".import-abc").mkdir()
    aged(store.root / ".import-abc", 2)
    (store.root / ".import-now").mkdir()
    planned = tidy.plan(store, quota_bytes=0)
    assert [(item.kind, item.name) for item in planned.items] == [
        ("left-over", "killed-01"), ("left-over", ".import-abc"), ("state", "unused.state"), ("state", "fresh.state"),
        ("comparison", "gone-01+new-01-01.npz"), ("marks", "gone-01.json"), ("run", "old-01"), ("run", "new-01"),
    ]  # fmt: skip


def test_a_plan_changes_nothing_until_it_is_carried_out_and_then_stops_at_the_quota(store: Store) -> None:
    for number, days in enumerate((30, 20, 10)):
        made(store, f"r{number}-01", days_old=days)
    marks.mark(store, "r0-01", note="a note alone protects nothing")
    before = total(store)
    planned = tidy.plan(store, quota_bytes=before - 10)
    assert total(store) == before and [item.name for item in planned.items] == ["r0-01"]
    assert planned.left_bytes == before - planned.items[0].num_bytes and "done on" in planned.items[0].reason
    done = tidy.carry_out(planned)
    assert [item.name for item in done.removed] == ["r0-01"] and not done.refused
    assert names(store) == ["r1-01", "r2-01"] and total(store) <= before - 10
    assert marks.read_all(store) == {}


def test_states_go_with_their_locks_and_before_any_run(store: Store) -> None:
    made(store, "a-01")
    path = state(store, "x", days=1)
    tidy.carry_out(tidy.plan(store, quota_bytes=total(store) - 1))
    assert not path.exists() and not path.with_suffix(".lock").exists() and names(store) == ["a-01"]


def test_runs_stay_that_are_pinned_tagged_young_lately_failed_or_needed(store: Store) -> None:
    made(store, "base-01", days_old=90)
    made(store, "pinned-01", days_old=80, parent="base-01")
    made(store, "tagged-01", days_old=70)
    made(store, "failed-01", days_old=0.5, status="failed")
    made(store, "young-01", days_old=2)
    made(store, "old-01", days_old=60)
    marks.mark(store, "pinned-01", pinned=True)
    marks.mark(store, "tagged-01", add_tags=["x"])
    planned = tidy.plan(store, quota_bytes=0, keep_days=5)
    assert [item.name for item in planned.items] == ["old-01"]
    assert {kept.reason for kept in planned.kept} == {
        "pinned", "tagged", "younger than 5 days", "needed by runs that stay",
    }  # fmt: skip
    (failed,) = [kept for kept in tidy.plan(store, quota_bytes=0).kept if "failed" in kept.reason]
    assert failed.reason == "failed within the last day" and failed.num_runs == 1


def test_a_parent_goes_only_after_all_that_need_it(store: Store) -> None:
    made(store, "base-01", days_old=90)
    made(store, "other-01", days_old=50)
    made(store, "child-01", days_old=30, parent="base-01")
    made(store, "grandchild-01", days_old=20, parent="child-01")
    planned = tidy.plan(store, quota_bytes=0)
    assert [item.name for item in planned.items] == ["other-01", "grandchild-01", "child-01", "base-01"]


def test_a_running_draft_and_what_it_needs_are_never_planned(store: Store) -> None:
    made(store, "base-01", days_old=90)
    draft = store.begin("child", {}, parent="base-01", reference=None)
    own(draft)
    for path in (draft, draft / "job.json", draft / "owner.json", draft / "relatives.json"):
        aged(path, 5)
    assert tidy.plan(store, quota_bytes=0).items == ()


def test_a_marked_lost_draft_stays(store: Store) -> None:
    lost_draft(store, "a", days=9)
    marks.mark(store, "a-01", note="look into this")
    assert tidy.plan(store, quota_bytes=0).items == ()


def test_when_everything_is_pinned_the_quota_is_refused_and_nothing_goes(store: Store) -> None:
    for run_id in ("a-01", "b-01"):
        made(store, run_id)
        marks.mark(store, run_id, pinned=True)
    made(store, "c-01")
    planned = tidy.plan(store, quota_bytes=1500)
    assert not planned.is_enough and [item.name for item in planned.items] == ["c-01"]
    with pytest.raises(InvalidInput, match=r"in 2 runs \(pinned\)"):
        tidy.carry_out(planned)
    assert names(store) == ["a-01", "b-01", "c-01"]


def test_what_was_kept_or_became_needed_since_the_plan_stays_with_its_relatives(store: Store) -> None:
    for number in range(4):
        made(store, f"r{number}-01", days_old=50 - number)
    made(store, "child-01", days_old=1, parent="r3-01")
    planned = tidy.plan(store, quota_bytes=0)
    planned = tidy.Plan(planned.root, total(store), planned.used_bytes, planned.items)
    marks.mark(store, "r0-01", pinned=True)
    marks.mark(store, "r1-01", add_tags=["good"])
    made(store, "newer-01", days_old=0, parent="r2-01")
    marks.mark(store, "child-01", pinned=True)
    done = tidy.carry_out(planned)
    assert done.removed == () and set(done.refused) == {"r0-01", "r1-01", "r2-01", "r3-01", "child-01"}
    assert "tagged meanwhile" in done.refused["r1-01"] and "needs it" in done.refused["r3-01"]
    assert len(names(store)) == 6


def test_a_run_whose_marks_can_not_be_read_stays(store: Store) -> None:
    made(store, "a-01")
    marks.mark(store, "a-01", pinned=True)
    (store.root / ".marks" / "a-01.json").write_text("{")
    planned = tidy.plan(store, quota_bytes=0)
    assert planned.items == () and planned.kept[0].reason == "their marks can't be read"


def test_negative_limits_are_refused_together(store: Store) -> None:
    with pytest.raises(InvalidInput) as told:
        tidy.plan(store, quota_bytes=-1, keep_days=-1)
    assert len(told.value.problems) == 2
