"""Where a study stands, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.nouns import Run
from workbench.queue._work import Work


@dataclass(frozen=True)
class Progress:
    """Where a study stands; `ended` is the run that has just ended, None when only a worker said something."""

    done: int
    total: int
    eta_seconds: float | None  # None until one job has ended
    running: Mapping[str, Mapping[str, Any]]  # job id → the last event of its worker
    ended: Run | None = None


class Teller:
    """Tells `on_event` how far `work` is; made when all jobs are added and none has begun."""

    def __init__(self, work: Work, on_event: Callable[[Progress], None]) -> None:
        self.work, self.on_event = work, on_event
        self.num_before, self.began = len(work.ended), time.monotonic()
        self.total = len(work.ended) + len(work.waiting)

    def say(self, ended: Run | None = None) -> None:
        done = len(self.work.ended)
        here = done - self.num_before
        eta = (time.monotonic() - self.began) / here * (self.total - done) if here else None
        running = {job_id: active.last for job_id, active in self.work.active.items()}
        self.on_event(Progress(done, self.total, eta, running, ended))
