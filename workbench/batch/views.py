"""The rows of a batch as they stand now, for whoever shows them: status, tables, pages."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from workbench.batch import _row
from workbench.batch._compose import joined
from workbench.batch._folder import Folder
from workbench.batch._identity import why_stale
from workbench.batch._plan import Plan, stored_plan
from workbench.batch._problem import groups
from workbench.batch._record import Metric, Record, State
from workbench.errors import InvalidInput

MOST_CHARACTERS = 160  # of an error where it is one line among many


@dataclass(frozen=True)
class View:
    """One row: the values it is for, its state, and its record where it has one."""

    row_id: str
    values: Mapping[str, Any]
    state: str  # of `_record.State`
    why: str = ""
    record: Record | None = None  # None = it has never ended
    cell: Mapping[str, Any] | None = None  # of a running one: where it is


@dataclass(frozen=True)
class Line:
    """What has metrics: a row, or each of the runs that a row made when it made several."""

    view: View
    label: str
    metrics: Mapping[str, Metric]
    run: Mapping[str, str] | None = None  # run_id and store; None = the row itself


@dataclass(frozen=True)
class Batch:
    """Everything that is known of a batch."""

    folder: Folder
    path_of_notebook: str
    rows: tuple[View, ...]
    then: tuple[str, ...] = ()  # paths of the notebooks that follow in each row

    @property
    def notebook(self) -> str:
        """The names of the notebooks of a row."""
        return " → ".join(Path(each).name for each in (self.path_of_notebook, *self.then))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for view in self.rows for line in _lines(view))

    @property
    def counts(self) -> dict[str, int]:
        """How many rows are in each state that occurs; what passed first."""
        states = [view.state for view in self.rows]
        ordered = ["passed", *typing.get_args(State)]
        return {state: states.count(state) for state in dict.fromkeys(ordered) if state in states}

    @property
    def records(self) -> list[Record]:
        return [view.record for view in self.rows if view.record]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Errors that are the same one, together."""
        return groups({record.row_id: record.error for record in self.records if record.error})


def look(folder: Folder) -> Batch:
    """Read a batch as it stands. A row whose result no longer fits its notebook is stale; without the notebook nobody knows."""
    record = folder.plan()
    plan = _current(folder)
    known = {row.row_id: row for row in plan.rows} if plan else {}
    records = folder.records(row["row_id"] for row in record["rows"])
    told, is_run = folder.states(), folder.runner() is not None
    views = []
    for each in record["rows"]:
        row_id = each["row_id"]
        values = known[row_id].values if row_id in known else each["given"]
        fresh = plan.fingerprint(known[row_id]) if plan and row_id in known else None
        views.append(_view(folder, row_id, values, records.get(row_id), told.get(row_id, {}), fresh, is_run))
    return Batch(folder, record["notebook"], tuple(views), tuple(record.get("stages", ())))


def batch_in(folder: str | Path) -> Batch:
    """Read the batch in a folder; raises InvalidInput when there is none."""
    return look(Folder(folder))


def counted(batch: Batch) -> str:
    """Return, as in `9 passed, 2 failed, 1 timeout`."""
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in batch.counts.items())


def said(view: View) -> str:
    """Return where a running row is, or why a row is in its state, in a line."""
    if view.state == "running" and view.cell:
        stage = f"{view.cell['stage']}, " if view.cell.get("stage") else ""
        return f"{stage}cell {view.cell['cell']} of {view.cell['total']}: {view.cell['title'] or view.cell['line']}"
    if view.record and view.record.error and view.state == view.record.status:
        return (view.record.error.message.splitlines() or [""])[0][:MOST_CHARACTERS]
    return view.why


def _current(folder: Folder) -> Plan | None:
    """Return the plan with the notebook of now; None when it is gone, or no longer takes these values."""
    try:
        return stored_plan(folder)
    except InvalidInput:
        return None


def _view(
    folder: Folder, row_id: str, values: Mapping[str, Any], record: Record | None, told: Mapping[str, Any],
    fresh: Mapping[str, Any] | None, is_run: bool,
) -> View:  # fmt: skip
    state, why = told.get("state", "planned"), told.get("why", "")
    if state == "running" and is_run:
        return View(row_id, values, "running", record=record, cell=_cell(folder.draft(row_id)))
    if record is None:
        unfinished = state in ("running", "planned") and not is_run and told
        return View(
            row_id, values, "not_run" if unfinished else state, "the runner ended before it" if unfinished else why
        )
    if state == "planned" and is_run:
        return View(row_id, values, "planned", why, record)
    if record.passed and fresh is not None and (stale := why_stale(record.fingerprint, fresh)):
        return View(row_id, values, "stale", stale, record)
    return View(row_id, values, record.status, record.reason, record)


def _cell(draft: Path) -> Mapping[str, Any] | None:
    try:
        lines = (draft / _row.PROGRESS).read_bytes().rpartition(b"\n")[0].splitlines()
    except FileNotFoundError:
        return None
    return orjson.loads(lines[-1]) if lines else None


def _lines(view: View) -> list[Line]:
    if view.record is None:
        return []
    runs: Sequence[Mapping[str, str]] = view.record.runs
    if len(runs) < 2:
        return [Line(view, view.row_id, view.record.metrics, runs[0] if runs else None)]
    recorded = {name: metric for name, metric in view.record.metrics.items() if not metric.scope}
    return [Line(view, f"{view.row_id}: {run['run_id']}", joined([run]) | recorded, run) for run in runs]
