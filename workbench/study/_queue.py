"""Carries out the jobs of a study, several at a time, in one loop without threads: workers are processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import bench
from workbench.errors import WorkbenchError
from workbench.job import Job, digest
from workbench.nouns import Run
from workbench.store import Store

SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True)
class Progress:
    """Where a study stands; `ended` is the run that has just ended, None when only a worker said something."""

    done: int
    total: int
    eta_seconds: float | None  # None until one job has ended
    running: Mapping[str, Mapping[str, Any]]  # job id → the last event of its worker
    ended: Run | None = None


@dataclass
class _Active:
    job: Job
    draft: Path
    worker: Any
    events: bench.Tail
    last: dict[str, Any] = field(default_factory=dict)


class Queue:
    """The jobs of a study on their way: waiting, active, ended."""

    def __init__(self, jobs: Sequence[Job], store: Store, on_event: Callable[[Progress], None]) -> None:
        self.jobs, self.store, self.on_event = list(jobs), store, on_event
        self.ended: dict[str, Run] = {job.job_id: run for job in jobs if (run := store.find(job.job_id))}
        self.waiting = [job for job in jobs if job.job_id not in self.ended]
        self.relatives = {job.job_id: [each.job_id for each in job.relatives() if each] for job in jobs}
        self.prefixes = {job.job_id: _prefixes(job) for job in jobs}
        self.active: list[_Active] = []
        self.num_before, self.began = len(self.ended), time.monotonic()

    def work_off(self, workers: int) -> None:
        self._say()
        while self.waiting or self.active:
            while len(self.active) < workers and (job := self._next()):
                self.waiting.remove(job)
                self._start(job)
            for active in list(self.active):
                self._look_at(active)
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def cancel(self) -> None:
        for active in self.active:
            active.worker.cancel()

    def _next(self) -> Job | None:
        """Return the first job whose relatives have ended and that shares no unfinished step with an active one."""
        made = {key for job_id in self.ended for key in self.prefixes[job_id]}
        in_making = {key for active in self.active for key in self.prefixes[active.job.job_id]} - made
        for job in self.waiting:
            ready = all(relative in self.ended for relative in self.relatives[job.job_id])
            if ready and not in_making & self.prefixes[job.job_id]:
                return job
        return None

    def _start(self, job: Job) -> None:
        try:
            self._check_relatives(job)
            bench.check(job)
            draft, worker = bench.submit(job, self.store)
        except WorkbenchError as error:
            self._end(job, _not_carried_out(job, error))
            return
        self.active.append(_Active(job, draft, worker, bench.Tail(draft)))
        self._say()

    def _check_relatives(self, job: Job) -> None:
        for run in (self.ended[relative] for relative in self.relatives[job.job_id]):
            if run.status != "done":
                what = f"its comparison {run.run_id or run.job_id} (as trained) is {run.status}"
                raise WorkbenchError(what, next_move="mend that one first, then run the study again")

    def _look_at(self, active: _Active) -> None:
        gone = active.worker.poll() is not None  # asked first, so that the last events are read after the end
        for event in active.events.news():
            active.last = event
            if not gone:
                self._say()
        if gone:
            self.active.remove(active)
            self._end(active.job, bench.ended(active.draft, self.store))

    def _end(self, job: Job, run: Run) -> None:
        self.ended[job.job_id] = run
        self._say(run)

    def _say(self, run: Run | None = None) -> None:
        done, total = len(self.ended), len(self.jobs)
        here = done - self.num_before
        eta = (time.monotonic() - self.began) / here * (total - done) if here else None
        running = {active.job.job_id: active.last for active in self.active}
        self.on_event(Progress(done, total, eta, running, run))


def _prefixes(job: Job) -> set[str]:
    """Return a key for each state on the way through a job: equal keys are one piece of work."""
    record = job.to_json()
    led_here = [record["model"], record["data"], record["seed"]]
    return {digest([*led_here, record["steps"][: index + 1]]) for index in range(len(record["steps"]))}


def _not_carried_out(job: Job, error: WorkbenchError) -> Run:
    failure = {"kind": "raised", "signal": None, "message": error.message, "next": error.next_move, "traceback": ""}
    return Run(run_id="", job_id=job.job_id, status="failed", job=job.to_json(), error=failure)
