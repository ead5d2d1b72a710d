"""`format: fastest`: one job per format that can hold the model, and which of their runs answers first.

Formats differ in how they store and compute one model, so every other part of the jobs is the same. Runs that their own
timing can't tell apart are timed alternately once more, and those samples are kept in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench import catalog, compare, together
from workbench.compare import Fastest
from workbench.describe import model_card
from workbench.job import Job, digest
from workbench.nouns import Run
from workbench.store import Store

FASTEST = "fastest"


def in_each_format(
    record: Mapping[str, Any], formats: Sequence[Any] | None = None
) -> tuple[list[Job], dict[str, list[str]]]:
    """Return the jobs of a record in those `formats` that can hold its model (None = all), and the others' reasons.

    Raises InvalidInput for a record that is no job in any format.
    """
    able: list[Job] = []
    refused: dict[str, list[str]] = {}
    for written in catalog.names("formats") if formats is None else formats:
        job = Job.from_json({**record, "format": written})
        reasons = job.why_not()
        if not reasons and formats is None and job.model.card_needs_module:
            reasons = job.why_not(model_card(job))
        if reasons:
            refused[str(written)] = reasons
        else:
            able.append(job)
    return able, refused


def which_is_fastest(runs: Sequence[Run], store: Store, *, measure: bool = True) -> Fastest:
    """Say which of the runs of one recipe answers first; `measure`: time those alternately of which it isn't clear yet."""
    found = compare.fastest(runs, lambda a, b: _kept(a, b, store))
    timed = [run for run in runs if run.status == "done" and run.get("latency_ms_p50")]
    first = found.winner or next(iter(timed), None)
    if not measure or first is None:
        return found
    told = {rival.run_id: rival for rival in found.rivals}
    for run in timed:
        rival = told.get(run.run_id)
        if rival and run is not first and (rival.is_tied or rival.ratio is None) and _kept(first, run, store) is None:
            how = run.get("latency_ms_p50").conditions  # type: ignore[union-attr]
            together.measure_together(first, run, store, threads=how["threads"], batch=how["batch"])
    return compare.fastest(runs, lambda a, b: _kept(a, b, store))


def recipes_in_several_formats(runs: Sequence[Run]) -> list[list[Run]]:
    """Group finished runs that are equal but for their format; those that stand alone are left out."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.status == "done":
            key = digest({key: value for key, value in run.job.items() if key not in ("format", "launcher")})
            found.setdefault(key, []).append(run)
    return [members for members in found.values() if len({run.job_id for run in members}) > 1]


def _kept(a: Run, b: Run, store: Store) -> tuple[Any, Any] | None:
    timed = together.kept(a, b, store)
    return (timed.a_ms, timed.b_ms) if timed else None
