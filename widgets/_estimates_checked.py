"""The estimates of jobs that have run, made once each, to hold them against what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from widgets._trade_off_facts import Expected, expected
from workbench.charts.reliability import QUANTITIES, ReliabilityData, reliability_data
from workbench.errors import WorkbenchError
from workbench.job import Job
from workbench.nouns import Run


class EstimatesChecked:
    """`learn` takes a millisecond or two per job, so it is called aside; no widget in it."""

    def __init__(self) -> None:
        self._known: dict[str, Expected | None] = {}  # by job id; None where nothing can be estimated here

    def unknown(self, runs: Sequence[Run]) -> list[Run]:
        """Return one run of each job that was not looked at yet."""
        return list({run.job_id: run for run in runs if run.job_id not in self._known}.values())

    def learn(self, runs: Sequence[Run]) -> None:
        """Estimate the job of each of these runs."""
        for run in runs:
            self._known[run.job_id] = _expected(run)

    def data(self, runs: Sequence[Run]) -> ReliabilityData:
        """Hold estimates against measurements; runs without an estimate are named in `missing`."""
        found = {run.run_id: known for run in runs if (known := self._known.get(run.job_id)) is not None}
        return reliability_data(
            runs,
            {run_id: each.cost for run_id, each in found.items()},
            size_bands={run_id: each.size_band for run_id, each in found.items() if each.size_band},
            names=tuple(QUANTITIES),
        )


def _expected(run: Run) -> Expected | None:
    """Return the estimate of a run's job; None for a record of another version, and where only a worker knows the card."""
    try:
        job = Job.from_json(run.job)
        return None if job.model.card_needs_module else expected(job, job.model.card(job.data.card()))
    except WorkbenchError:
        return None
