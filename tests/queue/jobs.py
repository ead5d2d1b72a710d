"""The jobs that tests of the queue ask for."""

from __future__ import annotations

from tests.conftest import small_job
from tests.queue.conftest import PRUNED
from workbench.queue import Entry

TRAINED = small_job()
HALF = small_job(steps=[*PRUNED])
MOST = small_job(steps=[PRUNED[0], {**PRUNED[1], "sparsity": 0.9}])
OTHER = small_job(seed=1)


def states(entries: tuple[Entry, ...]) -> dict[str, str]:
    return {each.job_id: each.state for each in entries}
