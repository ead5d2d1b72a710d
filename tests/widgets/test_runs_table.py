"""The table of runs: filter, brushing, marks, deleting, driven without a browser."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.charts.crafted_runs import crafted_run
from widgets.pump import Pump
from widgets.runs_table import RunsTable
from widgets.session import Session
from workbench import marks
from workbench.job import Job
from workbench.store import Store

JOB = Job.from_json({"model": "lenet_5", "data": "digits", "steps": ["train"]}).to_json()


def keep(store: Store, name: str, **values: Any) -> str:
    """Publish a crafted run; returns its id."""
    steps = [*JOB["steps"], *values.pop("steps", ())]
    draft = store.begin(name, {**JOB, "steps": steps})
    run = replace(crafted_run(f"{name}-01", **values), job={**JOB, "steps": steps})
    return store.publish(draft, run).run_id


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Three finished runs, of which one failed, and one whose worker was killed."""
    store = Store(tmp_path / "runs")
    keep(store, "plain", accuracy=0.97, size=500_000)
    keep(store, "pruned", accuracy=0.90, size=80_000, parent="plain-01", ratio=(0.8, 0.7, 0.9),
         steps=[{"use": "magnitude_prune", "sparsity": 0.5}])  # fmt: skip
    keep(store, "broken", status="failed")
    (store.begin("killed", JOB) / "exit.json").write_text(json.dumps({"exit_code": -9, "signal": 9}))
    session = Session(store.root)
    session.refresh()
    yield session


@pytest.fixture
def panel(session: Session) -> RunsTable:
    panel = RunsTable(session, Pump())
    panel.pump.drain()
    return panel


def listed(panel: RunsTable) -> dict[str, dict[str, Any]]:
    """Return what the browser gets: run id → column → cell."""
    record = json.loads(zlib.decompress(panel.table.view.packed))
    names = [column["name"] for column in record["columns"]]
    return {run_id: dict(zip(names, row)) for run_id, row in zip(record["ids"], zip(*record["cells"]))}


def click(panel: RunsTable, name: str) -> None:
    getattr(panel.actions, name).click()
    panel.pump.drain()


def pick(panel: RunsTable, *run_ids: str) -> None:
    panel.table.view.selected = list(run_ids)
    panel.pump.drain()


def test_every_run_is_listed_failed_and_lost_ones_with_their_cause(panel: RunsTable) -> None:
    rows = listed(panel)
    assert set(rows) == {"plain-01", "pruned-01", "broken-01", "killed-01"}
    assert rows["broken-01"]["status"] == "✕ failed" and rows["broken-01"]["error"] == "raised: no space <left> here"
    assert rows["killed-01"]["status"] == "? lost"
    assert rows["killed-01"]["error"] == "killed: the worker is gone: killed by signal 9"


def test_cells_are_worded_with_intervals_and_sorted_by_value(panel: RunsTable) -> None:
    row = listed(panel)["pruned-01"]
    assert row["artifact_bytes"] == [80_000, "80 kB"] and row["latency_ratio_to_parent"] == [0.8, "0.80 [0.70, 0.90]"]
    assert row["accuracy"] == [0.9, "90.0% [89.0%, 91.0%]"] and listed(panel)["broken-01"]["accuracy"] is None


def test_the_filter_is_the_sessions_and_says_its_errors_in_words(session: Session, panel: RunsTable) -> None:
    panel.where.value = "accuracy > 0.95"
    panel.pump.drain()
    assert (
        session.where == "accuracy > 0.95" and set(listed(panel)) == {"plain-01"} and "1 of 4 runs" in panel.count.value
    )
    panel.where.value = "acuracy > 0.95"
    panel.pump.drain()
    assert "did you mean" in panel.problem.value and 'role="alert"' in panel.problem.value
    assert session.where == "accuracy > 0.95" and set(listed(panel)) == {"plain-01"}
    session.refresh()
    panel.update()
    assert panel.where.value == "acuracy > 0.95", "what is being typed stays"
    session.where = "status = failed"
    panel.pump.drain()
    assert panel.where.value == "status = failed" and set(listed(panel)) == {"broken-01"} and panel.problem.value == ""


def test_a_row_that_is_clicked_becomes_b_and_brushing_goes_both_ways(session: Session, panel: RunsTable) -> None:
    pick(panel, "pruned-01")
    assert session.b == "pruned-01" and session.selected == ("pruned-01",)
    pick(panel, "plain-01", "pruned-01")
    assert session.selected == ("plain-01", "pruned-01") and session.b == "pruned-01"
    session.selected = ("broken-01",)
    panel.pump.drain()
    assert panel.table.view.selected == ["broken-01"] and session.b == "pruned-01", "a brush elsewhere picks no run"
    assert "no space &lt;left&gt; here" in panel.actions.facts.value and "Next: free some" in panel.actions.facts.value


def test_only_the_picked_stay_listed_while_one_of_them_is_clicked(session: Session, panel: RunsTable) -> None:
    session.selected = ("plain-01", "broken-01")
    panel.only.value = True
    panel.pump.drain()
    assert set(listed(panel)) == {"plain-01", "broken-01"}
    pick(panel, "plain-01")
    assert set(listed(panel)) == {"plain-01", "broken-01"}
    session.selected = ("pruned-01",)
    panel.pump.drain()
    assert set(listed(panel)) == {"pruned-01"}
    panel.only.value = False
    panel.pump.drain()
    assert len(listed(panel)) == 4


def test_columns_can_be_chosen(panel: RunsTable) -> None:
    assert "run_id" not in listed(panel)["plain-01"]
    panel.chooser.value = ("run_id", "seed", "accuracy_validation")
    panel.pump.drain()
    assert list(listed(panel)["plain-01"]) == ["run_id", "accuracy_validation", "seed"]


def test_a_and_b_are_set_and_the_recipe_is_taken_over(session: Session, panel: RunsTable) -> None:
    pick(panel, "plain-01")
    click(panel, "as_a")
    pick(panel, "pruned-01")
    pair = session.compared()
    assert pair is not None and [run.run_id for run in pair] == ["plain-01", "pruned-01"]
    click(panel, "recipe")
    assert [step["use"] for step in session.steps] == ["train", "magnitude_prune"]
    click(panel, "parent")
    assert session.a == ""


def test_a_run_that_failed_cannot_be_compared_with(panel: RunsTable) -> None:
    pick(panel, "broken-01")
    assert panel.actions.as_a.disabled and not panel.actions.recipe.disabled
    pick(panel, "plain-01", "pruned-01")
    assert panel.actions.recipe.disabled and not panel.actions.tag.disabled


def test_tags_note_and_pin_are_kept_with_the_run_and_seen_at_once(session: Session, panel: RunsTable) -> None:
    pick(panel, "plain-01", "pruned-01")
    panel.actions.tags.value = "good, round-2"
    click(panel, "tag")
    assert listed(panel)["plain-01"]["tags"] == "good, round-2" == listed(panel)["pruned-01"]["tags"]
    pick(panel, "plain-01")
    panel.actions.tags.value, panel.actions.note.value = "good", "look <here>"
    click(panel, "untag")
    click(panel, "keep_note")
    click(panel, "pin")
    assert marks.read(session.store, "plain-01") == marks.Marks(("round-2",), "look <here>", pinned=True)
    assert panel.actions.pin.description == "Unpin" and "look &lt;here&gt;" in panel.actions.facts.value
    panel.actions.tags.value = "-bad-"
    click(panel, "tag")
    assert "can&#x27;t be a tag" in panel.actions.told.value and 'role="alert"' in panel.actions.told.value


def test_deleting_asks_first_and_takes_force_for_what_others_need(session: Session, panel: RunsTable) -> None:
    pick(panel, "plain-01")
    click(panel, "delete")
    assert "Delete plain-01 for good?" in panel.actions.asked.value and session.store.get("plain-01")
    pick(panel, "broken-01")
    assert panel.actions.question.layout.display == "none", "the question was about another run"
    click(panel, "delete")
    click(panel, "no")
    assert "broken-01" in listed(panel)
    pick(panel, "plain-01")
    click(panel, "delete")
    click(panel, "sure")
    assert "is needed by pruned-01" in panel.actions.told.value and "plain-01" in listed(panel)
    click(panel, "force")
    session.refresh()
    panel.pump.drain()
    assert "plain-01" not in listed(panel) and session.b == "" and session.selected == ()


def test_a_refusal_that_comes_late_offers_no_force_against_what_is_picked_by_then(panel: RunsTable) -> None:
    pick(panel, "plain-01")
    click(panel, "delete")
    panel.actions.sure.click()
    panel.pump.do(panel.actions.show, [panel.session.run_of("broken-01")])
    panel.pump.drain()
    assert "is needed by pruned-01" in panel.actions.told.value
    assert panel.actions.question.layout.display == "none"
    click(panel, "force")
    assert {"plain-01", "broken-01"} <= listed(panel).keys()


def test_a_lost_run_can_be_deleted(session: Session, panel: RunsTable) -> None:
    pick(panel, "killed-01")
    click(panel, "delete")
    click(panel, "sure")
    assert "1 deleted" in panel.actions.told.value and "killed-01" not in listed(panel)


def test_csv_holds_what_is_listed_and_says_where(session: Session, panel: RunsTable) -> None:
    session.where = "status = done"
    panel.csv.button.click()
    panel.pump.drain()
    (path,) = session.store.root.parent.glob("runs-*.csv")
    with path.open(newline="") as file:
        assert {row["run_id"] for row in csv.DictReader(file)} == {"plain-01", "pruned-01"}
    assert str(path) in panel.csv.told.value and "data:text/csv;base64," in panel.csv.told.value


def test_an_update_that_changes_nothing_sends_nothing(panel: RunsTable) -> None:
    sent: list[Any] = []
    for widget in (panel.table.view, panel.count, panel.problem, panel.where, panel.actions.facts, panel.actions.told):
        widget.observe(sent.append)
    panel.update()
    panel.pump.drain()
    assert sent == []


def test_rows_of_known_runs_are_not_made_again(
    session: Session, panel: RunsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr("workbench.table._row", lambda run: made.append(run.run_id) or {"run_id": run.run_id})
    panel.update()
    assert made == []


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    panel = RunsTable(Session(tmp_path), Pump())
    panel.pump.drain()
    assert "press Run" in panel.count.value and "press Run" in panel.static()[0].data
    assert "Click a row" in panel.actions.facts.value and panel.actions.delete.disabled


def test_headless_there_is_a_table_of_the_newest_runs(panel: RunsTable) -> None:
    (said,) = panel.static()
    assert "4 runs" in said.data and "90.0% [89.0%, 91.0%]" in said.data and "no space &lt;left&gt;" in said.data
