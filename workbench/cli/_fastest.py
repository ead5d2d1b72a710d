"""`--format fastest`: carries a job out in each format that can hold it, and says which answers first and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from workbench.cli import _track
from workbench.cli._options import exit_unless
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.compare import Fastest
    from workbench.nouns import Run
    from workbench.store import Store
    from workbench.study import Label, Study


def run_each(record: Mapping[str, Any], store: Store, *, again: bool, json: bool, track: str | None = None) -> None:
    """Do what `workbench run` does, in every format; the others' reasons are told."""
    from workbench import study as studies
    from workbench.cli._progress import StudyProgress
    from workbench.cli._text import say_json

    if again:
        raise InvalidInput(["--again is for one format"], next_move="leave it out, or name the format")
    jobs, refused = studies.in_each_format(record)
    if not jobs:
        raise InvalidInput(list(dict.fromkeys(reason for reasons in refused.values() for reason in reasons)))
    wanted = {job.job_id for job in jobs}
    with StudyProgress({job.job_id: studies.Label(job.model.name(), job.format.name()) for job in jobs}) as progress:
        runs = studies.carry_out_all(studies.with_relatives(jobs), store, on_event=progress, name="the job")
    found = studies.which_is_fastest([run for run in runs if run.job_id in wanted], store)
    if json:
        say_json({**found.to_json(), "refused": refused})
    else:
        say(found, jobs[0].recipe())
        for name, reasons in refused.items():
            typer.echo(f"{name} can't hold it: {'; '.join(reasons)}")
    _track.mirror([run for run in runs if run.run_id], track)
    exit_unless(found.winner is not None)


def of_study(study: Study, runs: Sequence[Run], store: Store) -> dict[Label, Fastest]:
    """Return the verdict for each recipe of a study that asks for its fastest format."""
    from workbench import study as studies

    by_job = {run.job_id: run for run in runs}
    asked = studies.fastest_asked(study)
    return {label: studies.which_is_fastest([by_job[each] for each in ids], store) for label, ids in asked.items()}


def say(found: Fastest, what: str) -> None:
    from workbench.cli._text import console, say_rows

    say_line = console().print
    winner = found.winner
    name = f"{winner.job['format']['use']}: {winner.run_id}" if winner else "none"
    say_line(f"fastest format of {what}: {name}", style="bold", markup=False)
    for sentence in found.why:
        say_line(sentence, markup=False)
    if found.rivals:
        say_rows(("not", "run", "because"), [(each.format, each.run_id, each.reason) for each in found.rivals])
