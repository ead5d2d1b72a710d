"""The table of all runs of the store: filtered, sorted, brushed with the charts, and what can be done with a run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _runs_rows, _words
from widgets._runs_actions import RunsActions
from widgets._runs_rows import COMPACT, RunsRows
from widgets._save_csv import SaveCsv
from widgets.table_view import TableView
from workbench import table
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

STATIC_ROWS = 50
EXAMPLE = "accuracy > 0.95 and model contains lenet"


class RunsTable:
    """Shows runs that ended, and lost ones; rows and brushed points are one selection, a single row is also b."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.rows, self.columns = RunsRows(), COMPACT
        self.lost: list[Run] = []
        self._ended: object = None  # how much had ended when lost runs were looked for
        self._brushed: frozenset[str] = frozenset()  # what "only the picked" lists
        self._filter = session.where  # as it was shown or read last
        self.table, self.actions = TableView("runs of the store"), RunsActions(session, pump, self._look_again)
        self.table.on_select(lambda ids: pump.do(self._picked, tuple(ids), key=(self, "pick")))
        self._make_controls()
        self.count, self.problem = ipywidgets.HTML(), ipywidgets.HTML()
        self.view = self._laid_out()
        session.observe(lambda _: pump.do(self.update, key=(self, "rows")), names=["runs", "marks", "where"])
        session.observe(lambda _: pump.do(self._follow, key=(self, "follow")), names=["selected", "a", "b"])
        session.observe(lambda _: pump.do(self._look_for_lost, key=(self, "lost")), names=["runs", "queue"])
        pump.do(self._look_for_lost, key=(self, "lost"))
        pump.do(self.update, key=(self, "rows"))

    def static(self) -> list[Any]:
        """Return the newest rows of the table, as it is filtered."""
        from IPython.display import HTML

        self.lost = self.session.store.lost()
        rows, problem = self._filtered()
        heads = _runs_rows.columns(self.columns)
        lines = [
            [escape(_text(line.get(head.name))) for head in heads]
            for line in _runs_rows.cells(rows[:STATIC_ROWS], self.columns)
        ]
        if not lines:
            return [HTML(_words.note(problem or self._nothing_yet()))]
        caption = f"{len(rows)} runs" if len(rows) <= STATIC_ROWS else f"the newest {STATIC_ROWS} of {len(rows)} runs"
        return [HTML(_words.table(caption, [head.label for head in heads], lines) + _words.note(problem))]

    def update(self) -> None:
        """List the runs that the filter keeps."""
        rows, problem = self._filtered()
        self.table.show(_runs_rows.cells(rows, self.columns), _runs_rows.columns(self.columns))
        if self.session.where != self._filter:  # somebody else set it; else what is being typed stays
            self._filter = self.where.value = self.session.where
        self._say(len(rows), problem or _runs_rows.matching([], self.where.value)[1])
        self._follow()

    # ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _all(self) -> list[Run]:
        return [*self.session.runs, *self.lost]

    def _filtered(self) -> tuple[list[table.Row], str]:
        rows, problem = _runs_rows.matching(self.rows.of(self._all(), self.session.marks), self.session.where)
        if self.only.value:
            rows = [row for row in rows if row["run_id"] in self._brushed]
        return rows, problem

    def _say(self, num_listed: int, problem: str) -> None:
        total = len(self._all())
        told = f"{num_listed:,} of {total:,} runs" if num_listed != total else ""  # the table itself counts its rows
        self.count.value = f'<span role="status">{told if total else self._nothing_yet()}</span>'
        self.problem.value = _words.problem(problem)

    def _nothing_yet(self) -> str:
        return "No runs yet: pick a recipe and press Run."

    def _look_for_lost(self) -> None:
        """Read the drafts whose worker is gone when something ended; they are no finished runs."""
        ended = len(self.session.runs), sum(entry.finished for entry in self.session.queue)
        if ended != self._ended:
            self._ended = ended
            self.pump.later(self.session.store.lost, self._found_lost)

    def _look_again(self) -> None:
        self._ended = None
        self._look_for_lost()

    def _found_lost(self, lost: list[Run]) -> None:
        if [run.run_id for run in lost] != [run.run_id for run in self.lost]:
            self.lost = lost
            self.update()

    def _read_where(self) -> None:
        """Take a filter over once it can be read; until then it says what is wrong."""
        text = self.where.value
        _, problem = _runs_rows.matching([], text)
        self.problem.value = _words.problem(problem)
        if not problem and text != self.session.where:
            self._filter = self.session.where = text

    def _choose_columns(self) -> None:
        chosen = tuple(name for name in table.COLUMNS if name in self.chooser.value)
        if chosen and chosen != tuple(self.columns):
            self.columns = chosen
            self.update()

    # ── what is picked ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _picked(self, run_ids: tuple[str, ...]) -> None:
        """Take over what was selected by hand."""
        if run_ids != self.session.selected:
            self.session.selected = run_ids
        if len(run_ids) == 1 and self.session.run_of(run_ids[0]):
            self.session.b = run_ids[0]

    def _follow(self) -> None:
        """Select what the session has, here too."""
        session = self.session
        if tuple(self.table.view.selected) != session.selected:
            self.table.select(session.selected)
            self._brushed = frozenset(session.selected)
            if self.only.value:
                self.pump.do(self.update, key=(self, "rows"))
        known = {run.run_id: run for run in self.lost}
        wanted = session.selected or ((session.b,) if session.b else ())
        found = [session.run_of(run_id) or known.get(run_id) for run_id in wanted]
        self.actions.show([run for run in found if run is not None])

    def _list_only(self) -> None:
        """List the picked runs alone, or all again; a click on one of them doesn't take the others away."""
        self._brushed = frozenset(self.session.selected)
        self.update()

    # ── controls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_controls(self) -> None:
        do = self.pump.do
        self.where = ipywidgets.Text(
            self.session.where, description="Where", placeholder=EXAMPLE, layout={"width": "420px"},
            tooltip=f"Comparisons joined by and / or, as in: {EXAMPLE}. Columns: {', '.join(table.COLUMNS)}",
        )  # fmt: skip
        self.where.observe(lambda _: do(self._read_where, key=(self, "where")), names="value")
        self.only = ipywidgets.ToggleButton(
            description="Only the picked", tooltip="List only the runs that are picked here or brushed in a chart",
            layout={"width": "auto"},
        )  # fmt: skip
        self.only.observe(lambda _: do(self._list_only, key=(self, "only")), names="value")
        self.fold = ipywidgets.ToggleButton(description="Columns", icon="columns", tooltip="Choose what is listed")
        self.fold.observe(lambda change: do(_words.show, self.chooser, change["new"]), names="value")
        options = [(head.label, head.name) for head in _runs_rows.columns(tuple(table.COLUMNS))]
        self.chooser = ipywidgets.SelectMultiple(
            options=options, value=list(COMPACT), rows=10, description="Columns", tooltip="With Ctrl or Shift, several",
            layout={"display": "none"},
        )  # fmt: skip
        self.chooser.observe(lambda _: do(self._choose_columns, key=(self, "columns")), names="value")
        self.csv = SaveCsv(self.pump, lambda: self._filtered()[0], lambda: self.session.store.root)

    def _laid_out(self) -> ipywidgets.Widget:
        wrapped = {"flex_flow": "row wrap", "overflow": "visible", "align_items": "center"}
        bar = ipywidgets.Box([self.where, self.only, self.fold, self.csv.button, self.count], layout=wrapped)
        view = ipywidgets.VBox([bar, self.problem, self.chooser, self.csv.told, self.table.view, self.actions.view])
        view.add_class("wb-runs-table")
        return view


def _text(cell: Any) -> str:
    shown = cell[1] if isinstance(cell, tuple) else cell
    return "" if shown is None else f"{shown:.6g}" if isinstance(shown, float) else str(shown)
