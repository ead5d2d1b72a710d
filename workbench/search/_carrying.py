"""Carries jobs out until a deadline, with what they compare themselves with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.job import Job
from workbench.nouns import Run
from workbench.queue._adopted import Adopted
from workbench.queue._work import SECONDS_BETWEEN_LOOKS, Work
from workbench.store import DRAFT, Store
from workbench.study import with_relatives


@dataclass(frozen=True)
class Carrying:
    """`deadline` is a moment of `time.monotonic`; `tell` gets what workers say."""

    store: Store
    deadline: float
    tell: Callable[[dict[str, Any]], None]

    def carry_out(self, jobs: Sequence[Job]) -> list[Run | None]:
        """Carry out jobs and what they compare themselves with; None for those that the deadline cut off."""
        work = Work(self.store)
        under_way = {run.job_id: run for run in self.store.drafts() if run.status == "running"}
        for job in with_relatives(jobs):
            run = under_way.get(job.job_id)
            if run and not self.store.find(job.job_id):
                draft = self.store.root / f"{DRAFT}{run.run_id}"
                work.adopt(job, draft, Adopted(draft, self.store))
            else:
                work.add(job)
        try:
            while work.busy and time.monotonic() < self.deadline:
                for happened in work.look():
                    if happened.active and not happened.ended:
                        self.tell(happened.active.last)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            work.cancel()
        return [work.ended.get(job.job_id) for job in jobs]
