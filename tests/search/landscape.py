"""Stands in for workers: what a recipe costs and loses is a formula, so that a search takes moments and its optimum is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.compare.crafted import run as crafted_run
from workbench.job import Job
from workbench.nouns import Run
from workbench.search._carrying import Carrying
from workbench.store import write_json

BYTES = {"onnx": 1.0, "coded": 0.9, "pt2": 1.2, "openvino": 1.1}
FACTORS: dict[str, Callable[[dict[str, Any]], float]] = {
    "channel_prune": lambda step: (1 - step["ratio"]) ** 2,
    "low_rank": lambda step: 1 - step["ratio"] / 2,
    "weight_sharing": lambda step: 0.05 + step["clusters"] / 200,
    "int8_static": lambda step: 0.27,
    "int8_dynamic": lambda step: 0.28,
    "bfloat16": lambda step: 0.5,
}
LOSSES: dict[str, Callable[[dict[str, Any]], float]] = {  # points of accuracy
    "channel_prune": lambda step: 8 * max(0.0, step["ratio"] - 0.5),
    "low_rank": lambda step: 4 * step["ratio"],
    "weight_sharing": lambda step: 4 / step["clusters"],
    "int8_static": lambda step: 0.2,
}
WHOLE = 1_000_000


def made(job: Job, root: Any, *, wrong_test: Any = None) -> Run:
    """Write and return the run of a job, as the formulas have it."""
    steps = [step.to_json() for step in job.steps]
    size, loss = WHOLE * BYTES[job.format.name()], 0.0
    for step in steps:
        size *= FACTORS.get(step["use"], lambda step: 1.0)(step)
        loss += LOSSES.get(step["use"], lambda step: 0.0)(step)
    run_id = f"{job.job_id}-01"
    found = crafted_run(
        root,
        run_id,
        wrong=range(10 + round(10 * loss)),
        wrong_test=wrong_test,
        bytes=round(size),
        ms=None,
        parent="x-01",
    )
    found = replace(found, job=job.to_json(), job_id=job.job_id)
    write_json(root / run_id / "run.json", found.to_json())
    return found


class Landscape:
    """Takes the place of `Carrying.carry_out`; stops like Ctrl-C after `most` jobs."""

    def __init__(self, monkeypatch: Any, *, most: int = 10_000, wrong_test: Any = None) -> None:
        self.most, self.wrong_test = most, wrong_test
        self.jobs: list[Job] = []
        outer = self

        def carry_out(search: Carrying, jobs: Sequence[Job]) -> list[Run | None]:
            return [outer.run_of(search, job) for job in jobs]

        monkeypatch.setattr(Carrying, "carry_out", carry_out)

    def run_of(self, search: Carrying, job: Job) -> Run:
        if found := search.store.find(job.job_id):
            return found
        if len(self.jobs) >= self.most:
            raise KeyboardInterrupt
        self.jobs.append(job)
        search.store.root.mkdir(parents=True, exist_ok=True)
        return made(job, search.store.root, wrong_test=self.wrong_test)
