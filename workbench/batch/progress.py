"""How work inside a kernel tells the runner outside how far it is: lines appended to the file that the runner named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from workbench.study import Progress

VARIABLE = "WORKBENCH_PROGRESS_FILE"  # set by `python -m workbench.batch.execute` for the kernel it starts


def tell_runner(progress: Progress) -> None:
    """Append where a study stands; does nothing when no runner asked for it."""
    path = os.environ.get(VARIABLE)
    if path:
        with Path(path).open("ab") as file:
            file.write(b"".join(orjson.dumps(line) + b"\n" for line in lines(progress)))


def lines(progress: Progress) -> list[dict]:
    """Return one record for the whole and one for the last word of each running worker."""
    whole = {"done": progress.done, "total": progress.total, "unit": "runs", "eta_s": progress.eta_seconds}
    wanted = ("part", "text", "done", "total", "unit")
    inside = [
        {"run_id": job_id} | {key: event[key] for key in wanted if key in event}
        for job_id, event in progress.running.items()
    ]
    return [whole, *inside]
