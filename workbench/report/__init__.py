"""One page about many runs: what to take, every trade-off with its interval, what changed, and under which conditions.

The page is a single file that opens offline: charts are drawn by the plotly.js that is embedded once, the table reads
without script, and nothing is ever asked of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from workbench.compare import Budgets
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Run
from workbench.report import _charts as charts
from workbench.report import _choice as choice
from workbench.report import _conditions as conditions
from workbench.report import _controls as controls
from workbench.report import _formats as formats
from workbench.report import _zeros as zeros
from workbench.report._groups import Group, Label, groups
from workbench.report._page import Section, page
from workbench.report._plain import plain_text
from workbench.report._runs_table import runs_table

__all__ = ["Section", "report_text", "write_report"]

ONE_POINT = Budgets(max_drop=1.0)


def write_report(
    runs: Sequence[Run],
    path: str | Path,
    *,
    budgets: Budgets = ONE_POINT,
    title: str = "What compression cost and brought",
    labels: Mapping[str, Label] | None = None,
    costs: Mapping[str, Mapping[str, float]] | None = None,
    first: Sequence[Section] = (),
) -> Path:
    """Write the page and return its path; failed and lost runs are listed with their cause.

    `labels` (job id → model and recipe, as `study.labels` gives them) groups students with the model they stand for;
    None groups by model part. `costs` are ranked as by `compare.choose`; the sections `first` stand above all others. Raises InvalidInput when there is no run, WorkbenchError when the file can't be written.
    """
    if not runs:
        raise InvalidInput(["there are no runs to report"], next_move="carry out a job first: workbench run")
    found = groups(runs, budgets, labels or {}, costs)
    text = page(title, _lead(found, budgets), [*first, *_sections(found, budgets)])
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise WorkbenchError(
            f"{target} can't be written: {error.strerror}", next_move="choose another folder"
        ) from error
    return target


def report_text(runs: Sequence[Run], *, budgets: Budgets = ONE_POINT, labels: Mapping[str, Label] | None = None) -> str:
    """Return the page's table and recommendation as plain text; arguments as for `write_report`."""
    return plain_text(groups(runs, budgets, labels or {}))


def _lead(found: Sequence[Group], budgets: Budgets) -> str:
    runs = [run for group in found for run in group.runs]
    states = {run.status: sum(each.status == run.status for each in runs) for run in runs}
    counted = ", ".join(f"{count} {status}" for status, count in states.items())
    days = sorted({run.started[:10] for run in runs if run.started})
    when = f" · {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""
    summary = f"{len(runs)} runs ({counted}) of {len(found)} models{when} · {_budget_words(budgets)}"
    return f'<p class="soft">{escape(summary)}</p>{choice.headline(found)}'


def _sections(found: Sequence[Group], budgets: Budgets) -> list[Section]:
    """Return the sections that have something to say, in reading order."""
    runs = [run for group in found for run in group.runs]
    limits = {
        "artifact_bytes": budgets.max_bytes,
        "latency_ms_p50": budgets.max_latency_ms,
        "accuracy": budgets.min_accuracy,
    }
    drawn = {name: float(limit) for name, limit in limits.items() if limit is not None}
    bodies = (
        ("recommendation", f"Recommendation: {_budget_words(budgets)}", _cards(found)),
        ("trade-offs", "Trade-offs", charts.trade_offs(found, drawn)),
        ("generation", "Writing text", charts.generations(found)),
        ("formats", "The fastest format", formats.formats(found)),
        ("runs", "All runs", runs_table(found)),
        ("unfinished", "Failed, cancelled and lost runs", conditions.unfinished(found)),
        ("bytes", "Where the bytes went", charts.waterfalls(found)),
        ("flipped", "What flipped on test", "".join(charts.flipped(group) for group in found)),
        ("zeros", "What unstructured zeros changed, and what not", zeros.zeros(found)),
        ("controls", "Against controls", controls.controls(found)),
        ("conditions", "How it was measured", conditions.conditions(runs)),
    )
    return [Section(*each) for each in bodies if each[2]]


def _cards(found: Sequence[Group]) -> str:
    return f'<div class="cards">{"".join(choice.recommendation(group) for group in found)}</div>'


def _budget_words(budgets: Budgets) -> str:
    """Return the budgets that are set, as in `drop ≤ 1 point`."""
    words = (
        ("drop ≤ {:g} points", budgets.max_drop), ("≤ {:,} bytes", budgets.max_bytes), ("≤ {:g} ms", budgets.max_latency_ms),
        ("≤ {:,} bytes of memory", budgets.max_memory_bytes), ("accuracy ≥ {:.1%}", budgets.min_accuracy),
    )  # fmt: skip
    told = ", ".join(form.format(value) for form, value in words if value is not None)
    return told.replace("≤ 1 points", "≤ 1 point") or "no budgets: the most accurate on validation"
