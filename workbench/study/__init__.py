"""Many recipes on one or several models: a file is expanded into jobs, and the jobs are carried out a few at a time.

The file format is in `_study_file.py`. What is shared is done once: parents and references come first, and two jobs that
would train the same thing never run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench import catalog
from workbench._made import tell_made
from workbench.errors import Cancelled, InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.queue._work import Work
from workbench.store import Store
from workbench.study._file import Study, check_study, read_study
from workbench.study._progress import Progress, Teller

__all__ = ["Progress", "Study", "carry_out_study", "check_study", "expand", "labels", "read_study"]


@dataclass(frozen=True)
class Label:
    """What a job is called in its study."""

    model: str
    recipe: str


def expand(study: Study) -> list[Job]:
    """Return the jobs of a study, each once, in an order in which parents and references come first.

    Raises InvalidInput with every problem of every recipe on every model.
    """
    jobs = [job for _, job in _jobs(study)]
    with_relatives = [each for job in jobs for each in (*reversed(job.relatives()), job) if each]
    unique = {job.job_id: job for job in with_relatives}
    return sorted(
        unique.values(), key=lambda job: len(job.steps)
    )  # stable: relatives have fewer steps, or stand before


def labels(study: Study) -> dict[str, Label]:
    """Return what each job is called, by job id; parents that no recipe names are "as trained"."""
    named = {
        job.job_id: label for label, job in reversed(list(_jobs(study)))
    }  # the first recipe that gives a job names it
    for label, job in _jobs(study):
        for relative in job.relatives():
            if relative:
                named.setdefault(relative.job_id, replace(label, recipe="as trained"))
    return named


def _jobs(study: Study) -> list[tuple[Label, Job]]:
    found: list[tuple[Label, Job]] = []
    problems: dict[str, None] = {}  # in order, each once: a problem shared by three models is one problem
    for label, record, formats in _records(study):
        place = f"recipe {label.recipe!r} on {label.model}"
        refused: dict[str, list[str]] = {}
        num_before = len(found)
        for written in catalog.names("formats") if formats == ["fastest"] else formats:
            try:
                job = Job.from_json({**record, "format": written})
            except InvalidInput as error:
                problems |= dict.fromkeys(f"{place}: {problem}" for problem in error.problems)
                break
            if reasons := job.why_not():
                refused[str(written)] = reasons
            else:
                found.append((label, job))
        if refused and (formats != ["fastest"] or len(found) == num_before):
            problems |= dict.fromkeys(f"{place}: {reason}" for reasons in refused.values() for reason in reasons)
    if problems:
        raise InvalidInput(list(problems), next_move="workbench parts lists what there is")
    return found


def _records(study: Study) -> Iterator[tuple[Label, dict[str, Any], list[Any]]]:
    """Yield (label, job record without format, formats) of each recipe on each of its models, for each seed."""
    for model_name, roles in study.models.items():
        for recipe_name, recipe in study.recipes.items():
            if model_name not in recipe["only"]:
                continue
            leading = recipe.get("train", roles.get("train", study.train))
            record = {
                "model": recipe.get("model", roles["model"]),
                "data": study.data,
                "steps": [*leading, *recipe["steps"]],
                "metrics": recipe.get("metrics", study.metrics),
            }
            written = recipe.get("format", study.format)
            for seed in recipe.get("seeds", study.seeds):
                filled = _with_roles(record, roles, f"recipe {recipe_name!r} on {model_name}")
                formats = written if isinstance(written, list) else [written]
                yield Label(model_name, recipe_name), {**filled, "seed": seed}, formats


def _with_roles(value: Any, roles: Mapping[str, Any], place: str) -> Any:
    """Put a model's parts where `$name` stands."""
    if isinstance(value, Mapping):
        return {key: _with_roles(inner, roles, place) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_roles(inner, roles, place) for inner in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value[1:] not in roles or value == "$train":
        known = ", ".join(f"${role}" for role in roles if role != "train")
        raise InvalidInput([f"{place}: {value} is not defined"], next_move=f"known for this model: {known}")
    return roles[value[1:]]


def carry_out_study(
    study: Study, store: Store, *, workers: int = 2, on_event: Callable[[Progress], None] | None = None
) -> list[Run]:
    """Carry out every job that isn't done yet, `workers` at a time; returns one run per job, in `expand`'s order.

    A failed job doesn't stop the others; those that compare themselves with it are returned as failed without a run id.
    Ctrl-C cancels the workers and raises Cancelled; what was finished, also steps of unfinished jobs, is kept.
    """
    work, jobs = Work(store, workers=workers), expand(study)
    for job in jobs:
        work.add(job)
    teller = Teller(work, on_event or (lambda progress: None))
    try:
        teller.say()
        for happened in work.work_off():
            teller.say(happened.ended)
    except KeyboardInterrupt:
        work.cancel()
        raise Cancelled(
            f"{study.name} was stopped: {len(work.ended)} of {len(jobs)} jobs are done",
            next_move="run the same study again: finished runs and finished steps are kept",
        ) from None
    except BaseException:
        work.cancel()
        raise
    runs = [work.ended[job.job_id] for job in jobs]
    tell_made(runs, store.root)
    return runs
