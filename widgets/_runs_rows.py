"""The rows of the table of runs: made once per run, filtered by the `--where` language, worded for people. No widget here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from widgets.table_view import Cell, Column
from workbench import table, wording
from workbench.errors import InvalidInput
from workbench.marks import NONE, Marks
from workbench.nouns import Run
from workbench.table import Row

# Figures before names: they are seen without scrolling where the page is narrow.
COMPACT = (
    "recipe", "artifact_bytes", "accuracy", "latency_ms_p50", "latency_ratio_to_parent", "status", "model", "format", "tags",
    "error",
)  # fmt: skip
LABELS = {
    "run_id": "run", "artifact_bytes": "size", "folder_bytes": "folder", "zipped_bytes": "zipped", "dense_bytes": "dense",
    "accuracy": "accuracy, test", "accuracy_validation": "accuracy, validation", "f1_macro": "F1, test",
    "perplexity": "perplexity, test", "bits_per_byte": "bits per byte, test", "latency_ms_p50": "p50, ms",
    "latency_ms_p95": "p95, ms", "latency_ratio_to_parent": "÷ parent", "latency_ratio_to_reference": "÷ fp32 ONNX",
    "first_token_ms": "first token, ms", "token_ms": "next token, ms", "kv_bytes": "keys and values",
    "peak_memory_mb": "peak memory, MB", "seconds": "took, s", "error": "cause",
}  # fmt: skip
ICONS = {"done": "✓", "failed": "✕", "cancelled": "■", "lost": "?"}


class RunsRows:
    """Keeps the row of each run: runs never change, only what people say of them does."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Run, Marks, Row]] = {}

    def of(self, runs: Sequence[Run], marks: Mapping[str, Marks]) -> list[Row]:
        """Return one row per run, the newest first."""
        new = [run for run in runs if not self._is_known(run, marks)]
        for run, row in zip(new, table.rows(new, marks)):
            self._known[run.run_id] = run, marks.get(run.run_id, NONE), row
        return [self._known[run.run_id][2] for run in reversed(runs)]

    def _is_known(self, run: Run, marks: Mapping[str, Marks]) -> bool:
        known = self._known.get(run.run_id)
        return known is not None and known[0] is run and known[1] == marks.get(run.run_id, NONE)


def matching(rows: list[Row], where: str) -> tuple[list[Row], str]:
    """Return the rows that `where` keeps; all of them, and what is wrong in words, when it can't be read."""
    if not where.strip():
        return rows, ""
    try:
        keeps = table.where(where)
    except InvalidInput as error:
        return rows, str(error)
    return [row for row in rows if keeps(row)], ""


def columns(names: Sequence[str]) -> list[Column]:
    """Return the heads of these columns."""
    found = ((name, table.COLUMNS[name]) for name in names)
    return [
        Column(name, LABELS.get(name, name.replace("_", " ")), known.help, known.kind in (int, float))
        for name, known in found
    ]


def cells(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, Cell]]:
    """Return rows with these columns in words, each with the value that it is sorted by."""
    worded = [(name, WORDED[name]) for name in names if name in WORDED]
    plain = [name for name in names if name not in WORDED]
    return [
        {"run_id": row["run_id"], **{name: row[name] for name in plain}, **{name: word(row) for name, word in worded}}
        for row in rows
    ]


def _bytes(name: str) -> Callable[[Row], Cell]:
    def worded(row: Row) -> Cell:
        return None if row[name] is None else (row[name], wording.bytes_text(row[name]))

    return worded


def _number(name: str, form: str, low: str = "", high: str = "") -> Callable[[Row], Cell]:
    """Word a number, with the ends of its interval where it has one."""

    def worded(row: Row) -> Cell:
        value = row[name]
        if value is None:
            return None
        ends = (row[low], row[high]) if low else (None, None)
        within = f" [{form.format(ends[0])}, {form.format(ends[1])}]" if None not in ends else ""
        return value, form.format(value) + within

    return worded


def _status(row: Row) -> Cell:
    return f"{ICONS.get(row['status'], '')} {row['status']}".strip()


WORDED: dict[str, Callable[[Row], Cell]] = {
    "status": _status,
    **{name: _bytes(name) for name in ("artifact_bytes", "folder_bytes", "dense_bytes", "zipped_bytes", "kv_bytes")},
    **{name: _number(name, "{:,}") for name in ("nonzero_params", "num_params")},
    "accuracy": _number("accuracy", "{:.1%}", "accuracy_lo", "accuracy_hi"),
    "accuracy_validation": _number("accuracy_validation", "{:.1%}"),
    **{
        name: _number(name, "{:.3g}")
        for name in ("latency_ms_p50", "latency_ms_p95", "perplexity", "peak_memory_mb", "first_token_ms", "token_ms")
    },
    "latency_ratio_to_parent": _number("latency_ratio_to_parent", "{:.2f}", "ratio_lo", "ratio_hi"),
    "latency_ratio_to_reference": _number("latency_ratio_to_reference", "{:.2f}"),
    "seconds": _number("seconds", "{:.1f}"),
}


def in_words(run: Run, marks: Marks) -> dict[str, Any]:
    """Return what a person asks of one run first: recipe, where it lies, what ended it, what somebody said of it."""
    error = run.error or {}
    return {
        "Recipe": f"{table.model_text(run)}: {table.recipe_text(run)} ({table.format_text(run)})",
        "Status": f"{ICONS.get(run.status, '')} {run.status}",
        "Cause": table.error_text(run) if run.status != "done" else "",
        "Next": error.get("next") if run.status != "done" else "",
        "Tags": ", ".join(marks.tags),
        "Note": marks.note,
        "Pinned": "yes: never deleted or tidied away" if marks.pinned else "",
    }
