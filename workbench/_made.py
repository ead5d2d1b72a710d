"""How a notebook's executor learns which runs the notebook asked for: lines in a file that the executor named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from workbench.nouns import Run

VARIABLE = "WORKBENCH_MADE_FILE"  # set by a batch for the kernel that it starts


def tell_made(runs: Sequence[Run], store: Path) -> None:
    """Append the runs that were asked for, found or made; does nothing when nobody wants to know."""
    path = os.environ.get(VARIABLE)
    if path:
        lines = [orjson.dumps({"run_id": run.run_id, "store": str(store)}) + b"\n" for run in runs if run.run_id]
        with Path(path).open("ab") as file:
            file.write(b"".join(lines))
