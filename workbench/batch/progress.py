"""How work inside a kernel tells the runner outside how far it is: lines appended to the file that the runner named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from workbench.study import Progress

VARIABLE = "WORKBENCH_PROGRESS_FILE"  # set by `python -m workbench.batch.execute` for the kernel it starts


def tell_runner(*records: Mapping[str, Any]) -> None:
    """Append records in the form of a run's events; does nothing when no runner asked for them."""
    path = os.environ.get(VARIABLE)
    if path:
        with Path(path).open("ab") as file:
            file.write(b"".join(orjson.dumps(record) + b"\n" for record in records))


def study_lines(progress: Progress) -> list[dict[str, Any]]:
    """Return one record for the whole and one for the last word of each running worker."""
    whole = {"done": progress.done, "total": progress.total, "unit": "runs", "eta_s": progress.eta_seconds}
    wanted = ("part", "text", "done", "total", "unit")
    inside = [
        {"run_id": job_id} | {key: event[key] for key in wanted if key in event}
        for job_id, event in progress.running.items()
    ]
    return [whole, *inside]
