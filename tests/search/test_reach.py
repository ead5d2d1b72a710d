"""A latency is reached by the weakest strength that is measured to be enough, each try an ordinary run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.search.landscape import made
from workbench import bench
from workbench.errors import InvalidInput, RunFailed, WorkbenchError
from workbench.job import Job
from workbench.nouns import Measurement, Run
from workbench.search.reach import reach
from workbench.store import Store

TRAIN, PRUNE = {"use": "train", "epochs": 8}, {"use": "channel_prune", "round_to": 1}
JOB = Job.from_json({"model": "lenet_5", "data": "digits", "steps": [TRAIN, PRUNE, {"use": "train", "epochs": 3}]})


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Runs whose latency is the share of channels that stays, and never below a quarter."""
    jobs: list[Job] = []

    def carry_out(job: Job, store: Store, **_: Any) -> Run:
        jobs.append(job)
        store.root.mkdir(exist_ok=True)
        prune = next(step for step in job.steps if step.name() == "channel_prune")
        value = max(0.25, 1 - prune.ratio)  # type: ignore[attr-defined]
        ratio = Measurement("latency_ratio_to_parent", "this / parent", "lower", value, value - 0.01, value + 0.01)
        run = made(job, store.root)
        return replace(run, measurements=(*run.measurements, ratio))

    monkeypatch.setattr(bench, "carry_out", carry_out)
    return jobs


@pytest.mark.parametrize(("latency", "strength"), [(0.5, 0.5), (0.62, 0.4), (0.96, 0.05), (0.31, 0.7)])
def test_the_weakest_strength_that_is_enough_is_found(
    latency: float, strength: float, carried_out: list[Job], tmp_path: Path
) -> None:
    found = reach(JOB, Store(tmp_path / "runs"), latency=latency, step="channel_prune")
    assert found.strength == strength
    assert [step.to_json() for step in carried_out[-1].steps][-1]["use"] == "train", "the whole job comes last"
    assert carried_out[-1].steps[1].ratio == strength  # type: ignore[attr-defined]
    assert carried_out[-1].metrics == JOB.metrics


def test_training_behind_the_step_is_left_out_while_strengths_are_tried(carried_out: list[Job], tmp_path: Path) -> None:
    found = reach(JOB, Store(tmp_path / "runs"), latency=0.5, step="channel_prune", batch=32, threads=2)
    quick = carried_out[:-1]
    assert len(quick) == len(found.tried) <= 6
    assert all([step.name() for step in job.steps] == ["train", "channel_prune"] for job in quick)
    assert all((job.metrics[0].batch, job.metrics[0].threads) == (32, 2) for job in quick)  # type: ignore[attr-defined]
    assert [each.strength for each in found.tried] == sorted(each.strength for each in found.tried)


def test_a_latency_out_of_reach_is_told_with_the_best_one(carried_out: list[Job], tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"ratio=0.95 takes 0.25 × the time as trained, wanted 0.2"):
        reach(JOB, Store(tmp_path / "runs"), latency=0.2, step="channel_prune")
    assert len(carried_out) == 1


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        reach(JOB, Store(tmp_path), latency=1.5, step="channel_prune", parameter="round_to")
    assert len(caught.value.problems) == 2
    with pytest.raises(InvalidInput, match="has no step low_rank"):
        reach(JOB, Store(tmp_path), latency=0.5, step="low_rank")
    with pytest.raises(InvalidInput, match="put the training first"):
        reach(Job.from_json({**JOB.to_json(), "steps": [PRUNE]}), Store(tmp_path), latency=0.5, step="channel_prune")


def test_a_recipe_in_which_no_strength_can_be_tried_is_refused_with_the_reason(tmp_path: Path) -> None:
    after_int8 = [TRAIN, {"use": "int8_static"}, PRUNE]
    with pytest.raises(InvalidInput, match="int8"):
        reach(Job.from_json({**JOB.to_json(), "steps": after_int8}), Store(tmp_path), latency=0.5, step="channel_prune")


def test_a_run_that_fails_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = Run("x-01", "x", "failed", {}, error={"message": "no space"})
    monkeypatch.setattr(bench, "carry_out", lambda job, store, **_: failed)
    with pytest.raises(RunFailed, match="x-01 is failed: no space"):
        reach(JOB, Store(tmp_path), latency=0.5, step="channel_prune")
