"""Batches on disk without executing anything: their records are written as a runner would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batch_notebooks import written

from workbench.batch._folder import Folder
from workbench.batch._options import Options
from workbench.batch._plan import Plan, make_plan
from workbench.batch._problem import problem
from workbench.batch._record import Attempt, Metric, Record, write_record

PARAMETERS = 'bits: int = 8\nseed: int = 0\nname = "a"'
MOMENT = "2026-01-02T03:04:05.678Z"


def crafted(folder: Path, count: int, *, metrics: bool = True, failing: int = 0, **changes: Any) -> Folder:
    """Make a folder of `count` rows, the first `failing` of them failed; `changes` go into every record."""
    plan = make_plan(
        written(folder, "pass", parameters=PARAMETERS), [{"bits": 2 + n % 7, "seed": n} for n in range(count)]
    )
    made = Folder(folder / "out")
    made.make()
    made.write_plan(plan.to_json() | {"options": Options().to_json(), "require": []})
    made.write_environment()
    for number, row in enumerate(plan.rows):
        made.row(row.row_id).mkdir()
        made_record = record(plan, number, failed=number < failing, metrics=metrics, **changes)
        write_record(made.row(row.row_id), made_record)
        made.note(row.row_id, made_record.status, duration_s=made_record.duration_s)
    return made


def record(plan: Plan, number: int, *, failed: bool, metrics: bool, **changes: Any) -> Record:
    row = plan.rows[number]
    error = (
        problem("", f"no <b>file</b> /x/{number}.csv", name="ValueError", cell=3, excerpt="1 / 0") if failed else None
    )
    measured = {
        "accuracy": Metric(value=0.5 + (number % 37) / 100, unit="share", n=100, lo=0.4, hi=0.95, better="higher"),
        "latency_ms_p50": Metric(value=1.0 + number % 11, unit="ms", better="lower", measured_alone=number % 5 > 0),
    }
    facts = {
        "schema": 1, "row_id": row.row_id, "notebook": plan.notebook.name, "params": row.values,
        "status": "failed" if failed else "passed", "started": MOMENT, "ended": MOMENT, "duration_s": 1.5 + number % 3,
        "attempts": [Attempt(status="failed" if failed else "passed", started=MOMENT, duration_s=1.5)], "cpu_s": 1.0,
        "peak_mb": 100.0, "metrics": measured if metrics and not failed else {}, "error": error, "env_id": "abc", "host": "here",
        "threads": 1, "fingerprint": plan.fingerprint(row),
    }  # fmt: skip
    return Record(**{**facts, **changes})
