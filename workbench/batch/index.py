"""Writes the page of a batch: one file that opens offline and reads without script: what passed, what it cost, what went wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from workbench.batch import _row
from workbench.batch._folder import num_bytes
from workbench.batch._front import Front, front, front_figure
from workbench.batch._index_table import rows_table, runs_table
from workbench.batch.views import Batch, counted
from workbench.report import _charts
from workbench.report._page import Section, page
from workbench.wording import bytes_text

NEAR = 0.8  # of the time limit
SLOWEST = 5
SCRIPT = """
(() => {
  document.querySelectorAll(".plot").forEach((plot) => plot.on && plot.on("plotly_click", (event) => {
    const row = document.getElementById(`row-${event.points[0].customdata}`);
    if (!row) return;
    row.hidden = false;
    location.hash = row.id;
    row.scrollIntoView({block: "center"});
  }));
  document.querySelectorAll("[data-column]").forEach((box) => box.addEventListener("change", () => {
    document.querySelectorAll(`#runs-table [data-name="${box.dataset.column}"]`).forEach((cell) => { cell.hidden = !box.checked; });
  }));
  document.querySelectorAll("button[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      await navigator.clipboard.writeText(text).catch(() => getSelection().selectAllChildren(button.previousElementSibling));
      button.textContent = "copied";
    });
  });
})();
"""
STYLE = """
#runs-table td:nth-child(2) { min-width: 0; }
#runs-table td.links { white-space: nowrap; }
.error pre { background: var(--wash); padding: 8px 12px; overflow-x: auto; font-size: 12.5px; border-radius: 4px; }
.error { margin: 0 0 18px; }
.pick label { display: inline-block; margin-right: 14px; font-size: 13px; }
td .bar { width: 90px; }
#runs-table td img { display: block; max-width: 120px; max-height: 80px; border: 1px solid var(--line); background: white; }
"""


def write_index(batch: Batch) -> Path:
    """Write index.html and return its path."""
    target = batch.folder.path / "index.html"
    draft = target.with_name(f".draft-{os.getpid()}-index.html")
    draft.write_text(index_page(batch), encoding="utf-8")
    os.replace(draft, target)
    return target


def index_page(batch: Batch) -> str:
    """Return the document."""
    found = front(batch.lines)
    members = {line.view.row_id for line, _, _ in found.points if line.label in found.members} if found else set()
    bodies = (
        ("trade-off", "Trade-off", _trade_off(found) if found else ""),
        ("rows", "Rows", rows_table(batch, on_front=members)),
        ("runs", "Runs in a store", runs_table(batch)),
        ("errors", "Errors", _errors(batch)),
        ("circumstances", "Circumstances", _circumstances(batch)),
    )
    return page(
        f"{batch.notebook}: {len(batch.rows)} rows",
        _lead(batch),
        [Section(*each) for each in bodies if each[2]],
        style=STYLE,
        script=SCRIPT,
    )


def duration_text(seconds: float) -> str:
    """Return a duration as people say it: 3.2 s, 4 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _lead(batch: Batch) -> str:
    records = batch.records
    used = sum(record.cpu_s for record in records)
    ran = sum(record.duration_s for record in records)
    said = f"{counted(batch)} · {duration_text(ran)} of notebooks, {duration_text(used)} of CPU time"
    if records:
        first, last = min(record.started for record in records), max(record.ended for record in records)
        said += f" · {_moment(first)} to {_moment(last)} UTC"
    files = " · ".join(
        f'<a href="{name}">{name}</a>'
        for name in ("results.csv", "results.parquet", "summary.md", "manifest.jsonl", "batch.json", "env.json")
        if (batch.folder.path / name).exists()
    )
    return f'<p class="soft">{escape(said)}</p><p class="soft">{files}</p>'


def _moment(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _trade_off(found: Front) -> str:
    figure = front_figure(found)
    told = f"{len(found.members)} of {len(found.points)} are on the front. Click a point to see its row."
    if found.left_out:
        reasons: dict[str, int] = {}
        for _, why in found.left_out:
            reasons[why] = reasons.get(why, 0) + 1
        told += " Left out: " + "; ".join(f"{count} with {why}" for why, count in reasons.items()) + "."
    return _charts.chart([({}, figure, escape(told))])


def _errors(batch: Batch) -> str:
    return "".join(_group(group) for group in batch.errors)


def _group(group: dict[str, Any]) -> str:
    example, rows = group["example"], group["rows"]
    links = ", ".join(f'<a href="#row-{escape(row)}">{escape(row)}</a>' for row in rows[:10])
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    shared = f"{len(rows)} rows share this error" if len(rows) > 1 else "1 row"
    where = f"in {example.where}" if example.cell else "before the first cell"
    cell = f"<pre>{escape(example.cell_excerpt)}</pre>" if example.cell_excerpt else ""
    tail = (
        f"<details><summary>Traceback</summary><pre>{escape(example.traceback_tail)}</pre></details>"
        if example.traceback_tail
        else ""
    )
    return (
        f'<div class="error"><h3>{escape(example.name)}: {escape(_short(example.message))}</h3>'
        f"<p>{shared} ({escape(example.category)}), {where}: {links}{more}</p>{cell}{tail}</div>"
    )


def _short(message: str) -> str:
    first = (message.splitlines() or [""])[0]
    return first if len(first) < 200 else f"{first[:200]}…"


def _circumstances(batch: Batch) -> str:
    records = batch.records
    if not records:
        return ""
    slowest = sorted(records, key=lambda record: -record.duration_s)[:SLOWEST]
    near = [
        record
        for record in records
        if record.timeout_s and record.passed and record.duration_s >= NEAR * record.timeout_s
    ]
    facts = [
        ("Slowest", _listed([(record.row_id, duration_text(record.duration_s)) for record in slowest])),
        (
            "Near the time limit",
            _listed([(record.row_id, duration_text(record.duration_s)) for record in near]) or "none",
        ),
        ("Changed since it ran before", _listed(_changed(batch)) or "nothing"),
        ("On disk", bytes_text(num_bytes(batch.folder.rows))),
        ("Environments", escape(", ".join(sorted({record.env_id for record in records})))),
        ("Threads per row", escape(", ".join(map(str, sorted({record.threads for record in records}))))),
        ("Logs", f"<code>rows/ROW/{_row.LOG}</code>"),
    ]
    lines = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in facts)
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def _listed(items: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f'<a href="#row-{escape(row)}">{escape(row)}</a> ({escape(told)})' for row, told in items)


def _changed(batch: Batch) -> list[tuple[str, str]]:
    """Return the rows whose last two ends differ, as in (row, `failed → passed`)."""
    ends: dict[str, list[str]] = {}
    for line in batch.folder.told():
        if "duration_s" in line:
            ends.setdefault(line["row_id"], []).append(line["state"])
    wanted = {view.row_id for view in batch.rows}
    return [
        (row, f"{was[-2]} → {was[-1]}")
        for row, was in ends.items()
        if row in wanted and len(was) > 1 and was[-2] != was[-1]
    ]
