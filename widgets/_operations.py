"""How many multiply-accumulates one example takes in each run, from the cards; a card may need a worker, so ask aside."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.describe import model_card
from workbench.errors import WorkbenchError
from workbench.job import Job
from workbench.nouns import Run


class Operations:
    """Knows the operations of each job it was asked for once; None where no card tells them."""

    def __init__(self) -> None:
        self._by_job: dict[str, int | None] = {}

    def unknown(self, runs: Iterable[Run]) -> list[Run]:
        return [run for run in runs if run.job_id not in self._by_job]

    def learn(self, runs: Iterable[Run]) -> None:
        """Find what isn't known yet; slow where a model must be built to be described."""
        for run in self.unknown(runs):
            self._by_job[run.job_id] = _macs(run)

    def of(self, runs: Iterable[Run]) -> dict[str, int]:
        """Return run id → multiply-accumulates, for the runs where they are known."""
        return {run.run_id: macs for run in runs if (macs := self._by_job.get(run.job_id))}


def _macs(run: Run) -> int | None:
    try:
        job = Job.from_json(run.job)
        return job.cards(model_card(job))[-1].macs
    except WorkbenchError:  # a part that this version lacks, or a file that went: the chart says that it isn't known
        return None
