"""Find how strong a step has to be for the file to answer in a given share of its parent's time, measured in the job's format.

A step can't do that itself: what it makes must follow from the job alone, not from a clock. So each strength that is tried is
an ordinary run, timed alternately with the model as trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from workbench import bench, catalog
from workbench.errors import InvalidInput, RunFailed, WorkbenchError
from workbench.job import Job
from workbench.nouns import Measurement, Run
from workbench.params import build, describe
from workbench.part import Step
from workbench.search._aims import AIMS
from workbench.store import Store

VALUES = tuple(round(number / 20, 6) for number in range(1, 20))  # strengths that are tried where they are legal


@dataclass(frozen=True)
class Tried:
    """One strength and its latency over that of the model as trained."""

    strength: float
    ratio: Measurement
    run_id: str


@dataclass(frozen=True)
class Reached:
    """The weakest strength whose measured ratio is at most the target, and the whole job carried out with it."""

    run: Run
    strength: float
    tried: tuple[Tried, ...]  # in the order of strength

    def to_json(self) -> dict[str, Any]:
        tried = [{"strength": each.strength, "ratio": each.ratio.value, "lo": each.ratio.lo, "hi": each.ratio.hi,
                  "run_id": each.run_id} for each in self.tried]  # fmt: skip
        return {"run_id": self.run.run_id, "status": self.run.status, "strength": self.strength, "tried": tried}


def reach(
    job: Job,
    store: Store,
    *,
    latency: float,
    step: str,
    parameter: str = "ratio",
    threads: int = 1,
    batch: int = 1,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Reached:
    """Carry `job` out with the weakest `parameter` of its first `step` whose latency is ≤ `latency` × that of its parent.

    Strengths are found by bisection, so latency is taken to fall as they grow; training behind the step is left out while
    they are tried, since it changes no time. Raises InvalidInput, or WorkbenchError with the best ratio when none is enough.
    """
    place, strengths = _strengths(job, step, parameter, latency)
    timing = {**AIMS["latency"].metric, "threads": threads, "batch": batch}
    quick = replace(
        job,
        steps=tuple(each for i, each in enumerate(job.steps) if i <= place or not each.trains),
        metrics=(catalog.make("measure", timing),),  # type: ignore[arg-type]
    )
    tried: dict[float, Tried] = {}

    def enough(strength: float) -> bool:
        tried[strength] = _timed(_with(quick, place, parameter, strength), strength, store, on_event)
        return tried[strength].ratio.value <= latency

    few, many = -1, len(strengths) - 1
    if not enough(strengths[many]):
        best = tried[strengths[many]].ratio
        raise WorkbenchError(
            f"{step} {parameter}={strengths[many]:g} takes {best.value:.2f} × the time as trained, wanted {latency:g}",
            next_move="another format, int8 behind it, or a higher target",
        )
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(strengths[middle]) else (middle, many)
    run = bench.carry_out(_with(job, place, parameter, strengths[many]), store, on_event=on_event)
    return Reached(run, strengths[many], tuple(tried[key] for key in sorted(tried)))


def _strengths(job: Job, step: str, parameter: str, latency: float) -> tuple[int, list[float]]:
    """Return the place of the step and the legal values of its parameter, weakest first."""
    place = next((i for i, each in enumerate(job.steps) if each.name() == step), None)
    problems = (
        [] if 0 < latency < 1 else [f"latency: {latency:g} is outside 0 < latency < 1: a share of the time as trained"]
    )
    if place is None:
        raise InvalidInput([*problems, f"the job has no step {step}"], next_move="add it, at any strength")
    spec = next((each for each in describe(type(job.steps[place])) if each.name == parameter), None)
    if spec is None or spec.kind != "float":
        problems.append(f"{step} has no number {parameter!r} between two ends")
    if job.relatives()[0] is None:
        problems.append("there is no model as trained to be faster than: put the training first")
    if problems:
        raise InvalidInput(problems)
    against = {value: _why_not(job, place, parameter, value) for value in VALUES}
    legal = [value for value, reasons in against.items() if not reasons]
    if not legal:
        raise InvalidInput(
            against[VALUES[-1]], next_move=f"mend the recipe: no {parameter} of {step} can be tried in it"
        )
    return place, legal


def _why_not(job: Job, place: int, parameter: str, value: float) -> list[str]:
    made = job.steps[place]
    try:
        build(type(made), {**made.model_dump(), parameter: value})
    except InvalidInput as error:
        return list(error.problems)
    return _with(job, place, parameter, value).why_not()


def _with(job: Job, place: int, parameter: str, value: float) -> Job:
    made = catalog.make("compress", {**job.steps[place].to_json(), parameter: value})
    assert isinstance(made, Step)
    return replace(job, steps=(*job.steps[:place], made, *job.steps[place + 1 :]))


def _timed(job: Job, strength: float, store: Store, on_event: Callable[[dict[str, Any]], None] | None) -> Tried:
    run = bench.carry_out(job, store, on_event=on_event)
    ratio = run.get("latency_ratio_to_parent")
    if run.status != "done" or ratio is None:
        raise RunFailed(
            f"{run.run_id} is {run.status}: {(run.error or {}).get('message', 'no ratio was measured')}",
            next_move=f"workbench show {run.run_id}",
        )
    return Tried(strength, ratio, run.run_id)
