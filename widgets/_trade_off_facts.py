"""The figures that the trade-off panel speaks of: quantities, the estimate of a recipe, the baseline. No widget, no chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from workbench import ceilings, table, wording
from workbench.charts import _style
from workbench.charts.estimated import Predicted, predicted
from workbench.estimate import artifact_band, estimate
from workbench.nouns import Cost, Measurement, ModelCard, Run

if TYPE_CHECKING:
    from workbench.job import Job

# What people compare first; other quantities follow by name.
FIRST = (
    "artifact_bytes", "latency_ms_p50", "accuracy", "perplexity", "peak_memory_bytes", "nonzero_params",
    "latency_ratio_to_parent", "latency_ratio_to_reference", "latency_ms_p95", "energy_joules",
)  # fmt: skip
MOST_LEFT_OUT = 20
AS_ESTIMATED = {"threads": 1, "batch": 1}  # what an estimated latency holds for


@dataclass(frozen=True)
class Expected:
    """What a job is estimated to cost."""

    job: Job
    cost: Cost
    size_band: tuple[int, int] | None  # ends of the bytes; None where the format's overhead isn't known


def quantities(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Return (label with unit, name) of each whole-model quantity that some run has measured, the usual ones first."""
    found: dict[str, str] = {}
    for run in runs:
        for each in run.measurements:
            if each.name not in found and each.better != "neither" and "label" not in each.conditions:
                found[each.name] = _style.axis(replace(each, conditions={})).label
    order = {name: index for index, name in enumerate(FIRST)}
    return [(found[name], name) for name in sorted(found, key=lambda name: (order.get(name, len(FIRST)), name))]


def expected(job: Job, card: ModelCard) -> Expected:
    """Return the estimate of a job's last model; `card` is that of its first."""
    last, form = job.cards(card)[-1], job.format.name()
    return Expected(job, estimate([last], form, ceilings.known())[0], artifact_band(last, form))


def prediction_errors(estimate: Expected, run: Run) -> list[str]:
    """Return a sentence for each estimated quantity that `run` has measured: how far off it was."""
    told = []
    for name in ("artifact_bytes", "latency_ms_p50", "peak_memory_bytes"):
        span = predicted(estimate.cost, name, estimate.size_band)
        measured = run.get(name, **(AS_ESTIMATED if name.startswith("latency") else {}))
        if span is not None and measured is not None:
            told.append(f"{_plain_name(measured)}: {_how_far_off(span, measured)}")
    return told


def baseline_of(job: Job | None, runs: Sequence[Run]) -> Run | None:
    """Return the finished run as trained that a job is held against, else the first one as trained; None without any."""
    done = [run for run in runs if run.status == "done"]
    if job is not None:
        wanted = (job.relatives()[0] or job).job_id
        mine = [run for run in done if run.job_id == wanted and table.method_text(run) == table.AS_TRAINED]
        if mine:
            return mine[-1]
    return next((run for run in done if table.method_text(run) == table.AS_TRAINED), None)


def measured_as(job: Job, runs: Sequence[Run]) -> Run | None:
    """Return the newest of these runs that carried out the job; None when none did."""
    job_id = job.job_id  # a hash: made once
    return next((run for run in reversed(runs) if run.job_id == job_id), None)


def baseline_text(run: Run, split: str) -> str:
    """Return the measured figures of the model as trained, each with its n, interval or conditions."""
    quality = _style.measurement(run, "accuracy", split) or _style.measurement(run, "perplexity", split)
    size = run.get("artifact_bytes")
    told = [_quality_text(quality, split) if quality else "", wording.bytes_text(size.value) if size else ""]
    return "; ".join(filter(None, (*told, _latency_text(run))))


def _quality_text(measured: Measurement, split: str) -> str:
    count = f"{measured.k:,} of {measured.n:,}" if measured.k is not None and measured.n else f"n = {measured.n or '?'}"
    value = f"{wording.quantity(measured.value, measured.unit)} {wording.interval_text(measured)}".strip()
    return f"{measured.name} {value}, {count} on {split}"


def _latency_text(run: Run) -> str:
    median, late = run.get("latency_ms_p50"), run.get("latency_ms_p95")
    if median is None:
        return "latency not measured"
    how = median.conditions
    alone = "alone" if how.get("measured_alone") else "not alone"
    p95 = f", p95 {late.value:.3g} ms" if late else ""
    return f"p50 {median.value:.3g} ms{p95} at batch {how.get('batch')}, threads {how.get('threads')}, {alone}"


def _how_far_off(span: Predicted, measured: Measurement) -> str:
    value = wording.quantity(measured.value, measured.unit)
    if span.band:
        low, high = (wording.quantity(end, measured.unit) for end in span.band)
        place = "within the band" if span.band[0] <= measured.value <= span.band[1] else (
            "below the band" if measured.value < span.band[0] else "above the band"
        )  # fmt: skip
        return f"estimated {low} to {high}, measured {value}, {place}"
    off = measured.value / span.value - 1
    return f"estimated {wording.quantity(span.value, measured.unit)}, measured {value} ({off:+.0%})"


def _plain_name(measured: Measurement) -> str:
    names = {"artifact_bytes": "size", "latency_ms_p50": "latency", "peak_memory_bytes": "memory"}
    return names.get(measured.name, measured.name)


def expected_text(estimate: Expected, became: Run | None) -> str:
    """Return what is estimated of the picked recipe; once it was measured, how far off that was."""
    if became is not None:
        errors = prediction_errors(estimate, became)
        return f"measured as {became.run_id}. " + ("Estimates checked: " + "; ".join(errors) if errors else "")
    told = []
    for name, unit, word in (("artifact_bytes", "bytes", "size"), ("latency_ms_p50", "ms", "latency")):
        span = predicted(estimate.cost, name, estimate.size_band)
        if span is not None:
            ends = dict.fromkeys(wording.quantity(end, unit) for end in span.band or (span.value,))
            told.append(f"{word} {' to '.join(ends)}")
    untimed = "" if estimate.cost.latency_ms_low is not None else f"; {_why_untimed(estimate.cost)}"
    return (
        f"estimated {', '.join(told)}; accuracy isn't estimated: it needs a run (hollow marker on the chart){untimed}"
    )


def _why_untimed(cost: Cost) -> str:
    return next((note for note in cost.notes if note.startswith("no latency band")), "no latency band")


def left_out_text(missing: Sequence[tuple[str, str]], num_runs: int) -> str:
    """Return as HTML which runs can't be placed on the two axes, and why; empty when all can."""
    if not missing:
        return ""
    lines = "".join(f"<li><code>{escape(run_id)}</code>: {escape(why)}</li>" for run_id, why in missing[:MOST_LEFT_OUT])
    more = f"<li>and {len(missing) - MOST_LEFT_OUT} more</li>" if len(missing) > MOST_LEFT_OUT else ""
    head = f"{len(missing)} of {num_runs} runs aren't drawn: they lack a quantity of the chart"
    return f'<details class="wb-note"><summary>{head}</summary><ul>{lines}{more}</ul></details>'
