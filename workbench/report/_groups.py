"""The runs of a report, model by model: which run stands for "as trained", and which one to take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench import table
from workbench.compare import Budgets, Choice, PairedAccuracy, _samples, choose, paired_accuracy
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Measurement, Run


class Label(Protocol):
    """What a job is called in its study."""

    @property
    def model(self) -> str: ...

    @property
    def recipe(self) -> str: ...


@dataclass(frozen=True)
class Group:
    """All runs that answer one question: what compressing this model on this data costs and brings."""

    name: str
    runs: tuple[Run, ...]
    baseline: Run | None  # as trained, fp32; None when there is no such finished run
    choice: Choice | None  # None: see why_no_choice
    why_no_choice: str
    names: Mapping[str, str]  # run id -> what was done beyond training, in a few words

    @property
    def chosen(self) -> Run | None:
        """The recommended run if it is more than the baseline, else the best one whose drop isn't shown to fit."""
        if self.choice is None:
            return None
        found = self.choice.recommended
        return self.choice.unproven or found if found is None or is_as_trained(found) else found

    def short(self, run: Run) -> str:
        return self.names.get(run.run_id) or table.change_text(run)

    def parent_of(self, run: Run) -> Run | None:
        """Return the run that `run` is held against: its own parent, else the baseline."""
        own = next((each for each in self.runs if each.run_id == run.parent and each.status == "done"), None)
        return own or (self.baseline if self.baseline and self.baseline.run_id != run.run_id else None)


Costs = Mapping[str, Mapping[str, float]]


def groups(
    runs: Sequence[Run], budgets: Budgets, labels: Mapping[str, Label], costs: Costs | None = None
) -> list[Group]:
    """Split runs by model (as `labels` name it per job id, else the model part) and data, in order of appearance."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        model = labels[run.job_id].model if run.job_id in labels else table.model_text(run)
        found.setdefault((model, table.data_text(run)), []).append(run)
    several = len({data for _, data in found}) > 1
    return [
        _group(f"{model} on {data}" if several else model, members, budgets, labels, costs)
        for (model, data), members in found.items()
    ]


def is_as_trained(run: Run) -> bool:
    return table.method_text(run) == table.AS_TRAINED


def quality(run: Run, split: str) -> Measurement | None:
    """Return the accuracy of a classifier or the perplexity of a language model; None when neither was measured."""
    return run.get("accuracy", split=split) or run.get("perplexity", split=split)


def paired_on_test(run: Run, base: Run) -> PairedAccuracy | None:
    """Compare base (a) and run (b) on the same test examples; None where they kept no class answers to compare."""
    try:
        theirs, mine = _samples.answers(base, "test"), _samples.answers(run, "test")
    except ArtifactError:
        return None
    same = theirs.outputs.shape == mine.outputs.shape and bool((theirs.targets == mine.targets).all())
    return paired_accuracy(theirs.correct, mine.correct) if same else None


def _group(name: str, runs: Sequence[Run], budgets: Budgets, labels: Mapping[str, Label], costs: Costs | None) -> Group:
    baseline = _baseline(runs)
    names = {run.run_id: labels[run.job_id].recipe for run in runs if run.job_id in labels}
    choice, why = None, ""
    try:
        choice = choose(runs, budgets, baseline=baseline.run_id if baseline else None, costs=costs)
    except InvalidInput as error:
        why = str(error)
    return Group(name, tuple(runs), baseline, choice, why, names)


def _baseline(runs: Sequence[Run]) -> Run | None:
    """Return the finished run as trained that most runs name as their reference, else the first one as trained."""
    done = {run.run_id: run for run in runs if run.status == "done" and is_as_trained(run)}
    named = Counter(run.reference for run in runs if run.reference in done).most_common(1)
    return done[str(named[0][0])] if named else next(iter(done.values()), None)
