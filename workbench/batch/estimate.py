"""What a batch will take, judged by what of it has run already."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.batch._folder import Folder, num_bytes
from workbench.batch._plan import Plan, Sorted, sort_out

MOST_SIZES = 50  # rows whose bytes are counted


@dataclass(frozen=True)
class Estimate:
    """Medians of the rows in the folder; None while nothing has run there."""

    plan: Plan
    found: Sorted
    jobs: int
    seconds_per_row: float | None
    bytes_per_row: int | None

    @property
    def seconds(self) -> float | None:
        """The time for what is left to do."""
        if self.seconds_per_row is None:
            return None
        return self.seconds_per_row * len(self.found.wanted) / min(self.jobs, max(1, len(self.found.wanted)))

    def to_json(self) -> dict[str, Any]:
        return {
            "notebook": str(self.plan.notebook), "num_rows": len(self.plan.rows),
            "wanted": [{"row_id": each.row.row_id, "given": each.row.given, "why": each.why} for each in self.found.wanted],
            "done": list(self.found.done), "seconds_per_row": self.seconds_per_row, "seconds": self.seconds,
            "bytes_per_row": self.bytes_per_row, "warnings": self.plan.warnings,
        }  # fmt: skip


def estimate(plan: Plan, out: Path | None, *, jobs: int) -> Estimate:
    """Hold a plan against a folder; None = against an empty one."""
    folder = Folder(out) if out else None
    records = folder.records() if folder else {}
    took = [record.duration_s for record in records.values() if record.passed]
    sizes = [num_bytes(folder.row(row_id)) for row_id in list(records)[:MOST_SIZES]] if folder else []
    return Estimate(
        plan, sort_out(plan, folder), jobs, statistics.median(took) if took else None,
        int(statistics.median(sizes)) if sizes else None,
    )  # fmt: skip
