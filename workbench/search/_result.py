"""What a search found: the front of measured runs, the one to take, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import compare
from workbench.compare import Budgets, Choice, Drop
from workbench.job import Job
from workbench.nouns import Run
from workbench.search._aims import Aim, Measured
from workbench.search._refusing import BY_ESTIMATE
from workbench.search._space import Space
from workbench.search._state import Trial

BY_HAND = "stopped by hand; the same call goes on"


@dataclass(frozen=True)
class Member:
    """One run on the front: no other that was tried is at least as good in everything and better in something."""

    run: Run
    drop: Drop  # on validation, against the model as trained
    costs: Mapping[str, Measured]  # by aim
    threads: Mapping[int, Measured]  # threads → median of one call in ms, for each setting that was timed


@dataclass(frozen=True)
class Found:
    """The result of a search; also of one that was stopped, with what was finished by then."""

    base: Job
    aims: tuple[Aim, ...]
    max_drop: float
    space: Space
    trials: tuple[Trial, ...]
    runs: tuple[Run, ...]  # finished trials, the baseline with them
    baseline: Run | None  # the model as trained; None when its run failed
    front: tuple[Member, ...]  # cheapest first
    choice: Choice | None  # None without a baseline
    again: tuple[Run, ...]  # the chosen recipe with other seeds
    name: str  # of its folder in the store
    ended: str  # why it stopped
    seconds: float

    @property
    def chosen(self) -> Run | None:
        """The run to take: shown to keep to the drop if it is changed at all, else a cheaper one that does as measured."""
        if self.choice is None:
            return None
        shown, measured = self.choice.recommended, self.choice.unproven
        if shown is None or measured is None:
            return shown or measured
        is_changed = self.baseline is not None and shown.job.get("steps") != self.baseline.job.get("steps")
        return shown if is_changed or self._cost(measured) >= self._cost(shown) else measured

    def _cost(self, run: Run) -> float:
        return math.prod(values.get(run.run_id, math.inf) for values in self.costs().values())

    def notes(self) -> list[str]:
        """Return what has to be known to read the costs: an energy may be an estimate."""
        sources = [run.get("energy_joules") for run in self.runs]
        estimated = {str(each.conditions["source"]) for each in sources if each and each.conditions.get("estimated")}
        return [f"energy is not metered but an {source}" for source in sorted(estimated)]

    def why(self) -> list[str]:
        """Return why this run, what it loses, and its test figure, which chose nothing."""
        chosen, choice = self.chosen, self.choice
        if chosen is None or choice is None:
            return []
        if chosen is choice.recommended:
            return [*choice.why, *self._seeds()]
        drop, words = choice.drops[chosen.run_id], " × ".join(aim.words for aim in self.aims)
        said = [
            f"{chosen.run_id} has the least {words} of the runs whose drop fits as measured, {drop.value + 0.0:+.2f} {drop.unit}.",
            f"That is not shown: {drop.n} validation examples only exclude a drop above {drop.bound:.2f}.",
        ]
        if choice.recommended:
            said.append(f"Shown to fit is {choice.recommended.run_id}.")
        return [*said, *compare.reported_test(chosen), *self._seeds()]

    @property
    def was_stopped(self) -> bool:
        return self.ended == BY_HAND

    def costs(self) -> dict[str, dict[str, float]]:
        """Return what runs are ranked by: words of each aim → value by run id."""
        return costs_of(self.runs, self.aims)

    def _seeds(self) -> list[str]:
        """Say how the chosen recipe did with other seeds, which train models of their own."""
        return [
            f"With seed {run.job.get('seed')}: {', '.join(_accuracies(run))}." for run in self.again if _accuracies(run)
        ]

    @property
    def chosen_job(self) -> Job | None:
        return Job.from_json(self.chosen.job) if self.chosen else None

    def refusals(self) -> dict[str, int]:
        """Return how many recipes were not run, by kind of reason."""
        refused = [trial.refused.startswith(BY_ESTIMATE) for trial in self.trials if trial.refused]
        return {"by their estimate": sum(refused), "illegal": len(refused) - sum(refused)}

    def to_json(self) -> dict[str, Any]:
        """Return plain values; runs by their ids."""
        return {
            "baseline": self.baseline.run_id if self.baseline else None,
            "front": [_member(each) for each in self.front],
            "chosen": self.chosen.run_id if self.chosen else None,
            "is_shown": bool(self.choice and self.choice.recommended and self.chosen is self.choice.recommended),
            "job": self.chosen.job if self.chosen else None,
            "why": self.why(),
            "seeds": [run.run_id for run in self.again],
            "num_run": sum(bool(trial.status) for trial in self.trials),
            "not_run": self.refusals(),
            "left_out": dict(self.space.left_out),
            "ended": self.ended,
            "seconds": round(self.seconds, 1),
        }


def _member(each: Member) -> dict[str, Any]:
    costs = {name: [cost.value, cost.lo, cost.hi] for name, cost in each.costs.items()}
    threads = {str(number): [cost.value, cost.lo, cost.hi] for number, cost in each.threads.items()}
    return {
        "run_id": each.run.run_id, "recipe": each.run.job.get("steps"), "format": each.run.job["format"]["use"],
        "drop": each.drop.value, "drop_bound": each.drop.bound, "drop_unit": each.drop.unit, "costs": costs, "threads": threads,
    }  # fmt: skip


def _accuracies(run: Run) -> list[str]:
    found = {
        split: run.get("accuracy", split=split) or run.get("perplexity", split=split)
        for split in ("validation", "test")
    }
    return [f"{split} {each.name} {each.value:.4g}" for split, each in found.items() if each]


def costs_of(runs: Sequence[Run], aims: Sequence[Aim]) -> dict[str, dict[str, float]]:
    return {aim.words: {run.run_id: found.value for run in runs if (found := aim.measured(run))} for aim in aims}


def judge(runs: Sequence[Run], baseline: Run | None, aims: Sequence[Aim], max_drop: float) -> Choice | None:
    """Choose among finished runs by the aims; reads the validation split only. None without a baseline."""
    if baseline is None:
        return None
    return compare.choose(runs, Budgets(max_drop=max_drop), baseline=baseline.run_id, costs=costs_of(runs, aims))


def front_of(
    runs: Sequence[Run], choice: Choice | None, aims: Sequence[Aim], timed: Mapping[str, Mapping[int, Measured]]
) -> tuple[Member, ...]:
    """Return the front over the drop and every aim, cheapest first."""
    drops = choice.drops if choice else {}
    costs = {run.run_id: {aim.name: found for aim in aims if (found := aim.measured(run))} for run in runs}
    points = {
        run.run_id: {"drop": drops[run.run_id].value, **{name: cost.value for name, cost in costs[run.run_id].items()}}
        for run in runs
        if run.run_id in drops
    }
    axes: dict[str, Any] = {aim.name: "lower" for aim in aims} | {"drop": "lower"}
    by_id = {run.run_id: run for run in runs}
    return tuple(
        Member(by_id[run_id], drops[run_id], costs[run_id], timed.get(run_id, {}))
        for run_id in compare.pareto(points, axes).members
    )
