"""The command that measures how a training scales: workbench scale"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless


def scale(
    model: Annotated[str, typer.Option("--model", help="As in `workbench run`")],
    data: Annotated[str, typer.Option("--data", help="As in `workbench run`")],
    step: Annotated[str, typer.Option("--step", help="What trains; its batch_size is that of one process")] = "train batch_size=8",
    layout: Annotated[str, typer.Option("--layout", help="How processes work together")] = "data_parallel",
    processes: Annotated[str, typer.Option(help="Numbers of them, with commas between")] = "2",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to keep of each number")] = 5,
    updates: Annotated[int, typer.Option(min=1, help="Timed updates of a turn")] = 20,
    disturbed: Annotated[float, typer.Option(min=1.0, help="Independent processes so much slower than one: the round is thrown away")] = 1.1,
    chart: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Draw it, on one offline page")] = None,
    store: Store = HERE,
    json: Json = False,
) -> None:  # fmt: skip
    """Measure what more processes gain, beside as many independent ones that lose only what the machine lacks (weak scaling).

    The record is kept in the store, and the tab Distribute draws it. Exit code 1 when every round was disturbed.

    \b
    --json: {"schema", "kind", "date", "title", "job", "plan", "load1", "machine", "versions", "thrown", "points": [{"processes",
      "together": [× one], "independent": [× one], "state_bytes": [of each process], "thrown", "rounds": [{"solo_s", "independent_s", "together_s", "kept"}]}]}
    """
    from workbench import scale as scaling
    from workbench.charts.scaling import in_words, scaling_data, scaling_figure
    from workbench.cli._input import job_record
    from workbench.cli._text import say_json
    from workbench.errors import InvalidInput
    from workbench.job import Job
    from workbench.store import Store as RunStore

    try:
        numbers = tuple(int(each) for each in processes.split(","))
    except ValueError:
        raise InvalidInput([f"--processes {processes!r}: whole numbers with commas between"]) from None
    record = job_record(
        None, model=model, data=data, steps=[step], format=None, metrics=None, seed=None, layout=layout, launcher=None
    )
    plan = scaling.Plan(numbers, rounds, updates, disturbed)
    found = scaling.scale(
        Job.from_json(record), RunStore(store), plan, say=lambda text: None if json else typer.echo(text)
    )
    drawn = scaling_data(found)
    if chart is not None:
        scaling_figure(drawn).write_html(chart, include_plotlyjs=True)
    if json:
        say_json(found)
    else:
        typer.echo(in_words(drawn))
    exit_unless(all(each["together"] for each in found["points"]))
