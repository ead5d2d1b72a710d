"""Runs on disk: written once, appear whole.

    <root>/<run_id>/         run.json, events.jsonl, log.txt, artifact/, samples/
    <root>/.draft-<run_id>/  the same while it is made; stays, and is listed as lost, when its worker was killed
    <root>/.marks/           what people say of a run afterwards (`workbench.marks`)
    <root>/.deleted-…        what is being removed; .import-… what is being taken in

The promises: a run appears by one rename, never changes and goes by one rename; a run id is used once, also by concurrent
processes; a record that can't be read is skipped and named in `skipped`, never an exception for the others.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from workbench import _drafts
from workbench._deleting import comparisons, refuse
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.nouns import SCHEMA, Run

DRAFT = ".draft-"
DELETED = ".deleted-"
STAGING = ".import-"
MARKS = ".marks"


class Store:
    """A folder of runs."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        self.skipped: list[str] = []  # what the last listing could not read, with reasons

    def begin(self, job_id: str, job: Mapping[str, Any], **relatives: str | None) -> Path:
        """Claim the next free run id of a job; returns its draft folder, which holds job.json and relatives.json."""
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            for number in range(1, 10_000):
                run_id = f"{job_id}-{number:02d}"
                draft = self.root / f"{DRAFT}{run_id}"
                if (self.root / run_id).exists() or not _claim(draft):
                    continue
                if (self.root / run_id).exists():  # published between the look and the claim
                    draft.rmdir()
                    continue
                write_json(draft / "job.json", job)
                write_json(draft / "relatives.json", relatives)
                return draft
        raise WorkbenchError(f"{job_id} has 9,999 runs in {self.root}", next_move="delete some, or use another store")

    def publish(self, draft: Path, run: Run) -> Run:
        """Write the record and rename the draft to its final name; refuses an id that exists."""
        final = self.root / run.run_id
        with disk_errors(draft):
            write_json(draft / "run.json", run.to_json())
            try:
                draft.rename(final)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    raise WorkbenchError(f"{run.run_id} exists already in {self.root}; the draft is kept") from None
                raise
        return self.get(run.run_id)

    def runs(self) -> list[Run]:
        """Return every finished run (done, failed, cancelled), oldest first."""
        self.skipped = []
        if not self.root.is_dir():
            return []
        found = []
        with _collector_paused():
            for entry in os.scandir(self.root):
                if entry.name.startswith(".") or not entry.is_dir():
                    continue
                try:
                    found.append(_read(entry.path))
                except ArtifactError as error:
                    self.skipped.append(error.message)
        return sorted(found, key=lambda run: (run.started, run.run_id))

    def get(self, run_id: str) -> Run:
        """Return one finished run; raises InvalidInput when there is none, ArtifactError when its record is broken."""
        folder = self.root / run_id
        if not run_id or run_id.startswith(".") or Path(run_id).name != run_id or not folder.is_dir():
            raise InvalidInput([f"no run {run_id!r} in {self.root}"], next_move="workbench table lists the runs")
        return _read(folder)

    def find(self, job_id: str) -> Run | None:
        """Return the newest run of a job that is done; None when there is none."""
        for folder in sorted(self.root.glob(f"{job_id}-*"), key=_number, reverse=True):
            try:
                run = _read(folder)
            except ArtifactError:
                continue
            if run.status == "done":
                return run
        return None

    def drafts(self) -> list[Run]:
        """Return the runs that are not finished: planned, running, or lost with what is known of their end."""
        found = (self.draft(path.name.removeprefix(DRAFT)) for path in sorted(self.root.glob(f"{DRAFT}*")))
        return [run for run in found if run]

    def draft(self, run_id: str) -> Run | None:
        """Return one run that is not finished; None when there is none, or it has just been."""
        return _drafts.read(self.root / f"{DRAFT}{run_id}", run_id)

    def lost(self) -> list[Run]:
        """Return the drafts whose worker is gone."""
        return [run for run in self.drafts() if run.status == "lost"]

    def delete(self, *run_ids: str, force: bool = False) -> None:
        """Remove runs or drafts for good, with their marks; none of them when one is refused.

        Refused are running drafts, pinned runs and, unless `force`, runs that others which stay were measured against.
        """
        going = {run_id: self._run_or_draft(run_id) for run_id in run_ids}
        others = [] if force else [run for run in (*self.runs(), *self.drafts()) if run.status != "lost"]
        refuse(going, others, self.root / MARKS)
        with disk_errors(self.root):
            for run_id, run in going.items():
                gone = self.root / f"{DELETED}{run_id}-{time.time_ns()}"
                Path(run.folder).rename(gone)
                belonging = [path for path, both in comparisons(self.root).items() if run_id in both]
                for path in (self.root / MARKS / f"{run_id}.json", *belonging):
                    path.unlink(missing_ok=True)
                shutil.rmtree(gone)

    def _run_or_draft(self, run_id: str) -> Run:
        return (self.draft(run_id) if Path(run_id).name == run_id else None) or self.get(run_id)


class disk_errors:  # noqa: N801 - reads as a verb in a with statement
    """Turns a full or read-only disk into an error that names the path and the free space."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            return
        what = {errno.EROFS: "is read-only", errno.EACCES: "may not be written"}.get(error.errno, "is full")
        raise WorkbenchError(
            f"the disk of {error.filename or self.path} {what}",
            next_move="free some space (workbench doctor shows it) or use --store on another disk",
        ) from error


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record so that it is on disk, whole, when this returns."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def own(draft: Path, pid: int | None = None) -> None:
    """Say which process works on a draft (None: this one), so that others can see when it is gone."""
    import psutil

    process = psutil.Process(pid)
    write_json(draft / "owner.json", {"pid": process.pid, "born": process.create_time(), "host": socket.gethostname()})


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Read records, which hold no cycles, without the collector walking all of them after every few hundred more."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # and back: to the oldest generation at once, or the two younger ones would be walked first
        gc.unfreeze()
        if was_on:
            gc.enable()


def _claim(draft: Path) -> bool:
    try:
        draft.mkdir()
    except FileExistsError:
        return False
    return True


def _read(folder: str | Path) -> Run:
    path = os.path.join(folder, "run.json")  # plain text: a Path takes longer to make than its file to read
    try:
        with open(path, "rb") as file:
            record = orjson.loads(file.read())
        if record["schema"] != SCHEMA:
            raise ArtifactError(f"{path}: schema {record['schema']!r}, this version reads {SCHEMA}")
        run = Run.from_json(record, folder=str(folder))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no record") from None
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError, OSError) as error:
        raise ArtifactError(f"{path}: not a readable run record ({error})") from None
    if run.run_id != os.path.basename(folder):
        raise ArtifactError(f"{path}: is the record of {run.run_id}")
    return run


def _number(folder: Path) -> int:
    """Return which run of its job a folder holds: the hundredth comes after the ninety-ninth."""
    last = folder.name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0
