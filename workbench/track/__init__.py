"""Mirrors runs and batches into MLflow, for those who look there. The store stays what counts: nothing is ever read back.

What was mirrored once is found by its tag and not written again, so mirroring may be repeated after any interruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import table
from workbench.batch.views import Batch, View
from workbench.errors import ArtifactError
from workbench.nouns import Measurement, Run
from workbench.store import Store
from workbench.track._mlflow import Entry, Mirror, why_not

__all__ = ["Mirrored", "mirror_batch", "mirror_runs", "why_not"]

STATUS = {"done": "FINISHED", "passed": "FINISHED", "cancelled": "KILLED"}  # everything else failed


@dataclass(frozen=True)
class Mirrored:
    """How many entries are new in the tracker, and how many were there."""

    added: int
    already_there: int


def mirror_runs(runs: Iterable[Run], uri: str, *, experiment: str = "workbench") -> Mirrored:
    """Write finished runs into the tracker at `uri`; raises InvalidInput for a `uri` that can't be one."""
    with Mirror(uri, experiment) as mirror:
        return _counted([mirror.add(_run_entry(run)) for run in runs])


def mirror_batch(batch: Batch, uri: str, *, experiment: str = "") -> Mirrored:
    """Write the rows of a batch that have ended, and below each the runs that it made; the notebook names the experiment."""
    with Mirror(uri, experiment or Path(batch.notebook).stem) as mirror:
        added = []
        for view in batch.rows:
            if view.record is None:
                continue
            entry = _row_entry(batch, view)
            added.append(mirror.add(entry))
            below = [run for line in view.record.runs if (run := _stored(line))]
            added += [mirror.add(_run_entry(run, parent=entry.key)) for run in below]
        return _counted(added)


def _counted(added: Sequence[bool]) -> Mirrored:
    return Mirrored(sum(added), len(added) - sum(added))


def _stored(line: dict[str, str]) -> Run | None:
    """Return the run that a row made; None when it was deleted since."""
    store = Store(line["store"])
    try:
        return store.get(line["run_id"]) if (store.root / line["run_id"]).is_dir() else None
    except ArtifactError:
        return None


def _run_entry(run: Run, parent: str = "") -> Entry:
    folder = Path(run.folder)
    params = {
        "model": table.model_text(run), "data": table.data_text(run), "recipe": table.recipe_text(run),
        "format": table.format_text(run), "seed": run.job.get("seed"),
    }  # fmt: skip
    for number, step in enumerate(run.job.get("steps") or ()):
        params |= {f"steps.{number}.{name}": value for name, value in dict(step).items()}
    tags = {
        "status": run.status, "job_id": run.job_id, "parent": run.parent, "reference": run.reference,
        "cpu": run.machine.get("cpu"), "error": table.error_text(run),
        **{f"version.{name}": version for name, version in run.versions.items()},
    }  # fmt: skip
    return Entry(
        key=run.run_id, name=run.run_id, status=STATUS.get(run.status, "FAILED"), started=run.started, ended=run.ended, params=params,
        metrics={name: each.value for each in run.measurements if (name := _name(each))}, tags=tags,
        files=tuple(path for path in (folder / "run.json", folder / "artifact") if path.exists()), parent=parent,
    )  # fmt: skip


def _name(measured: Measurement) -> str:
    """Return the name of a whole-model measurement with its split; empty for those of single classes."""
    if "label" in measured.conditions:
        return ""
    return ".".join(filter(None, (measured.name, str(measured.conditions.get("split", "")))))


def _row_entry(batch: Batch, view: View) -> Entry:
    record = view.record
    assert record is not None
    folder = batch.folder.row(view.row_id)
    tags = {
        "status": record.status, "reason": record.reason, "notebook": batch.path_of_notebook, "host": record.host,
        "env_id": record.env_id, "attempts": len(record.attempts), "measured_alone": record.measured_alone,
        "error": record.error.message if record.error else None, "error_category": record.error.category if record.error else None,
    }  # fmt: skip
    own = {"duration_s": record.duration_s, "cpu_s": record.cpu_s, "peak_mb": record.peak_mb}
    return Entry(
        key=f"{batch.folder.path}/{view.row_id}@{record.ended}", name=view.row_id, status=STATUS.get(record.status, "FAILED"),
        started=record.started, ended=record.ended, params=dict(view.values),
        metrics={name: value for name, value in own.items() if value is not None}
        | {name: metric.value for name, metric in record.metrics.items()},
        tags=tags, files=tuple(path for name in ("record.json", "out.ipynb", "artifacts") if (path := folder / name).exists()),
    )  # fmt: skip
