"""Does a search find, within its budget of time, a front that no single method beats?

Bars, for LeNet-5 and a small ResNet on digits: the search ends inside its budget, and for every single method (each step that
the search may use, at three strengths, with the longest recovery, in the format that is best for it) some member of the
front is at least as small and loses no more on validation, or can't be told apart (paired answers; bytes within 1 %).

    python benchmarks/search_front.py [--store runs/search_front] [--minimise bytes] [--budget-minutes 8] [--models lenet_5 resnet]

The single methods are carried out after the search, in the same store; what both tried is one run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from _results import finish

from workbench import catalog, compare
from workbench.estimate import estimate
from workbench.job import Job
from workbench.nouns import Run
from workbench.search import AIMS, Found, search
from workbench.search._aims import aims as aims_of
from workbench.search._aims import metrics as metrics_of
from workbench.store import Store
from workbench.study import carry_out_all, with_relatives

BASES: dict[str, dict[str, Any]] = {
    "lenet_5": {"model": "lenet_5", "data": "digits", "steps": [{"use": "train", "epochs": 20}]},
    "resnet": {"model": {"use": "resnet", "depth": 8}, "data": "digits", "steps": [{"use": "train", "epochs": 10}]},
}
SAME_BYTES = 1.01
ANSWERS = ("dominated or equal", "tied", "")


def single_methods(found: Found) -> Iterator[Job]:
    """Yield each step alone at its weakest, middle and strongest, in every format that the estimates leave a chance."""
    space, base = found.space, found.base
    for family, changes in ((space.changes, True), (space.precisions, False)):
        for name, options in family.items():
            ordered = {key: values for key, values in options.items() if len(values) > 1}
            for place in (0, 0.5, 1) if ordered else (0,):
                values = {key: options[key][round(place * (len(options[key]) - 1))] for key in options}
                steps: list[Any] = [{"use": name, **values}]
                if changes and "train" in space.recoveries:
                    steps.append(space.recoveries["train"][-1])
                for written in space.formats:
                    job = Job.from_json(
                        {**base.to_json(), "steps": [*base.to_json()["steps"], *steps], "format": written}
                    )
                    if not job.why_not():
                        yield job


def in_best_format(jobs: Iterator[Job], found: Found, names: Sequence[str]) -> list[Job]:
    """Keep, of each step and strength, one format: fewest estimated bytes, or what was fastest of the model as trained."""
    plain = [run for run in found.runs if len(run.job["steps"]) == len(found.base.steps)]
    cost = {run.job["format"]["use"]: AIMS[names[0]].measured(run) for run in plain}
    best: dict[str, tuple[float, Job]] = {}
    for job in jobs:
        key, written = str([step.to_json() for step in job.steps]), job.format.name()
        card = job.model.card(job.data.card())
        known = cost.get(written)
        price = float(estimate(job.cards(card), written)[-1].artifact_bytes)
        if names[0] != "bytes":
            price = known.value if known else float("inf")
        if key not in best or price < best[key][0]:
            best[key] = (price, job)
    return [job for _, job in best.values()]


def beaten_or_tied(run: Run, found: Found, names: list[str]) -> str:
    """Return how the front answers a single method: dominated, tied, or not at all (empty)."""
    costs = {name: AIMS[name].measured(run) for name in names}
    accuracy = run.get("accuracy", split="validation")
    assert accuracy and all(costs.values())
    for member in found.front:
        theirs = member.run.get("accuracy", split="validation")
        assert theirs
        if theirs.value >= accuracy.value and all(member.costs[n].value <= costs[n].value for n in names):  # type: ignore[union-attr]
            return "dominated or equal"
    for member in found.front:
        answers = [compare._samples.answers(each, "validation").correct for each in (run, member.run)]
        paired = compare.paired_accuracy(*answers)
        near = all(_not_more(member.costs[n], costs[n], n) for n in names)
        if near and "cannot be told apart" in paired.verdict:
            return "tied"
    return ""


def _not_more(mine: Any, theirs: Any, name: str) -> bool:
    if name == "bytes":
        return mine.value <= SAME_BYTES * theirs.value
    return mine.lo <= theirs.hi  # the intervals touch, or mine is lower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="runs/search_front")
    parser.add_argument("--minimise", default="bytes")
    parser.add_argument("--max-drop", type=float, default=1.0)
    parser.add_argument("--budget-minutes", type=float, default=8.0)
    parser.add_argument("--models", nargs="+", default=list(BASES))
    arguments = parser.parse_args()
    names, store = arguments.minimise.split(","), Store(arguments.store)
    claims: dict[str, bool] = {}
    figures, samples, told = {}, {}, []
    for model in arguments.models:
        allowed = 60 * arguments.budget_minutes
        found = search(
            Job.from_json(BASES[model]), store, minimise=names, max_drop=arguments.max_drop, budget_seconds=allowed,
            on_event=partial(_print, model),
        )  # fmt: skip
        runs = alone(found, names, store)
        answers = {run.run_id: beaten_or_tied(run, found, names) for run in runs}
        counts = {kind or "beats the front": sum(each == kind for each in answers.values()) for kind in ANSWERS}
        claims[f"{model}: the search ended inside its {allowed:.0f} s ({found.seconds:.0f} s)"] = (
            found.seconds <= allowed + 5
        )
        claims[f"{model}: no single method beats the front ({len(runs)} tried: {counts})"] = all(answers.values())
        figures[model] = {**figures_of(found, names), "single_methods": counts, "minimise": names}
        samples[model] = [[run.run_id, answers[run.run_id]] for run in runs]
        words = ", ".join(f"{value:.1f} × less {name}" for name, value in figures[model]["ratio"].items())
        told.append(
            f"{model}: {words} at a drop of {figures[model]['drop']:+.2f}, {figures[model]['num_run']} runs in {found.seconds:.0f} s"
        )
    finish("search_front", claims, summary="; ".join(told), figures=figures, samples=samples)


def alone(found: Found, names: Sequence[str], store: Store) -> list[Run]:
    """Carry out the single methods and return their finished runs."""
    metrics = tuple(catalog.make("measure", each) for each in metrics_of(aims_of(tuple(names)), 1))
    jobs = [replace(job, metrics=metrics) for job in in_best_format(single_methods(found), found, names)]  # type: ignore[arg-type]
    wanted = {job.job_id for job in jobs}
    runs = carry_out_all(with_relatives(jobs), store)
    return [run for run in runs if run.job_id in wanted and run.status == "done"]


def figures_of(found: Found, names: Sequence[str]) -> dict[str, Any]:
    chosen, baseline, told = found.chosen, found.baseline, found.to_json()
    assert chosen and baseline and found.choice and found.chosen_job
    before, after = ({name: AIMS[name].measured(run) for name in names} for run in (baseline, chosen))
    return {
        "front": told["front"], "chosen": chosen.run_id, "recipe": found.chosen_job.recipe(), "format": chosen.job["format"]["use"],
        "ratio": {name: before[name].value / after[name].value for name in names},  # type: ignore[union-attr]
        "drop": found.choice.drops[chosen.run_id].value + 0.0, "why": told["why"], "seconds": found.seconds,
        "num_run": told["num_run"], "not_run": told["not_run"],
    }  # fmt: skip


def _print(model: str, progress: Any) -> None:
    trial = progress.trial
    if trial and progress.run:
        print(
            f"{model} {trial.number} {[step['use'] for step in trial.steps]} {trial.format['use']} {trial.status}, {progress.seconds_left:.0f} s left",
            flush=True,
        )


if __name__ == "__main__":
    main()
