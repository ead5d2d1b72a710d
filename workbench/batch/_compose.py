"""From what a row's process left to its record: status, error, metrics, runs, artifacts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from workbench.batch import _problem, _row
from workbench.batch._execution import Execution
from workbench.batch._identity import Row
from workbench.batch._record import Attempt, Metric, Problem, Record, Status
from workbench.batch._running import BYTES_PER_MB
from workbench.batch.inside import ARTIFACTS, RECORDED
from workbench.errors import ArtifactError, WorkbenchError
from workbench.nouns import Measurement, Run
from workbench.recorder import now
from workbench.store import Store

ENDED: dict[str, Status] = {"passed": "passed", "raised": "failed", "timeout": "timeout", "died": "kernel_died"}
SAID = {"kernel_died": "the kernel died: it was killed, ran out of memory, or ended itself"}
LOG_LINES = 25
QUALITIES_ON = "test"  # the split whose qualities are joined under their bare name


def compose(
    running: Execution,
    outcome: Mapping[str, Any],
    *,
    notebook: Path,
    fingerprint: Mapping[str, Any],
    env_id: str,
    earlier: Sequence[Attempt],
) -> Record:
    """Return the record of an execution that has ended; `outcome` is empty when its process left none."""
    status: Status = ENDED.get(outcome.get("ended", ""), "error")
    reason = outcome.get("note", "")
    if running.breach and status != "passed":
        status, reason = running.breach
    elif running.lost:
        reason = running.lost
    problem = None if status == "passed" else _error(running, outcome, status, reason)
    message = problem.message if problem else ""
    attempt = Attempt(status=status, started=running.started, duration_s=round(running.seconds, 3), message=message)
    told = _recorded(running.draft)
    runs = _runs(running.draft)
    return Record(
        schema=1, row_id=running.row.row_id, notebook=notebook.name, params=running.row.values, status=status, reason=reason,
        attempts=[*earlier, attempt], started=running.started, ended=now(), duration_s=attempt.duration_s,
        cpu_s=outcome.get("cpu_s", 0.0), sections=outcome.get("sections", {}), timeout_s=running.options.timeout_s,
        peak_mb=round(running.peak_bytes / BYTES_PER_MB, 1) or None, metrics=joined(runs) | told.metrics, runs=runs, tables=told.tables,
        artifacts=_artifacts(running.draft), error=problem, env_id=running.env_id or env_id, host=running.host,
        threads=running.options.threads, start=running.start, seed=_seed(running.row), measured_alone=told.measured_alone,
        exclusive=told.exclusive, fingerprint=dict(fingerprint),
    )  # fmt: skip


def is_retryable(record: Record, retry_on: Sequence[str]) -> bool:
    return record.status in retry_on or (record.error is not None and record.error.category in retry_on)


def _error(running: Execution, outcome: Mapping[str, Any], status: Status, reason: str) -> Problem:
    where = {
        "cell": outcome.get("cell") or running.cell.get("cell", 0),
        "excerpt": outcome.get("excerpt") or running.cell.get("line", ""),
        "notebook": outcome.get("notebook") or running.cell.get("stage", "").partition(" ")[2],
    }
    if status == "failed":
        return _problem.problem("", outcome["value"], name=outcome["name"], traceback=outcome["traceback"], **where)
    kind = {"timeout": "timeout", "oom_limit": "memory", "cancelled": "other"}.get(status, "crash")
    said = reason or SAID.get(status) or "the process of this row ended without a word: its log says more"
    return _problem.problem(kind, said, name=status, traceback=[] if outcome else _log_tail(running.draft), **where)


def _log_tail(draft: Path) -> list[str]:
    log = draft / _row.LOG
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file; a process that was killed may have left half a one."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [orjson.loads(line) for line in whole.splitlines() if line]


class _Recorded(NamedTuple):
    """What the notebook told while it was executed."""

    metrics: dict[str, Metric]
    tables: list[dict[str, Any]]
    exclusive: list[dict[str, Any]]

    @property
    def measured_alone(self) -> bool | None:
        """Whether all that it timed exclusively was alone; None = it timed nothing so."""
        return all(bool(each.get("measured_alone")) for each in self.exclusive) if self.exclusive else None


def _recorded(draft: Path) -> _Recorded:
    found = _Recorded({}, [], [])
    for line in _lines(draft / RECORDED):
        if "exclusive" in line:
            found.exclusive.append(line["exclusive"])
        elif "table" in line:
            found.tables.append(line["table"])
        else:
            name = line.pop("name")
            found.metrics[name] = Metric(**line)
    return found


def _runs(draft: Path) -> list[dict[str, str]]:
    """Return the runs that the notebook asked for, each once, in order."""
    told = [{"run_id": line["run_id"], "store": line["store"]} for line in _lines(draft / _row.MADE)]
    return list({line["run_id"]: line for line in told}.values())


def joined(runs: Sequence[Mapping[str, str]]) -> dict[str, Metric]:
    """Return the measurements of the run, when the notebook asked for one: of several none is the row's."""
    if len(runs) != 1:
        return {}
    try:
        run = Store(runs[0]["store"]).get(runs[0]["run_id"])
    except (ArtifactError, WorkbenchError):
        return {}
    return {name: _metric(each, run) for each in run.measurements if (name := _bare(each))}


def _bare(measured: Measurement) -> str:
    """Return the name of a measurement in a row; empty for those of single classes."""
    if "label" in measured.conditions:
        return ""
    split = measured.conditions.get("split", QUALITIES_ON)
    return measured.name if split == QUALITIES_ON else f"{measured.name}_{split}"


def _metric(measured: Measurement, run: Run) -> Metric:
    return Metric(
        value=measured.value, unit=measured.unit, n=measured.n, lo=measured.lo, hi=measured.hi,
        better=measured.better, scope=run.run_id, measured_alone=measured.conditions.get("measured_alone"),
    )  # fmt: skip


def _artifacts(draft: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((draft / ARTIFACTS).rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append({"path": os.fspath(path.relative_to(draft)), "sha256": digest, "bytes": path.stat().st_size})
    return found


def _seed(row: Row) -> int | None:
    seed = row.values.get("seed")
    return seed if isinstance(seed, int) else None
