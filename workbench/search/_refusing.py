"""Why a recipe isn't run: it is illegal, or its estimate says that it can't be on the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench import ceilings
from workbench.estimate import artifact_band, estimate
from workbench.job import Job
from workbench.nouns import Cost, ModelCard
from workbench.search._aims import Aim
from workbench.search._space import recovers

BY_ESTIMATE = "by the estimate"


@dataclass
class Bar:
    """The best that was measured without any loss on validation: what an estimate has to be able to beat."""

    run_id: str
    bytes: float | None = None
    ms: float | None = None


@dataclass
class Refusing:
    """Looks at a job before it runs. `num_base`: steps that train the model as it is."""

    card: ModelCard
    aims: Sequence[Aim]
    num_base: int
    seen: set[str] = field(default_factory=set)  # job ids of decided trials
    bars: list[Bar] = field(default_factory=list)
    ceilings: Any = field(default_factory=ceilings.known)  # None: this machine's aren't measured, so no band of latency

    def reason(self, job: Job) -> str:
        """Return why not; empty = run it."""
        if reasons := job.why_not(self.card):
            return "; ".join(reasons)
        return self._twice(job) or self._idle(job) or self._beaten(job)

    def _twice(self, job: Job) -> str:
        records = [step.to_json() for step in job.steps[self.num_base :]]
        twice = next((record["use"] for index, record in enumerate(records) if record in records[:index]), "")
        return f"{twice} twice at the same strength" if twice else ""

    def _idle(self, job: Job) -> str:
        """A step that changes layers, without which every minimised cost is estimated to be the same, only costs accuracy.

        One that leaves the card as it is (it prepares for the next) may stay, unless nothing else changes a cost either.
        """
        here, cards = self._signature(job), job.cards(self.card)
        for place in range(self.num_base, len(job.steps)):
            step = job.steps[place]
            if recovers(type(step)):
                continue
            prepares = cards[place].layers == cards[place + 1].layers
            if prepares and here != self._signature(replace(job, steps=job.steps[: self.num_base])):
                continue
            without = replace(job, steps=job.steps[:place] + job.steps[place + 1 :])
            if not without.why_not(self.card) and self._signature(without) == here:
                what = " nor ".join(aim.words for aim in self.aims)
                return f"{BY_ESTIMATE} {step.describe()} changes neither {what} in {job.format.name()}"
        return ""

    def _beaten(self, job: Job) -> str:
        """At best, by the estimate, it costs more than what was measured of a run that lost nothing."""
        cost, band = self._cost(job), artifact_band(job.cards(self.card)[-1], job.format.name())
        best = {"bytes": band[0] if band else None, "latency": cost.latency_ms_low, "energy": None}
        for bar in self.bars:
            measured = {"bytes": bar.bytes, "latency": bar.ms, "energy": None}
            pairs = [(best[aim.name], measured[aim.name]) for aim in self.aims]
            if all(low is not None and known is not None and low > known for low, known in pairs):
                return f"{BY_ESTIMATE} it costs more than {bar.run_id}, which was measured and lost nothing"
        return ""

    def _signature(self, job: Job) -> tuple[Any, ...]:
        cost = self._cost(job)
        return tuple(aim.estimated(cost) for aim in self.aims)

    def _cost(self, job: Job) -> Cost:
        return estimate(job.cards(self.card), job.format.name(), self.ceilings)[-1]
