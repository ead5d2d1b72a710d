"""Makes room in a batch: what rows left beside their records goes; the records, the table and the page stay."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from workbench.batch._folder import Folder, num_bytes
from workbench.batch._front import front
from workbench.batch._row import LOG
from workbench.batch.inside import ARTIFACTS
from workbench.batch.views import look
from workbench.errors import InvalidInput

GOES = ("out*.ipynb", "out*.html", LOG, ARTIFACTS, "attempts")


@dataclass(frozen=True)
class Cleaning:
    """What would go, with its bytes, and which rows keep everything."""

    paths: tuple[tuple[Path, int], ...]
    kept: tuple[str, ...]

    @property
    def num_bytes(self) -> int:
        return sum(size for _, size in self.paths)


def plan(folder: Folder, *, keep_last: int, keep_front: bool) -> Cleaning:
    """Say what goes: executed notebooks, pages, logs, files and attempts of all rows but the last ones and the front."""
    if keep_last < 0:
        raise InvalidInput([f"--keep-last: {keep_last} is less than 0"])
    batch = look(folder)
    newest = sorted(batch.records, key=lambda record: record.ended, reverse=True)[:keep_last]
    kept = {record.row_id for record in newest}
    if keep_front and (found := front(batch.lines)):
        kept |= {line.view.row_id for line, _, _ in found.points if line.label in found.members}
    rows = [folder.row(record.row_id) for record in batch.records if record.row_id not in kept]
    there = [path for row in rows for name in GOES for path in sorted(row.glob(name))] + [
        path for path in (folder.path / "cache",) if path.exists()
    ]
    return Cleaning(tuple((path, num_bytes(path)) for path in there), tuple(sorted(kept)))


def carry_out(folder: Folder, cleaning: Cleaning) -> None:
    """Remove what a plan says; refused while a runner works there."""
    with folder.held():
        for path, _ in cleaning.paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
