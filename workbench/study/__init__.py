"""Many recipes on one or several models: a file is expanded into jobs, and the jobs are carried out a few at a time.

The file format is in `_study_file.py`. What is shared is done once: parents and references come first, and two jobs that
would train the same thing never run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench._made import tell_made
from workbench.errors import Cancelled, InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.part import Launcher
from workbench.queue._work import Work
from workbench.store import Store
from workbench.study._fastest import FASTEST, in_each_format, recipes_in_several_formats, which_is_fastest
from workbench.study._file import Study, check_study, read_study
from workbench.study._progress import Progress, Teller

__all__ = [
    "FASTEST", "Label", "Progress", "Study", "carry_out_all", "carry_out_study", "check_study", "expand", "fastest_asked",
    "in_each_format", "labels", "read_study", "recipes_in_several_formats", "which_is_fastest", "with_relatives",
]  # fmt: skip


WORKERS = 2  # jobs side by side, where nobody says how many


@dataclass(frozen=True)
class Label:
    """What a job is called in its study."""

    model: str
    recipe: str


def expand(study: Study) -> list[Job]:
    """Return the jobs of a study, each once, in an order in which parents and references come first.

    Raises InvalidInput with every problem of every recipe on every model.
    """
    return with_relatives([job for _, job in _jobs(study)])


def with_relatives(jobs: Sequence[Job]) -> list[Job]:
    """Return jobs with their parents and references, each once, those that others need first."""
    together = [each for job in jobs for each in (*reversed(job.relatives()), job) if each]
    unique = {job.job_id: job for job in together}
    return sorted(
        unique.values(), key=lambda job: len(job.steps)
    )  # stable: relatives have fewer steps, or stand before


def fastest_asked(study: Study) -> dict[Label, list[str]]:
    """Return, for each recipe that asks for its fastest format, the jobs (ids) that answer; each seed asks by itself."""
    asked: dict[Label, list[str]] = {}
    for label, record, formats in _records(study):
        if formats == [FASTEST]:
            name = label.recipe if len(study.seeds) == 1 else f"{label.recipe}, seed {record['seed']}"
            asked[replace(label, recipe=name)] = [job.job_id for job in in_each_format(record)[0]]
    return asked


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
        try:
            able, refused = in_each_format(record, None if formats == [FASTEST] else formats)
        except InvalidInput as error:
            problems |= dict.fromkeys(f"{place}: {problem}" for problem in error.problems)
            continue
        found += [(label, job) for job in able]
        if refused and (formats != [FASTEST] or not able):
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
    study: Study,
    store: Store,
    *,
    workers: int | None = None,  # None = as many as fit where the launcher knows, else 2
    launcher: Launcher | None = None,  # of every job; None = a process on this machine
    on_event: Callable[[Progress], None] | None = None,
) -> list[Run]:
    """Carry out every job that isn't done yet, `workers` at a time; returns one run per job, in `expand`'s order.

    A failed job doesn't stop the others; those that compare themselves with it are returned as failed without a run id.
    Ctrl-C cancels the workers and raises Cancelled; what was finished, also steps of unfinished jobs, is kept. Whatever
    the launcher, a job is the same one: what is done is found.
    """
    jobs = expand(study)
    if launcher is not None:
        jobs = [replace(job, launcher=launcher) for job in jobs]
        if reasons := [*launcher.missing(), *launcher.why_not()]:
            raise InvalidInput(reasons)
    return carry_out_all(jobs, store, workers=workers, on_event=on_event, name=study.name)


def carry_out_all(
    jobs: Sequence[Job],
    store: Store,
    *,
    workers: int | None = None,
    on_event: Callable[[Progress], None] | None = None,
    name: str = "the work",
) -> list[Run]:
    """Do the same for jobs in an order in which parents and references come first (`with_relatives`)."""
    work = Work(store)
    for job in jobs:
        work.add(job)
    work.workers = workers or _num_places(work) or WORKERS
    teller = Teller(work, on_event or (lambda progress: None))
    try:
        teller.say()
        for happened in work.work_off():
            teller.say(happened.ended)
    except KeyboardInterrupt:
        work.cancel()
        raise Cancelled(
            f"{name} was stopped: {len(work.ended)} of {len(jobs)} jobs are done",
            next_move="run the same study again: finished runs and finished steps are kept",
        ) from None
    except BaseException:
        work.cancel()
        raise
    runs = [work.ended[job.job_id] for job in jobs]
    tell_made(runs, store.root)
    return runs


def _num_places(work: Work) -> int | None:
    """Return how many of the waiting jobs fit side by side, where their launcher knows; raises InvalidInput where none does."""
    launchers = {job.launcher.model_dump_json(): job.launcher for job in work.waiting.values()}
    return min((places for each in launchers.values() if (places := each.num_places())), default=None)
