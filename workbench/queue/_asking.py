"""Enters jobs into a queue, each after the relatives that it compares itself with."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from workbench import recorder
from workbench.job import Job
from workbench.launch import _order
from workbench.queue._folder import Folder
from workbench.queue._record import Record
from workbench.queue._work import Needs


@dataclass
class Entering:
    """Adds to `records`, which is the queue as it is on disk; whoever uses it holds the folder's `changes()`."""

    folder: Folder
    records: dict[str, Record]
    workers: int = 1
    place: tuple[str, tuple[str, ...]] = field(default_factory=lambda: _here())  # folder and module path of who asks

    def enter(self, job: Job, *, again: bool = False, for_job: str = "") -> Record:
        """Return the entry of a job: the unfinished one where there is one, one that is finished at once, or a new one."""
        job_id = job.job_id
        same = [record for record in self.records.values() if record.job_id == job_id]
        if unfinished := next((record for record in same if not record.finished), None):
            asked_for_itself = bool(unfinished.for_job) and not for_job
            return self._write(unfinished, for_job="") if asked_for_itself else unfinished
        done = None if again else self.folder.store.find(job_id)
        if done is None:
            self.enter_relatives(job)
            return self._write(self._new(job, again=again, for_job=for_job))
        if shown := next((record for record in same if record.run_id == done.run_id and record.state == "done"), None):
            return shown
        new = self._new(job, again=False, for_job=for_job)
        return self._write(new, state="done", run_id=done.run_id, started=done.started, ended=done.ended)

    def enter_relatives(self, job: Job) -> None:
        """Add the relatives that are neither done nor under way."""
        for relative in reversed(job.relatives()):
            if relative and not self.folder.store.find(relative.job_id):
                self.enter(relative, for_job=job.job_id)

    def _new(self, job: Job, *, again: bool, for_job: str) -> Record:
        needs = Needs.of(job)
        folder, path = self.place
        order = 1 + max((record.order for record in self.records.values()), default=0)
        stamp = int(time.time() * 1000)
        while (entry_id := f"{job.job_id}.{stamp:x}") in self.records:
            stamp += 1
        return Record(
            entry_id, job.job_id, job.to_json(), "waiting", order, recorder.now(), again, self.workers, for_job, folder, path,
            needs.relatives, tuple(needs.states), tuple(needs.own),
        )  # fmt: skip

    def _write(self, record: Record, **changes: object) -> Record:
        written = self.folder.write(record, **changes)
        self.records[written.entry_id] = written
        return written


def _here() -> tuple[str, tuple[str, ...]]:
    additions = _order.environment(1)["PYTHONPATH"]
    return os.getcwd(), tuple(additions.split(os.pathsep)) if additions else ()
