"""The table of a report: one line per run, with validation and test, sortable in the page and readable without script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from workbench import table, wording
from workbench.nouns import Measurement, Run
from workbench.report._groups import Group, quality

CHIPS = {
    "done": ("good", "✓ done"),
    "failed": ("bad", "✕ failed"),
    "cancelled": ("open", "■ cancelled"),
    "lost": ("bad", "? lost"),
}
HEADS = (
    ("Model", False), ("Recipe and run", False), ("Format", False), ("Status", False), ("Size", True), ("Non-zero", True),
    ("Validation", True), ("Test", True), ("F1 test", True), ("Latency p50, p95 ms", True), ("Latency / parent", True),
    ("Latency / fp32 ONNX", True), ("Peak MB", True), ("Seed", True),
)  # fmt: skip


class Cell(NamedTuple):
    """What stands in a cell (HTML) and what it is sorted by ("" = missing)."""

    body: str
    value: str | float = ""
    is_number: bool = True


def chip(kind: str, text: str) -> str:
    """Return a label that says in words what its colour says."""
    return f'<span class="chip {kind}">{escape(text)}</span>'


def status_chip(run: Run) -> str:
    return chip(*CHIPS.get(run.status, ("plain", run.status)))


def runs_table(groups: Sequence[Group]) -> str:
    """Return the controls and the table of all runs."""
    heads = "".join(f'<th scope="col"{" class=n" if number else ""}>{escape(name)}</th>' for name, number in HEADS)
    lines = "".join(_line(group, run) for group in groups for run in group.runs)
    states = sorted({run.status for group in groups for run in group.runs})
    options = "".join(f"<option>{escape(state)}</option>" for state in states)
    return (
        '<div class="controls"><label>Filter <input type="search" id="runs-search" placeholder="words, as in: lenet int8">'
        f'</label><label>Status <select id="runs-status"><option value="">all</option>{options}</select></label>'
        '<span id="runs-count" class="soft" aria-live="polite"></span></div>'
        f'<p class="soft" id="runs-how">{escape(_how(groups))}</p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of runs">'
        '<table id="runs-table" aria-describedby="runs-how"><caption>One line per run</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _how(groups: Sequence[Group]) -> str:
    runs = [run for group in groups for run in group.runs]
    parts = ["Size: files needed to predict; × is against the parent. Brackets: 95% intervals."]
    for split in ("validation", "test"):
        counts = sorted({found.n for run in runs if (found := quality(run, split)) and found.n})
        if counts:
            parts.append(f"n = {' or '.join(f'{n:,}' for n in counts)} on {split}.")
    parts.append(
        f"Latency: {conditions_text(runs)}. Ratios are medians over pairs timed alternately; below 1 is faster."
    )
    return " ".join(parts)


def conditions_text(runs: Iterable[Run]) -> str:
    """Return under what threads and batch latency was taken, and how many timings were alone on the machine."""
    timed = [found for run in runs if (found := run.get("latency_ms_p50"))]
    if not timed:
        return "not measured"
    how = sorted({f"threads {each.conditions.get('threads')}, batch {each.conditions.get('batch')}" for each in timed})
    alone = sum(each.conditions.get("measured_alone") is True for each in timed)
    return f"{' or '.join(how)}; {alone} of {len(timed)} runs timed alone"


def _line(group: Group, run: Run) -> str:
    cells = [
        Cell(escape(group.name), group.name, False),
        _recipe(group, run),
        Cell(escape(table.format_text(run)), table.format_text(run), False),
        Cell(status_chip(run), run.status, False),
        _size(group, run),
        _nonzero(run),
        _quality(run, "validation"),
        _quality(run, "test"),
        _plain(run.get("f1_macro", split="test"), "{:.3f}"),
        _latency(run),
        _ratio(run.get("latency_ratio_to_parent")),
        _ratio(run.get("latency_ratio_to_reference")),
        _plain(run.get("peak_memory_bytes"), "{:.1f}", scale=1e-6),
        Cell(escape(str(run.job.get("seed", ""))), str(run.job.get("seed", ""))),
    ]
    chosen = ' class="chosen"' if group.chosen and group.chosen.run_id == run.run_id else ""
    body = "".join(
        f'<td{" class=n" if cell.is_number else ""} data-value="{escape(str(cell.value))}">{cell.body}</td>'
        for cell in cells
    )
    return f'<tr id="run-{escape(run.run_id)}" data-status="{escape(run.status)}"{chosen}>{body}</tr>'


def _recipe(group: Group, run: Run) -> Cell:
    marks = []
    if group.choice and group.choice.recommended and group.choice.recommended.run_id == run.run_id:
        marks.append(chip("good", "★ recommended"))
    if group.choice and group.choice.unproven and group.choice.unproven.run_id == run.run_id:
        marks.append(chip("open", "☆ not shown"))
    if group.baseline and group.baseline.run_id == run.run_id:
        marks.append(chip("plain", "baseline"))
    said = f"<b>{escape(group.short(run))}</b> {' '.join(marks)}<small>{escape(_origin(group, run))}</small>"
    return Cell(f"{said}<small><code>{escape(run.run_id)}</code></small>", group.short(run), False)


def _origin(group: Group, run: Run) -> str:
    """Return the whole recipe, and the model where it is another than the group's (a student)."""
    model = table.model_text(run)
    return f"{table.recipe_text(run)}" if model == group.name else f"{model}: {table.recipe_text(run)}"


def _size(group: Group, run: Run) -> Cell:
    measured, parent = run.get("artifact_bytes"), group.parent_of(run)
    if measured is None:
        return Cell("–")
    theirs = parent.get("artifact_bytes") if parent else None
    ratio = f"<small>× {measured.value / theirs.value:.3f}</small>" if theirs else ""
    return Cell(f"{wording.bytes_text(measured.value)}{ratio}", measured.value)


def _nonzero(run: Run) -> Cell:
    some, every = run.get("nonzero_params"), run.get("num_params")
    if some is None or every is None or not every.value:
        return Cell("–")
    return Cell(f"{some.value / every.value:.0%}<small>of {every.value:,.0f}</small>", some.value / every.value)


def _quality(run: Run, split: str) -> Cell:
    measured = quality(run, split)
    if measured is None:
        return Cell("–")
    value = wording.quantity(measured.value, measured.unit)
    return Cell(f"{value}<small>{wording.interval_text(measured)}</small>", measured.value)


def _ratio(measured: Measurement | None) -> Cell:
    if measured is None:
        return Cell("–")
    verdict = wording.ratio_verdict(measured).replace("cannot be told apart", "not told apart")
    return Cell(f"{measured.value:.3f}<small>{wording.interval_text(measured)}<br>{verdict}</small>", measured.value)


def _latency(run: Run) -> Cell:
    median, late = run.get("latency_ms_p50"), run.get("latency_ms_p95")
    if median is None:
        return Cell("–")
    notes = [f"p95 {late.value:.3g}"] if late else []
    if median.conditions.get("measured_alone") is False:
        notes.append("not alone")
    return Cell(f"{median.value:.3g}<small>{'<br>'.join(notes)}</small>", median.value)


def _plain(measured: Measurement | None, form: str, *, scale: float = 1.0) -> Cell:
    return Cell("–") if measured is None else Cell(form.format(measured.value * scale), measured.value * scale)
