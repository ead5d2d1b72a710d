"""Why a compressed model answers worse: the step, its worst layers, what is unusual there, and what a change brought.

Every figure is of the validation split, and every change is carried out as a run of its own: a cause is only as good as what
its remedy brought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench import catalog, compare
from workbench.bench import OnEvent, carry_out
from workbench.compare import _samples
from workbench.diagnose._causes import Change, changes, words
from workbench.errors import InvalidInput, RunFailed
from workbench.fresh import fresh_caller
from workbench.job import Job
from workbench.nouns import Run
from workbench.part import Metric, Step
from workbench.store import Store

FUNCTION = "workbench.diagnose._evidence:of_layers"
SPLIT = "validation"


@dataclass(frozen=True)
class Difference:
    """How much worse, in points of accuracy or per cent of perplexity, with its paired 95 % interval; below 0 = better."""

    value: float
    lo: float
    hi: float
    unit: str

    @property
    def is_shown(self) -> bool:
        """The interval leaves out nothing lost."""
        return self.lo > 0 or self.hi < 0


@dataclass(frozen=True)
class Suspect:
    """One layer: what the step on it alone does, and what is unusual about it."""

    layer: str
    kl: float | None  # mean nats between the answers; None = there are no probabilities
    drop: float | None
    evidence: Mapping[str, float]
    causes: tuple[str, ...]  # in words; empty = nothing unusual was found


@dataclass(frozen=True)
class Remedy:
    """A change that was carried out."""

    what: str
    why: str
    layer: str  # "" = it is for all
    run_id: str | None  # None = it can't be done, for the reason in `refused`
    brought: Difference | None  # against the run itself; below 0 = better
    refused: str = ""


@dataclass(frozen=True)
class Diagnosis:
    run_id: str
    before: str  # run id of the model before the step
    step: str
    drop: Difference
    suspects: tuple[Suspect, ...]  # worst first
    remedies: tuple[Remedy, ...]  # what brought most first

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diagnose_drop(run: Run, store: Store, *, num_layers: int = 2, on_event: OnEvent | None = None) -> Diagnosis:
    """Find out what the last step that changed the model did to it; raises InvalidInput where there is none to look into.

    The step is tried on each layer alone; for the `num_layers` worst ones each change that the evidence speaks for is carried
    out, and leaving the layer as it was.
    """
    if run.status != "done":
        raise InvalidInput([f"{run.run_id} is {run.status}: there is no model to look into"])
    job = Job.from_json(run.job)
    index = _last_change(job)
    step = job.steps[index].to_json()
    before = _done(_before(job, index), store, on_event)
    evidence = _evidence(before, step, store)
    suspects = _suspects(before, evidence, step)
    wanted = [
        Change("left as it was", f"{each.layer} alone", {"skip": [*step["skip"], each.layer]}, each.layer)
        for each in suspects[:num_layers]
    ]
    for each in suspects[:num_layers]:
        wanted += changes(each.layer, each.evidence, step)
    remedies = [_carried_out(change, job, index, run, store, on_event) for change in _distinct(wanted)]
    return Diagnosis(
        run.run_id, before.run_id, job.steps[index].describe(), difference(before, run), tuple(suspects),
        tuple(sorted(remedies, key=lambda each: each.brought.value if each.brought else float("inf"))),
    )  # fmt: skip


def difference(a: Run, b: Run) -> Difference:
    """Return how much worse b is than a on the same validation examples; raises ArtifactError without answers to pair."""
    if _samples.is_language_model(b):
        (nll_a, tokens), (nll_b, _) = (_samples.likelihoods(each, SPLIT) for each in (a, b))
        text = compare.paired_perplexity(nll_a, nll_b, tokens)
        return Difference(100 * text.change, 100 * text.lo, 100 * text.hi, "% of perplexity")
    pair = compare.paired_accuracy(_samples.correct(a, SPLIT), _samples.correct(b, SPLIT))
    return Difference(0.0 - 100 * pair.difference, 0.0 - 100 * pair.hi, 0.0 - 100 * pair.lo, "points")


def _last_change(job: Job) -> int:
    able = [i for i, step in enumerate(job.steps) if not step.trains and "skip" in type(step).model_fields]
    if not able:
        raise InvalidInput(
            [f"no step of {job.recipe()} changes layers one by one, so none can be tried on a layer alone"],
            next_move="compare its run with its parent: workbench compare",
        )
    return able[-1]


def _before(job: Job, index: int) -> Job:
    """Return the job that ends before the step and tries it on each layer."""
    tried = {"use": "sensitivity", "step": job.steps[index].to_json(), "parameter": "", "levels": []}
    metrics = tuple(catalog.make("measure", each) for each in ("quality", tried))
    assert all(isinstance(each, Metric) for each in metrics)
    return replace(job, steps=job.steps[:index], metrics=metrics)  # type: ignore[arg-type]


def _done(job: Job, store: Store, on_event: OnEvent | None) -> Run:
    run = carry_out(job, store, on_event=on_event)
    if run.status != "done":
        raise RunFailed(f"{run.run_id} is {run.status}: {(run.error or {}).get('message', '')}")
    return run


def _evidence(before: Run, step: Mapping[str, Any], store: Store) -> dict[str, dict[str, float]]:
    options = {"job": dict(before.job), "step": dict(step), "store": str(store.root)}
    found: dict[str, dict[str, float]] = fresh_caller(FUNCTION, [], threads=1, options=options)
    return found


def _suspects(before: Run, evidence: Mapping[str, Mapping[str, float]], step: Mapping[str, Any]) -> list[Suspect]:
    found: dict[str, dict[str, float]] = {}
    for each in before.measurements:
        if each.name in ("sensitivity_drop", "sensitivity_kl"):
            found.setdefault(each.conditions["layer"], {})[each.name.removeprefix("sensitivity_")] = each.value
    suspects = [
        Suspect(layer, told.get("kl"), told.get("drop"), evidence.get(layer, {}), words(evidence.get(layer, {}), step))
        for layer, told in found.items()
    ]
    return sorted(suspects, key=lambda each: (-(each.kl or 0.0), -(each.drop or 0.0), each.layer))


def _distinct(wanted: Sequence[Change]) -> list[Change]:
    kept: dict[str, Change] = {}
    for change in wanted:
        kept.setdefault(str((change.fields, change.after)), change)
    return list(kept.values())


def _carried_out(change: Change, job: Job, index: int, run: Run, store: Store, on_event: OnEvent | None) -> Remedy:
    """Carry out the same job with one change; what is refused is told, not hidden."""
    told = {"what": change.what, "why": change.why, "layer": change.layer}
    try:
        made = [
            catalog.make("compress", each) for each in ({**job.steps[index].to_json(), **change.fields}, *change.after)
        ]
        steps: list[Any] = [*job.steps[:index], *made, *job.steps[index + 1 :]]
        assert all(isinstance(each, Step) for each in steps)
        metrics: Any = tuple(catalog.make("measure", each) for each in ("size", "quality"))
        other = _done(replace(job, steps=tuple(steps), metrics=metrics), store, on_event)
    except (InvalidInput, RunFailed) as error:
        return Remedy(**told, run_id=None, brought=None, refused=error.message)
    return Remedy(**told, run_id=other.run_id, brought=difference(run, other))
