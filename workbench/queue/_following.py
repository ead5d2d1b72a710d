"""Between the entries on disk and the work in a keeper's hands: takes up what others wrote, writes down what happens.

Whatever is wrong with an entry becomes that entry's failure. What the disk doesn't take is kept and written later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from workbench import bench, recorder
from workbench.errors import WorkbenchError
from workbench.job import Job
from workbench.launch._order import ROOT
from workbench.nouns import Run
from workbench.queue._adopted import Adopted
from workbench.queue._asking import Entering
from workbench.queue._folder import Folder
from workbench.queue._record import Record, outcome
from workbench.queue._work import Active, Happened, Work
from workbench.store import DRAFT

LOG = logging.getLogger(__name__)


class Following:
    """Keeps `work` and the entries of a folder in step."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.work = Work(folder.store, listens=False, place=self._where_it_was_asked)
        self.unsaved: dict[str, Callable[[Record], dict[str, Any]]] = {}  # entry id → what its record shall change
        self._records: dict[str, Record] = {}  # as last read
        self._followed: dict[str, Record] = {}  # by job id, as it was taken up

    def has_news(self) -> bool:
        """Say whether the folder differs from what was read last."""
        return self.folder.read() != self._records

    def has_new_entries(self) -> bool:
        return bool(self._unknown(self.folder.read()))

    def take_up(self) -> None:
        """Heed new, cancelled, moved and removed entries."""
        with self.folder.changes():
            self._records = records = self.folder.read()
            while unknown := self._unknown(records):  # following one may enter its relatives
                for record in unknown:
                    self._follow(record, records)
        for job_id, record in list(self._followed.items()):
            self._heed(job_id, records.get(record.entry_id))
        orders = {record.job_id: record.order for record in records.values() if not record.finished}
        self.work.waiting = dict(sorted(self.work.waiting.items(), key=lambda item: orders.get(item[0], 0)))
        self.work.workers = max(records.values(), key=lambda each: each.order).workers if records else 1

    def note(self, happened: Happened) -> None:
        """Remember to write down a start or an end."""
        job_id = happened.job.job_id
        entry_id = self._followed[job_id].entry_id
        if happened.active and happened.ended is None:
            LOG.info("%s: begins as %s", entry_id, happened.active.run_id)
            self._began(entry_id, happened.active.run_id)
            return
        del self._followed[job_id]
        if happened.active and _nobody_took(happened.active):
            LOG.info("%s: nobody took %s, it waits again", entry_id, happened.active.run_id)
            self.unsaved[entry_id] = lambda record: {"state": "waiting", "run_id": None, "started": None}
        elif happened.ended:
            LOG.info("%s: %s %s", entry_id, happened.ended.run_id, happened.ended.status)
            self.unsaved[entry_id] = partial(outcome, run=happened.ended)

    def save(self) -> None:
        """Write what is to be written; what fails now stays for later."""
        if not self.unsaved:
            return
        with self.folder.changes():
            for entry_id, change in list(self.unsaved.items()):
                if record := self.folder.get(entry_id):
                    self.folder.write(record, **change(record))
                del self.unsaved[entry_id]

    def _unknown(self, records: dict[str, Record]) -> list[Record]:
        """Return the unfinished entries that are not followed yet, and whose end doesn't only wait to be written."""
        known = {record.entry_id for record in self._followed.values()} | self.unsaved.keys()
        return [record for record in records.values() if not record.finished and record.entry_id not in known]

    def _follow(self, record: Record, records: dict[str, Record]) -> None:
        """Take up one unfinished entry; a job that is under way already is adopted."""
        found = bench.tried(record.job_id, record.job, lambda: self._prepare(record, records))
        if isinstance(found, Run):
            self.unsaved[record.entry_id] = partial(outcome, run=found)
            return
        job, draft = found
        self._followed[job.job_id] = record
        if draft:
            LOG.info("%s: adopts %s", record.entry_id, draft.name)
            self.work.adopt(job, draft, Adopted(draft, self.folder.store))
            self._began(record.entry_id, draft.name.removeprefix(DRAFT))
            return
        self.work.add(job, again=record.again)
        if done := self.work.ended.get(job.job_id):  # meanwhile, by somebody else
            del self._followed[job.job_id]
            self.unsaved[record.entry_id] = partial(outcome, run=done)

    def _prepare(self, record: Record, records: dict[str, Record]) -> tuple[Job, Path | None]:
        """Return the job of an entry and the draft of it that is under way; else see that its relatives are entered."""
        with _in(record):
            job = Job.from_json(record.job)
        if other := self._followed.get(job.job_id):
            raise WorkbenchError(f"the same job is {other.entry_id}", next_move="dismiss this one")
        draft = self._under_way(record)
        if draft is None:
            place = (record.folder, record.path)
            Entering(self.folder, records, record.workers, place).enter_relatives(job)
        return job, draft

    def _under_way(self, record: Record) -> Path | None:
        """Return the draft of an entry that runs, or of its job when nobody could write down that it does."""
        store = self.folder.store
        if record.run_id:
            return store.root / f"{DRAFT}{record.run_id}"
        if record.again:
            return None
        drafts = sorted(store.root.glob(f"{DRAFT}{record.job_id}-*"), reverse=True)
        runs = [store.draft(draft.name.removeprefix(DRAFT)) for draft in drafts]
        return next((Path(run.folder) for run in runs if run and run.status in ("running", "planned")), None)

    def _heed(self, job_id: str, record: Record | None) -> None:
        """Do what somebody wants of an entry that is followed; None when its file is gone."""
        if job_id in self.work.active:
            if record is None or record.cancelling or record.finished:
                self.work.stop(job_id)
        elif record is None or record.finished:
            self.work.drop(job_id)
            del self._followed[job_id]

    def _began(self, entry_id: str, run_id: str) -> None:
        moment = recorder.now()

        def change(record: Record) -> dict[str, Any]:
            cancelling = record.cancelling or record.finished  # cancelled in the moment in which it began
            return {"state": "running", "run_id": run_id, "started": record.started or moment, "cancelling": cancelling}

        self.unsaved[entry_id] = change

    @contextlib.contextmanager
    def _where_it_was_asked(self, job: Job) -> Iterator[None]:
        with _in(self._followed[job.job_id]):
            yield


@contextlib.contextmanager
def _in(record: Record) -> Iterator[None]:
    """See files and modules as whoever asked for the job did."""
    path = list(sys.path)
    try:
        os.chdir(record.folder)
    except OSError as error:
        what = f"{record.folder}, where this job was asked for, can't be entered: {error.strerror}"
        raise WorkbenchError(what, next_move="run it again from a folder that exists") from None
    sys.path[:] = [*record.path, *(each for each in path if each not in record.path)]
    try:
        yield
    finally:
        sys.path[:] = path
        os.chdir(ROOT)


def _nobody_took(active: Active) -> bool:
    """Say whether an adopted draft was left by a keeper that was killed before any worker began on it."""
    left = isinstance(active.worker, Adopted) and active.kill_at is None
    return left and active.draft.is_dir() and not (active.draft / "owner.json").exists()
