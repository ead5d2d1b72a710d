"""Jobs on their way, a few at a time, in steps that somebody calls: no threads, workers are processes.

What is shared is done once: relatives come first, and two jobs that would train the same thing never run side by side.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench import bench
from workbench.errors import WorkbenchError
from workbench.job import Job, digest
from workbench.nouns import Run
from workbench.store import DRAFT, Store

SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_STOP = 1.4  # for a worker that was asked to; then it is killed


@dataclass(frozen=True)
class Needs:
    """What a job needs of others (job ids), and the states that it makes on its way: equal keys are one piece of work."""

    relatives: tuple[str, ...]
    states: frozenset[str]
    own: frozenset[str]  # of `states`, those that none of its relatives makes

    @classmethod
    def of(cls, job: Job) -> Needs:
        relatives = [each for each in job.relatives() if each]
        states = _states(job)
        return cls(tuple(each.job_id for each in relatives), states, states.difference(*map(_states, relatives)))


def held_back(
    needs: Needs, *, unended: Container[str], in_making: Mapping[str, str]
) -> tuple[Literal["relative", "training"], str] | None:
    """Return why a job can't begin and the job that it waits for; `in_making` says who makes which state now."""
    for relative in needs.relatives:
        if relative in unended:
            return "relative", relative
    return next((("training", in_making[state]) for state in sorted(needs.states) if state in in_making), None)


@dataclass
class Active:
    """A job that a worker carries out."""

    job: Job
    draft: Path
    worker: Any
    events: bench.Tail
    last: dict[str, Any] = field(default_factory=dict)  # what it said last
    kill_at: float | None = None  # None until it was asked to stop

    @property
    def run_id(self) -> str:
        return self.draft.name.removeprefix(DRAFT)


@dataclass(frozen=True)
class Happened:
    """A job has started or said something (`active`), or it has `ended`."""

    job: Job
    active: Active | None = None
    ended: Run | None = None


class Work:
    """Jobs that wait, are active or have ended. `listens`: read what workers say; `place` surrounds each submission."""

    def __init__(
        self,
        store: Store,
        *,
        workers: int = 1,
        listens: bool = True,
        place: Callable[[Job], contextlib.AbstractContextManager[None]] = lambda job: contextlib.nullcontext(),
    ) -> None:
        self.store, self.workers, self.listens, self.place = store, workers, listens, place
        self.waiting: dict[str, Job] = {}  # by job id, as all below; the first goes first
        self.active: dict[str, Active] = {}
        self.ended: dict[str, Run] = {}
        self.needs: dict[str, Needs] = {}

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.active)

    def add(self, job: Job, *, again: bool = False) -> None:
        """Let a job wait, unless it is done already; relatives that are not done are added before it."""
        job_id = job.job_id
        self.needs[job_id] = Needs.of(job)
        self.ended.pop(job_id, None)
        if not again and (run := self.store.find(job_id)):
            self.ended[job_id] = run
        else:
            self.waiting[job_id] = job

    def adopt(self, job: Job, draft: Path, worker: Any) -> None:
        """Watch a worker that somebody else started."""
        self.needs[job.job_id] = Needs.of(job)
        self.active[job.job_id] = Active(job, draft, worker, bench.Tail(draft))

    def drop(self, job_id: str) -> None:
        """Take out a job that waits; what compares itself with it will say so."""
        job = self.waiting.pop(job_id)
        self.ended[job_id] = Run(run_id="", job_id=job_id, status="cancelled", job=job.to_json())

    def stop(self, job_id: str) -> None:
        """Ask the worker of an active job to stop; later looks kill it when it hasn't."""
        active = self.active[job_id]
        if active.kill_at is None:
            active.kill_at = time.monotonic() + SECONDS_TO_STOP
            active.worker.send(signal.SIGTERM)

    def cancel(self) -> None:
        """Stop every worker, and return when none is left."""
        for active in self.active.values():
            active.worker.cancel()

    def work_off(self) -> Iterator[Happened]:
        """Carry out all that waits; yields what happens, as it does."""
        while self.busy:
            yield from self.look()
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def look(self) -> Iterator[Happened]:
        """Start what may start and see how the active ones are."""
        while len(self.active) < self.workers and (job_id := self._next()):
            yield self._start(self.waiting.pop(job_id))
        for active in list(self.active.values()):
            yield from self._look_at(active)

    def _next(self) -> str | None:
        """Return the first waiting job that nothing holds back; relatives of an earlier job go before later jobs."""
        unended = self.waiting.keys() | self.active.keys()
        made = {
            state for job_id, run in self.ended.items() if run.status == "done" for state in self._states_of(job_id)
        }
        in_making = {state: job_id for job_id in self.active for state in self.needs[job_id].own - made}
        for job_id in self.waiting:
            relatives = [each for each in self.needs[job_id].relatives if each in self.waiting]
            for each in (*relatives, job_id):
                if not held_back(self.needs[each], unended=unended, in_making=in_making):
                    return each
        return None

    def _states_of(self, job_id: str) -> frozenset[str]:
        return self.needs[job_id].states if job_id in self.needs else frozenset()

    def _start(self, job: Job) -> Happened:
        started = bench.tried(job.job_id, job.to_json(), lambda: self._submit(job))
        if isinstance(started, Run):
            return self._end(job, started)
        draft, worker = started
        self.active[job.job_id] = Active(job, draft, worker, bench.Tail(draft))
        return Happened(job, active=self.active[job.job_id])

    def _submit(self, job: Job) -> tuple[Path, Any]:
        with self.place(job):
            self._check_relatives(job)
            bench.check(job)
            return bench.submit(job, self.store)

    def _check_relatives(self, job: Job) -> None:
        for job_id in self.needs[job.job_id].relatives:
            run = self.store.find(job_id) or self.ended.get(job_id)
            if run is None or (run.status == "done" and not Path(run.folder).is_dir()):
                raise WorkbenchError(f"its comparison {job_id} (as trained) is gone", next_move="run it again")
            if run.status != "done":
                what = f"its comparison {run.run_id or job_id} (as trained) is {run.status}"
                raise WorkbenchError(what, next_move="mend that one first, then run this one again")

    def _look_at(self, active: Active) -> Iterator[Happened]:
        gone = active.worker.poll() is not None  # asked first, so that the last events are read after the end
        for event in active.events.news() if self.listens else ():
            active.last = event
            if not gone:
                yield Happened(active.job, active=active)
        if gone:
            job = self.active.pop(active.job.job_id).job
            yield self._end(
                job, bench.tried(job.job_id, job.to_json(), lambda: bench.ended(active.draft, self.store)), active
            )
        elif active.kill_at is not None and time.monotonic() > active.kill_at:
            active.worker.cancel(grace=0.1)

    def _end(self, job: Job, run: Run, active: Active | None = None) -> Happened:
        self.ended[job.job_id] = run
        return Happened(job, active=active, ended=run)


def _states(job: Job) -> frozenset[str]:
    record = job.to_json()
    led_here = [record["model"], record["data"], record["seed"]]
    return frozenset(digest([*led_here, record["steps"][: index + 1]]) for index in range(len(record["steps"])))
