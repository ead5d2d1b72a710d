"""The command that carries out many recipes: workbench study."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import _track
from workbench.cli._executor import Address, Executor, Resources, launcher
from workbench.cli._options import HERE, Json, Store, exit_unless


def study(
    file: Annotated[str, typer.Argument(metavar="FILE.yaml", help="A study file, or the name of a shipped one")],
    store: Store = HERE,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs side by side; default 2, or as many as fit")] = None,
    executor: Executor = "local",
    address: Address = "",
    resources: Resources = None,
    track: _track.Track = None,
    json: Json = False,
) -> None:
    """Carry out many recipes on one or several models; what is done already is not done again.

    The keys of a study file: name, title, data, format, metrics, seeds, train (steps in front of every recipe), models
    (NAME: a part, or {model, train, further parts that recipes call $NAME}), recipes (NAME: {steps, format: a format, a
    list or `fastest`, model, train, metrics, seeds, only}). Shipped: tradeoffs, quick, deep_compression. `fastest` is one
    job per format that can hold the model; which one answers first, and why, is said at the end.

    \b
    --json: {"schema", "name", "runs": [{"run_id", "job_id", "model", "recipe", "format", "status", "error"}], "fastest":
      [{"model", "recipe", "winner": run id, "format", "why": [sentences], "rivals": as for `workbench run`}]}
    """
    from workbench import study as studies
    from workbench.cli import _fastest
    from workbench.cli import _pages as pages
    from workbench.cli._progress import StudyProgress
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    _track.check(track)
    started_by = launcher(executor, address, resources)
    read = studies.read_study(file)
    labels = studies.labels(read)
    with StudyProgress(labels) as progress:
        runs = studies.carry_out_study(read, RunStore(store), workers=workers, launcher=started_by, on_event=progress)
    verdicts = _fastest.of_study(read, runs, RunStore(store))
    if json:
        told = [{"model": label.model, "recipe": label.recipe, **each.to_json()} for label, each in verdicts.items()]
        say_json({"name": read.name, "runs": pages.study_rows(runs, labels), "fastest": told})
    else:
        pages.say_study(runs, labels, store)
        for label, verdict in verdicts.items():
            _fastest.say(verdict, f"{label.model}, {label.recipe}")
    _track.mirror([run for run in runs if run.run_id], track)
    exit_unless(all(each.status == "done" for each in runs))
