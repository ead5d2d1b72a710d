"""Runs made by hand in a store, for tests of what becomes of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from workbench.nouns import Measurement, Run
from workbench.store import Store

DAY_SECONDS = 86_400
MACHINE = {"cpu": "Example CPU", "cores": 2}


def made(store: Store, run_id: str, *, num_bytes: int = 1000, days_old: float = 10, **changes: Any) -> Run:
    """Publish a run as a worker would, with an artifact of this size; `run_id` ends in -01."""
    draft = store.begin(run_id.removesuffix("-01"), {"seed": 0}, parent=changes.get("parent"))
    assert draft.name.endswith(run_id)
    (draft / "artifact").mkdir()
    (draft / "artifact" / "model.bin").write_bytes(os.urandom(num_bytes))
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days_old * DAY_SECONDS))
    size = Measurement("artifact_bytes", "bytes", "lower", num_bytes)
    fields = {
        "status": "done",
        "job": {"seed": 0},
        "machine": MACHINE,
        "ended": ended,
        "artifact": "artifact/",
        **changes,
    }
    return store.publish(draft, Run(run_id, run_id.removesuffix("-01"), measurements=(size,), **fields))


def aged(path: Path, days: float) -> Path:
    """Make a file, or a folder with all in it, look this old."""
    then = time.time() - days * DAY_SECONDS
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then))
    return path


def names(store: Store) -> list[str]:
    return sorted(run.run_id for run in store.runs())


def content(store: Store) -> dict[str, bytes]:
    """Return every visible file of a store."""
    files = (path for path in store.root.rglob("*") if path.is_file())
    found = {str(path.relative_to(store.root)): path.read_bytes() for path in files}
    return {name: text for name, text in found.items() if not name.startswith(".")}
