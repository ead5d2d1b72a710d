"""Latencies as a table: percentiles, ratios with intervals and verdicts, and the conditions each was taken under."""

from __future__ import annotations

import html
from collections.abc import Sequence

from widgets import _words
from widgets._pick_pair import label
from workbench import wording
from workbench.nouns import Measurement, Run

HEADS = ("run", "p50", "p95", "against parent", "against fp32 ONNX", "how it was timed")
HOW = (
    "Percentiles are those of single calls of a run, timed when it was made. A ratio comes from pairs timed in turn: below 1 "
    "is faster, brackets are 95 % intervals."
)


def latency_html(runs: Sequence[Run]) -> str:
    """Return the table of the runs whose latency was measured, and names the others."""
    timed = [run for run in runs if run.get("latency_ms_p50")]
    rest = ", ".join(label(run) for run in runs if run not in timed)
    missing = (
        _words.note(f"Latency not measured: {rest}. Add the metric latency to the recipe and run it.") if rest else ""
    )
    return (_words.table(HOW, HEADS, map(_row, timed)) if timed else "") + missing


def _row(run: Run) -> list[str]:
    median = run.get("latency_ms_p50")
    assert median is not None
    same = {name: median.conditions[name] for name in ("threads", "batch") if name in median.conditions}
    late, parent, reference = (
        run.get(name, **same) for name in ("latency_ms_p95", "latency_ratio_to_parent", "latency_ratio_to_reference")
    )
    name = f"{html.escape(label(run))}<br><small>{html.escape(run.run_id)}</small>"
    return [
        name,
        _time(median),
        _time(late),
        _ratio(parent),
        _ratio(reference),
        html.escape(wording.timing_text(median)),
    ]


def _time(measured: Measurement | None) -> str:
    if measured is None:
        return "not measured"
    value = wording.quantity(measured.value, measured.unit).replace(" ", "\u00a0")
    return html.escape(f"{value} {wording.interval_text(measured)}".strip())


def _ratio(measured: Measurement | None) -> str:
    if measured is None:
        return "– <small>(it is that model, or was not timed with it)</small>"
    verdict = wording.ratio_verdict(measured)
    kind = {"faster": "better", "slower": "worse"}.get(verdict, "same")
    mark = {"faster": "▲ ", "slower": "▼ "}.get(verdict, "≈ " if verdict == "cannot be told apart" else "? ")
    value = f"× {measured.value:.3f} [{measured.lo:.3f}, {measured.hi:.3f}]" if measured.lo is not None and measured.hi is not None else f"× {measured.value:.3f}"  # fmt: skip
    return f'{html.escape(value)}<br><span class="wb-verdict wb-{kind}">{mark}{html.escape(verdict)}</span>'
