"""The table of a batch's page: sortable and filterable with script, complete without."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence, Set
from html import escape
from typing import Any, NamedTuple

from workbench import wording
from workbench.batch import _row, _thumbnail
from workbench.batch._record import Metric
from workbench.batch.grid import word
from workbench.batch.inside import ARTIFACTS
from workbench.batch.views import Batch, View, said
from workbench.report._runs_table import chip

CHIPS = {
    "passed": ("good", "✓ passed"), "failed": ("bad", "✕ failed"), "timeout": ("bad", "✕ timeout"), "oom_limit": ("bad", "✕ memory"),
    "kernel_died": ("bad", "✕ kernel died"), "error": ("bad", "! error"), "stale": ("open", "↻ stale"),
    "cancelled": ("open", "■ cancelled"), "not_run": ("open", "– not run"), "running": ("plain", "▶ running"),
    "planned": ("plain", "… planned"), "skipped": ("plain", "– skipped"),
}  # fmt: skip
OPENED = (
    ("notebook", _row.OUT), ("page", _row.PAGE), ("log", _row.LOG), ("record", "record.json"), ("files", ARTIFACTS),
    ("attempts", "attempts"),
)  # fmt: skip
MOST_NAMED = 4  # runs that a row made
LONGEST_WHOLE = 1e12
NOT_SHOWN = (
    "_macro",
    "_macro_validation",
    "_params",
    "folder_bytes",
    "dense_bytes",
)  # of runs: `workbench show` has them
MOST_METRICS = 10


class Cell(NamedTuple):
    body: str  # HTML
    value: Any = ""  # what it is sorted by; "" = missing
    is_number: bool = False


def rows_table(batch: Batch, *, on_front: Set[str]) -> str:
    """Return the controls and the table, one line per row; what is the same in all rows is said once, above."""
    varying, constant = _parameters(batch.rows)
    metrics = list(dict.fromkeys(name for view in batch.rows if view.record for name in view.record.metrics))
    longest = max((record.duration_s for record in batch.records), default=0.0)
    lines = [
        _cells(view, varying, metrics, longest, on_front=view.row_id in on_front) | _ends(batch, view)
        for view in batch.rows
    ]
    if not any(line["figure"].body for line in lines):
        lines = [{name: cell for name, cell in line.items() if name != "figure"} for line in lines]
    names = list(dict.fromkeys(name for line in lines for name in line))
    numeric = {name: any(line.get(name, Cell("")).is_number for line in lines) for name in names}
    heads = "".join(
        f'<th scope="col" data-name="{escape(name)}"{" class=n" if numeric[name] else ""}>{escape(name.replace("_", " "))}</th>'
        for name in names
    )
    body = "".join(_line(view, line, names) for view, line in zip(batch.rows, lines))
    fixed = ", ".join(f"{name} = {_text(value)}" for name, value in constant.items())
    return (
        f"{_controls(batch, names)}"
        f'<p class="soft" id="runs-how">{escape(f"The same in every row: {fixed}. " if fixed else "")}Brackets: intervals.</p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of rows">'
        f'<table id="runs-table" data-noun="rows" aria-describedby="runs-how"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def runs_table(batch: Batch) -> str:
    """Return what was measured on each run where rows made several; empty when none did."""
    lines = [line for line in batch.lines if line.run and len(line.view.record.runs) > 1]  # type: ignore[union-attr]
    names = list(dict.fromkeys(name for line in lines for name in line.metrics))
    shown = [name for name in names if not name.endswith(NOT_SHOWN)][:MOST_METRICS]
    heads = "".join(f'<th scope="col" class="n">{escape(name.replace("_", " "))}</th>' for name in shown)
    body = "".join(
        f'<tr><th scope="row"><code>{escape(line.run["run_id"])}</code></th><td><a href="#row-{escape(line.view.row_id)}">'  # type: ignore[index]
        f"{escape(line.view.row_id)}</a></td>{''.join(_td('', _metric(line.metrics.get(name))) for name in shown)}</tr>"
        for line in lines
    )
    if not lines:
        return ""
    return (
        '<p class="soft">Asked for by the notebooks; <code>workbench show RUN --store …</code> says everything of one.</p>'
        f'<div class="scroll"><table><thead><tr><th scope="col">run</th><th scope="col">row</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def reproduce(batch: Batch, view: View) -> str:
    """Return the line that executes one row again, in a folder of its own."""
    then = [text for path in batch.then for text in ("--then", path)]
    pairs = [text for name, value in view.values.items() for text in ("-p", word(name, value))]
    return shlex.join(
        ["workbench", "batch", "run", batch.path_of_notebook, *then, *pairs, "--out", f"again-{view.row_id}"]
    )


def _controls(batch: Batch, names: Sequence[str]) -> str:
    options = "".join(f"<option>{escape(state)}</option>" for state in batch.counts)
    boxes = "".join(
        f'<label><input type="checkbox" data-column="{escape(name)}" checked> {escape(name.replace("_", " "))}</label>'
        for name in names[1:]
    )
    return (
        '<div class="controls"><label>Filter <input type="search" id="runs-search" placeholder="words, as in: bits=4 passed">'
        f'</label><label>Status <select id="runs-status"><option value="">all</option>{options}</select></label>'
        f'<span id="runs-count" class="soft" aria-live="polite"></span></div>'
        f'<details class="pick"><summary>Columns</summary>{boxes}</details>'
    )


def _parameters(rows: Sequence[View]) -> tuple[list[str], dict[str, Any]]:
    """Return the names of parameters that differ between rows, and the others with their value."""
    names = list(dict.fromkeys(name for view in rows for name in view.values))
    told = {name: {_text(view.values.get(name)) for view in rows} for name in names}
    varying = [name for name in names if len(told[name]) > 1]
    return varying, {name: rows[0].values[name] for name in names if name not in varying}


def _cells(
    view: View, varying: Sequence[str], metrics: Sequence[str], longest: float, *, on_front: bool
) -> dict[str, Cell]:
    star = f" {chip('good', '★ front')}" if on_front else ""
    why = f"<small>{escape(said(view))}</small>" if said(view) else ""
    cells = {"status": Cell(f"{chip(*CHIPS[view.state])}{star}{why}", view.state)}
    for name in varying:
        value = view.values.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        cells[name] = Cell(escape(_text(value)), "" if value is None else value, is_number)
    record = view.record
    for name in metrics:
        cells[name] = _metric(record.metrics.get(name)) if record else Cell("–", "", True)
    if record:
        share = record.duration_s / longest if longest else 0.0
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{share:.0%}"></i></span>'
        cells["seconds"] = Cell(f"{record.duration_s:.1f}{bar}", record.duration_s, True)
        peak = record.peak_mb
        cells["peak MB"] = Cell(f"{peak:,.0f}" if peak else "–", peak or "", True)
    return cells


def _ends(batch: Batch, view: View) -> dict[str, Cell]:
    """Return the cells with the way to everything about a row."""
    there = frozenset(os.listdir(batch.folder.row(view.row_id)) if view.record else ())
    further = [(each.split("-", 2)[2], each) for each in sorted(there) if each.startswith("out-")]
    links = " · ".join(
        f'<a href="rows/{escape(view.row_id)}/{escape(file)}">{escape(name)}</a>'
        for name, file in (*OPENED, *further)
        if file in there
    )
    runs = [run["run_id"] for run in view.record.runs] if view.record else []
    named = f"runs: {', '.join(runs)}" if len(runs) <= MOST_NAMED else f"{len(runs)} runs"
    told = f"<small>{escape(named)}</small>" if runs else ""
    again = (
        f"<details><summary>reproduce</summary><code>{escape(reproduce(batch, view))}</code>"
        '<button type="button" data-copy hidden>copy</button></details>'
    )
    return {
        "figure": Cell(_figure(batch, view, there), view.row_id),
        "row": Cell(f"<code>{escape(view.row_id)}</code>{told}", view.row_id),
        "open": Cell(f"{links}{again}", view.row_id),
    }


def _figure(batch: Batch, view: View, there: Set[str]) -> str:
    """Return the picture of a row as HTML, which opens its notebook; empty when it has none."""
    name = next((each for each in there if each.startswith(f"{_thumbnail.NAME}.")), None)
    if name is None:
        return ""
    address = _thumbnail.as_address(batch.folder.row(view.row_id) / name)
    shown = f'<img src="{address}" alt="first figure of {escape(view.row_id)}" loading="lazy">'
    target = next((file for file in (_row.PAGE, _row.OUT) if file in there), None)
    return f'<a href="rows/{escape(view.row_id)}/{target}">{shown}</a>' if target else shown


def _metric(metric: Metric | None) -> Cell:
    if metric is None:
        return Cell("–", "", True)
    low, high = (end and _quantity(end, metric.unit) for end in (metric.lo, metric.hi))
    notes = (
        f"[{low}, {high}]" if low and high else "",
        f"n = {metric.n:,}" if metric.n else "",
        "not alone" if metric.measured_alone is False else "",
    )
    small = "<br>".join(filter(None, notes))
    return Cell(
        escape(_quantity(metric.value, metric.unit)) + (f"<small>{small}</small>" if small else ""), metric.value, True
    )


def _quantity(value: float, unit: str) -> str:
    """Return a value in its unit; whole numbers without an exponent, others with four digits."""
    if unit in ("share", "bytes"):
        return wording.quantity(value, unit)
    number = f"{value:,.0f}" if value.is_integer() and abs(value) < LONGEST_WHOLE else f"{value:.4g}"
    return f"{number} {unit}".rstrip()


def _line(view: View, line: Mapping[str, Cell], names: Sequence[str]) -> str:
    cells = "".join(_td(name, line.get(name, Cell("–"))) for name in names)
    return f'<tr id="row-{escape(view.row_id)}" data-status="{escape(view.state)}">{cells}</tr>'


def _td(name: str, cell: Cell) -> str:
    kind = " class=n" if cell.is_number else ' class="links"' if name == "open" else ""
    return f'<td data-name="{escape(name)}"{kind} data-value="{escape(str(cell.value))}">{cell.body}</td>'


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
