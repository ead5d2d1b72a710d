"""The commands that look at finished runs: table, show, compare, choose."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless
from workbench.errors import InvalidInput


def table(
    store: Store = HERE,
    where: Annotated[str | None, typer.Option(help="As in 'accuracy > 0.95 and format = onnx'")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every column")] = False,
    json: Json = False,
) -> None:
    """List the runs of a store, one line each.

    \b
    --json: {"schema", "rows": [{run_id, model, recipe, format, status, artifact_bytes, accuracy, …: the columns of --csv}],
      "skipped": [records that could not be read]}; null = not measured
    """
    from workbench import marks
    from workbench import table as tables
    from workbench.cli import _pages as pages
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    if csv and json:
        raise InvalidInput(["--csv and --json exclude each other"])
    runs = RunStore(store)
    wanted = tables.where(where) if where else None
    rows = tables.rows([*runs.runs(), *runs.lost()], marks.read_all(runs))
    rows = [row for row in rows if wanted(row)] if wanted else rows
    if csv:
        typer.echo(tables.to_csv(rows), nl=False)
    elif json:
        say_json({"rows": rows, "skipped": runs.skipped})
    else:
        pages.say_table(rows, store)
    for reason in runs.skipped:
        typer.echo(f"skipped: {reason}", err=True)


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or its beginning")],
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Show one run: its job, machine, timings, every measurement, and what went wrong.

    \b
    --json: as for `workbench run`
    """
    from workbench import marks
    from workbench.cli import _pages as pages
    from workbench.cli._input import find_run
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    kept = RunStore(store)
    found = find_run(kept, run)
    if json:
        say_json({**found.to_json(), "folder": found.folder})
    else:
        pages.say_run(found, in_full=True)
        pages.say_marks(marks.read(kept, found.run_id))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run id, or its beginning")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run to hold against it")],
    store: Store = HERE,
    measure: Annotated[bool, typer.Option("--measure", help="Time both alternately now, and keep the samples")] = False,
    json: Json = False,
) -> None:
    """Say how run B differs from run A, on the same examples and, if they were timed together, in speed.

    \b
    --json: {"schema", "a", "b", "differences": [{"name", "unit", "better", "a", "b", "ratio", "verdict", "conditions"}],
      "latency": {"how", "ratio": {"ratio", "lo", "hi", "verdict", …}, …}, "accuracy": {"both", "only_a", "only_b", "neither",
      "difference", "lo", "hi", "p_value", "verdict", "interval"}, "perplexity", "why_not_paired", "flips", "classes"}; null = not known
    """
    from workbench import compare as comparing
    from workbench import together
    from workbench.cli import _pages as pages
    from workbench.cli._input import find_run
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    runs = RunStore(store)
    first, second = find_run(runs, a), find_run(runs, b)
    timed = together.measure_together(first, second, runs) if measure else together.kept(first, second, runs)
    found = comparing.compare_runs(first, second, together=(timed.a_ms, timed.b_ms) if timed else None)
    if json:
        say_json(found.to_json())
    else:
        pages.say_comparison(found)


def choose(
    max_latency_ms: Annotated[float | None, typer.Option(help="Median of one call")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Points of accuracy below the parent, on validation")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="artifact_bytes")] = None,
    where: Annotated[str | None, typer.Option(help="Choose among these only, as in 'model = lenet_5'")] = None,
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Recommend the run to take under budgets, from what the validation split showed, and say why not each other one.

    \b
    Exit code 1 when none fits.
    --json: {"schema", "recommended": run id or null, "unproven": run id or null, "why": [sentences], "why_not":
      {RUN: [reasons]}, "drops": {RUN: {"value", "bound", "n", "unit", "against"}}, "budgets": {…},
      "fitting": [run ids, best first], "not_shown": [run ids that only lack examples]}
    """
    from workbench import compare as comparing
    from workbench import marks
    from workbench import table as tables
    from workbench.cli import _pages as pages
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    budgets = comparing.Budgets(max_bytes=max_bytes, max_latency_ms=max_latency_ms, max_drop=max_drop)
    kept = RunStore(store)
    runs = kept.runs()
    wanted = tables.where(where) if where else None
    rows = tables.rows(runs, marks.read_all(kept))
    among = [run for run, row in zip(runs, rows) if wanted is None or wanted(row)]
    choice = comparing.choose(among, budgets)
    if json:
        say_json(choice.to_json())
    else:
        pages.say_choice(choice)
    exit_unless(choice.recommended is not None)
