"""One search on its way: decides trials, runs them as ordinary jobs, and keeps within its time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench import catalog
from workbench.compare import Choice
from workbench.describe import model_card
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.part import Metric
from workbench.search import _aims, _suggest
from workbench.search._aims import AIMS, Measured
from workbench.search._carrying import Carrying
from workbench.search._refusing import Bar, Refusing
from workbench.search._result import BY_HAND, Found, front_of, judge
from workbench.search._space import Space, space_of, steps_and_format
from workbench.search._state import State, Trial
from workbench.store import Store

MOST_REFUSED = 300  # recipes in a row that are not worth a run: nothing new is left
MOST_REPEATED = 200  # proposals in a row that only repeat what was decided: likewise
SAFETY = 1.3  # a trial is begun when so many times the median trial fits into what is left


@dataclass(frozen=True)
class Progress:
    """Something happened: a trial was decided, refused or has ended, or a worker said something (`event`)."""

    trial: Trial | None
    num_run: int
    num_refused: int
    seconds_left: float
    run: Run | None = None  # of a trial that ended
    event: dict[str, Any] | None = None


class Searching:
    """One search on its way."""

    def __init__(
        self, base: Job, store: Store, state: State, aims: tuple[_aims.Aim, ...], max_drop: float, budget: float,
        threads: tuple[int, ...], seeds: int, sampler_seed: int, on_event: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self.base, self.store, self.state, self.aims = base, store, state, aims
        self.max_drop, self.threads, self.seeds, self.sampler_seed, self.on_event = (
            max_drop, threads, seeds, sampler_seed, on_event,
        )  # fmt: skip
        self.began = time.monotonic()
        self.deadline = self.began + budget
        self.carrying = Carrying(store, self.deadline, lambda event: self._say(None, event=event))
        self.runs: dict[str, Run] = {}  # finished ones by job id
        self.choice: Choice | None = None

    def go(self, only: Sequence[str], formats: Sequence[str]) -> Found:
        card = model_card(self.base)
        settled = self.state.settled(
            "space", lambda: space_of(self.base, card, self.store.runs(), only=only, formats=formats).to_json()
        )
        self.space = Space.from_json(settled)
        if not self.space.formats:
            reasons = [f"{name}: {reason}" for name, reason in self.space.left_out.items()]
            raise InvalidInput(reasons or ["no format is left to try"])
        self.refusing = Refusing(card, self.aims, len(self.base.steps))
        again: list[Run] = []
        try:
            self._take_up()
            ended = self._try_recipes()
            again = self._with_other_seeds()
            timed = self._with_other_threads()
        except KeyboardInterrupt:
            ended, timed = BY_HAND, {}
        done = [run for run in self.runs.values() if run.status == "done"]
        front = front_of(done, self.choice, self.aims, timed)
        return Found(
            self.base, self.aims, self.max_drop, self.space, tuple(self.state.trials), tuple(done), self._baseline(), front,
            self.choice, tuple(again), self.state.name, ended, time.monotonic() - self.began,
        )  # fmt: skip

    # ── trials ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_up(self) -> None:
        """Look up what an earlier process has finished, and finish what it had begun."""
        self.carrying.carry_out([self.base])
        for trial in list(self.state.trials):
            self.refusing.seen.add(trial.job_id)
            if not trial.refused and trial.status in ("", "done"):
                self._run(trial)
        self._judge()

    def _try_recipes(self) -> str:
        """Decide and run trials until the time or the recipes are used up; returns which."""
        for choices, how, attempt in self._proposals():
            trial = self._decided(choices, how, attempt)
            if trial is None or trial.refused:
                continue
            if not self._has_time(self._reserve()):
                return "the budget of time is used up"
            self._run(trial)
            self._judge()
            if time.monotonic() > self.deadline:
                return "the budget of time is used up"
        return "nothing new is left to try"

    def _proposals(self) -> Iterator[tuple[dict[str, Any], str, int]]:
        """Yield what to try next, as long as something new comes up; each time with all that is known by then."""
        begun = any(trial.how == "model" for trial in self.state.trials)
        if not begun:
            yield from ((choices, "start", 0) for choices in _suggest.as_trained(self.space))
            for in_each_format in _suggest.single_methods(self.space, self._formats_by_cost()):
                for choices in in_each_format:
                    yield choices, "start", 0
                    if self._written(choices)[0].job_id in self.runs:
                        break  # once is enough, in the cheapest format that takes it
            if best := self._best_choices():
                yield from ((choices, "start", 0) for choices in _suggest.combinations(self.space, best))
        attempt = last = 1 + max((trial.attempt for trial in self.state.trials), default=0)
        while self._num_refused_last() < MOST_REFUSED and attempt - last < MOST_REPEATED:
            num_before = len(self.state.trials)
            known = [each for trial in self.state.trials if (each := self._known(trial))]
            propose = _suggest.neighbour if known and attempt % 2 else _suggest.proposed
            choices = propose(
                self.space, self.base, known, max_drop=self.max_drop, seed=self.sampler_seed, number=attempt
            )
            yield choices, "model", attempt
            last = attempt if len(self.state.trials) > num_before else last
            attempt += 1

    def _decided(self, choices: dict[str, Any], how: str, attempt: int) -> Trial | None:
        """Write down a trial, with the reason when it isn't worth a run; None when it was decided before."""
        job, made = self._written(choices)
        if job.job_id in self.refusing.seen:
            return None
        reason = self.refusing.reason(job)
        number = len(self.state.trials)
        steps = tuple(job.to_json()["steps"][len(self.base.steps) :])
        trial = Trial(number, made, job.job_id, steps, job.format.to_json(), how, attempt, reason)
        self.state.decided(trial)
        self.refusing.seen.add(job.job_id)
        self._say(trial)
        return trial

    def _written(self, choices: dict[str, Any]) -> tuple[Job, dict[str, Any]]:
        """Return the job of some choices, and all the choices that it took."""
        chooser = _suggest.Middle(choices)
        steps, written = steps_and_format(self.space, self.base, chooser)
        record = {**self.base.to_json(), "steps": [*self.base.to_json()["steps"], *steps], "format": written}
        return Job.from_json(record), chooser.choices

    def _run(self, trial: Trial) -> None:
        job = self._job(trial)
        began = time.monotonic()
        is_known = bool(self.store.find(job.job_id))
        if (run := self.carrying.carry_out([job])[-1]) is None:
            return  # cut off by the deadline: it is taken up by the next call
        self.runs[job.job_id] = run
        if not trial.status:
            seconds = None if is_known else round(time.monotonic() - began, 2)
            message = str((run.error or {}).get("message", ""))
            facts = {"status": run.status, "run_id": run.run_id, "message": message, "seconds": seconds}
            trial = self.state.ended(trial.number, **facts)
        self._say(trial, run)

    def _job(self, trial: Trial) -> Job:
        steps = [*self.base.to_json()["steps"], *trial.steps]
        return Job.from_json({**self.base.to_json(), "steps": steps, "format": trial.format})

    # ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _baseline(self) -> Run | None:
        return self.store.find(self.base.job_id)

    def _judge(self) -> None:
        """Hold everything finished against the model as trained, and set the bars that estimates have to beat."""
        baseline = self._baseline()
        done = [run for run in self.runs.values() if run.status == "done"]
        if baseline is None:
            return
        self.runs.setdefault(self.base.job_id, baseline)
        self.choice = judge(
            [*{run.run_id: run for run in (baseline, *done)}.values()], baseline, self.aims, self.max_drop
        )
        assert self.choice is not None
        lossless = [run for run in done if run.run_id in self.choice.drops and self.choice.drops[run.run_id].value <= 0]
        self.refusing.bars = [
            Bar(run.run_id, _value(run, "artifact_bytes"), _value(run, "latency_ms_p50")) for run in lossless
        ]

    def _known(self, trial: Trial) -> _suggest.Known | None:
        """Return what a trial teaches; None before it has run."""
        if trial.refused:
            return _suggest.Known(trial.choices, None, None)
        run = self.runs.get(trial.job_id)
        if run is None:
            return None
        drop = self.choice.drops.get(run.run_id) if self.choice else None
        costs = [aim.measured(run) for aim in self.aims] if run.status == "done" else [None]
        if drop is None or None in costs:
            return _suggest.Known(trial.choices, None, None)
        return _suggest.Known(trial.choices, tuple(_suggest.log(cost.value) for cost in costs if cost), drop.value)

    def _formats_by_cost(self) -> list[str]:
        """Return the formats in the order of what they cost as trained; those that failed last."""
        costs = dict.fromkeys(self.space.formats, float("inf"))
        for trial in self.state.trials:
            known = self._known(trial)
            if known and known.costs and not trial.steps:
                costs[trial.format["use"]] = min(costs[trial.format["use"]], sum(known.costs))
        return sorted(costs, key=lambda name: (costs[name], name))

    def _best_choices(self) -> dict[str, Any] | None:
        """Return the choices of the cheapest finished trial that keeps to the drop as measured and has no change."""
        keeping = []
        for trial in self.state.trials:
            known = self._known(trial)
            is_alone = trial.choices.get(_suggest.SLOTS[0]) == _suggest.NONE
            if known and known.costs and known.drop is not None and known.drop <= self.max_drop and is_alone:
                keeping.append((sum(known.costs), trial.number))
        return dict(self.state.trials[min(keeping)[1]].choices) if keeping else None

    def _num_refused_last(self) -> int:
        count = 0
        for trial in reversed(self.state.trials):
            if not trial.refused:
                break
            count += 1
        return count

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _typical(self) -> float:
        """Return the seconds of a typical trial; 0 before one has ended."""
        taken = [trial.seconds for trial in self.state.trials if trial.seconds is not None]
        return statistics.median(taken) if taken else 0.0

    def _reserve(self) -> float:
        """Return the seconds to keep for what follows the trials: other seeds (a training each), other threads."""
        return self._typical() * (2 * (self.seeds - 1) + 2 * (len(self.threads) - 1))

    def _has_time(self, reserve: float = 0.0) -> bool:
        return time.monotonic() + SAFETY * self._typical() + reserve < self.deadline

    # ── after the trials ──────────────────────────────────────────────────────────────────────────────────────────────

    def _with_other_seeds(self) -> list[Run]:
        """Repeat the chosen recipe, as far as time allows; each seed trains its own model."""
        found = self._found_so_far()
        job, runs = found.chosen_job, list[Run]()
        for seed in range(self.base.seed + 1, self.base.seed + self.seeds):
            if job is None or not self._has_time():
                break
            run = self.carrying.carry_out([replace(job, seed=seed)])[0]
            runs += [run] if run and run.status == "done" else []
        return runs

    def _with_other_threads(self) -> dict[str, dict[int, Measured]]:
        """Time the front with each further number of threads, as far as time allows: run id → threads → ms."""
        timed: dict[str, dict[int, Measured]] = {}
        for member in self._found_so_far().front:
            for number in self.threads:
                run: Run | None = member.run
                if number != self.threads[0]:
                    run = (
                        self.carrying.carry_out([self._timed_with(member.run, number)])[0] if self._has_time() else None
                    )
                median = run.get("latency_ms_p50", threads=number) if run else None
                if median:
                    timed.setdefault(member.run.run_id, {})[number] = Measured(median.value, median.lo, median.hi)
        return timed

    def _timed_with(self, run: Run, threads: int) -> Job:
        job = Job.from_json(run.job)
        latency = catalog.make("measure", {**AIMS["latency"].metric, "threads": threads})
        assert isinstance(latency, Metric)
        others = tuple(metric for metric in job.metrics if metric.name() in _aims.SETTLED)
        return replace(job, metrics=(*others, latency))

    def _found_so_far(self) -> Found:
        done = tuple(run for run in self.runs.values() if run.status == "done")
        front = front_of(done, self.choice, self.aims, {})
        return Found(
            self.base, self.aims, self.max_drop, self.space, tuple(self.state.trials), done, self._baseline(), front,
            self.choice, (), self.state.name, "", 0.0,
        )  # fmt: skip

    def _say(self, trial: Trial | None, run: Run | None = None, event: dict[str, Any] | None = None) -> None:
        refused = sum(bool(each.refused) for each in self.state.trials)
        num_run = sum(bool(each.status) for each in self.state.trials)
        self.on_event(Progress(trial, num_run, refused, max(0.0, self.deadline - time.monotonic()), run, event))


def _value(run: Run, name: str) -> float | None:
    found = run.get(name)
    return found.value if found else None
