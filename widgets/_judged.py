"""What the library says of a picked job, sorted by the place that it is about: plain values, no widget."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from widgets._refusals import always_refused
from workbench import catalog, ceilings
from workbench.errors import InvalidInput
from workbench.estimate import estimate
from workbench.job import Job
from workbench.nouns import Cost, ModelCard
from workbench.part import Format, Part, Step

PLACE = re.compile(
    r"(?:steps\[(?P<step>\d+)\](?: \w+: |\.|: )|(?P<kind>format|metric) (?P<name>\w+): )(?P<reason>.*)", re.S
)


@dataclass(frozen=True)
class Judged:
    """Reasons by step, of the format and by metric; and what is known of the steps before the first illegal one."""

    steps: Mapping[int, list[str]] = field(default_factory=dict)
    format: list[str] = field(default_factory=list)
    metrics: Mapping[str, list[str]] = field(default_factory=dict)
    job: Job | None = None  # those steps with model, data and format; None while the model's card isn't known
    cards: list[ModelCard] = field(default_factory=list)  # before the first of them and after each
    costs: list[Cost] = field(default_factory=list)

    def num_legal(self, num_steps: int) -> int:
        """Return how many leading steps have nothing against them."""
        return min(self.steps, default=num_steps)


def judge(record: Mapping[str, Any], card: ModelCard | None) -> Judged:
    """Ask the library about a job record, legal or not; `card` is the model's, None while it isn't known."""
    reasons = _reasons(record, card)
    steps, metrics, form = defaultdict[int, list[str]](list), defaultdict[str, list[str]](list), list[str]()
    for reason in reasons:
        if not (found := PLACE.match(reason)):
            continue
        if found["step"]:
            steps[int(found["step"])].append(found["reason"])
        elif found["kind"] == "format":
            form.append(found["reason"])
        else:
            metrics[found["name"]].append(found["reason"])
    judged = Judged(dict(steps), form, dict(metrics))
    if card is None:
        return judged
    try:
        job = _legal_part(record, judged)
    except InvalidInput:
        return judged  # of model or data: their panel says so
    cards = job.cards(card)
    return replace(judged, job=job, cards=cards, costs=estimate(cards, record["format"]["use"], ceilings.known()))


def _reasons(record: Mapping[str, Any], card: ModelCard | None) -> list[str]:
    """Return the problems of values and, for the steps before the first of them, also what is illegal in that order."""
    try:
        return _why_not(Job.from_json(record), card)
    except InvalidInput as error:
        problems = list(error.problems)
    places = [int(found["step"]) for each in problems if (found := PLACE.match(each)) and found["step"]]
    if not places or len(places) < len(problems):
        return problems
    return problems + _why_not(Job.from_json({**record, "steps": record["steps"][: min(places)]}), card)


def _why_not(job: Job, card: ModelCard | None) -> list[str]:
    return job.why_not() if card is None and job.model.card_needs_module else job.why_not(card)


def _legal_part(record: Mapping[str, Any], judged: Judged) -> Job:
    steps = record["steps"][: judged.num_legal(len(record["steps"]))]
    return Job.from_json({name: record[name] for name in ("model", "data", "format")} | {"steps": steps})


@dataclass(frozen=True)
class Place:
    """Where a step can be added, as an index among a job's steps; with reasons it can't be added at all."""

    index: int
    reasons: list[str] = field(default_factory=list)


def places(job: Job, cards: Sequence[ModelCard]) -> dict[str, Place]:
    """Return for each step of the catalog where it can be added to a legal job; `cards` are those of all its steps.

    Steps that decide how numbers are stored go to the end, all others before the first of those.
    """
    end = len(job.steps)
    before = next((index for index, step in enumerate(job.steps) if step.precision), end)
    found = {}
    for part in catalog.parts("compress"):
        index = end if part.precision else before  # type: ignore[attr-defined]
        found[part.name()] = Place(index, _always_refused_at(index, part, job, cards))
    return found


def _always_refused_at(index: int, part: type[Part], job: Job, cards: Sequence[ModelCard]) -> list[str]:
    """Return what stands against a step there, or against those behind it once it is there."""

    def reasons_of(step: Step) -> list[str]:
        told = map(PLACE.match, replace(job, steps=(step, *job.steps[index:])).why_not(cards[index]))
        return [each["reason"] for each in told if each and each["step"]]

    return always_refused(part, reasons_of)


def refused_formats(card: ModelCard) -> dict[str, list[str]]:
    """Return, for each format, what stands against writing a model with this card."""

    def reasons_of(written: Format) -> list[str]:
        return written.why_not(card)

    return {part.name(): always_refused(part, reasons_of) for part in catalog.parts("formats")}
