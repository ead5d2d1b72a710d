"""The commands that look for a recipe: the best mix under a budget, or the strength that a latency needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Data, Format, Json, Metrics, Model, Seed, Step, Store, exit_unless
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.search import Found, Member

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def search(
    model: Model = None, data: Data = None, step: Step = None, seed: Seed = None, store: Store = HERE,
    max_drop: Annotated[float, typer.Option(help="Points of accuracy below the model as trained, on validation")] = 1.0,
    minimise: Annotated[str, typer.Option(help="latency, bytes, energy, or several with commas between")] = "latency",
    budget: Annotated[str, typer.Option(help="Time to spend, as in 90s, 30m or 2h")] = "30m",
    threads: Annotated[str, typer.Option(help="Threads to time with; the front is also timed with further ones: 1,2")] = "1",
    seeds: Annotated[int, typer.Option(help="Repeat what was chosen with so many seeds in all")] = 1,
    sampler_seed: Annotated[int, typer.Option(help="Seed of the search itself")] = 0,
    only: Annotated[str, typer.Option(help="Steps to keep to, with commas between; default: all that are legal")] = "",
    formats: Annotated[str, typer.Option(help="Formats to keep to, with commas between; default: all")] = "",
    report: Annotated[Path | None, typer.Option(metavar="PAGE.html", help="Default: reports/search-NAME.html")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Find the recipe with the least latency, bytes or energy that loses at most so much accuracy.

    The steps given train the model; the search puts changes, a recovery, a precision and a format behind them. Illegal
    recipes and those whose estimate can't win are not run, and told. Every trial is a run in the store. The same command
    goes on with what an earlier one began; Ctrl-C ends it with what is finished. Needs: pip install 'workbench[search]'.

    \b
    Choosing reads validation only; test is told once, of what was chosen.
    --json: {"schema", "baseline": run id, "front": [{"run_id", "recipe": steps, "format", "drop", "drop_bound", "drop_unit",
      "costs": {AIM: [value, lo, hi]}, "threads": {NUMBER: [ms, lo, hi]}}], "chosen": run id, "is_shown": the drop is
      shown, not only measured, "job": as in job.json, "why": [sentences], "seeds": [run ids], "num_run", "not_run":
      {REASON: count}, "left_out": {NAME: reason}, "ended", "seconds", "yaml", "command", "report": path}
    """
    from workbench import search as searching
    from workbench.cli._input import job_from
    from workbench.cli._progress import SearchProgress
    from workbench.cli._text import say_json
    from workbench.search import page
    from workbench.store import Store as RunStore

    base = job_from(None, model=model, data=data, steps=step, format=None, metrics=None, seed=seed)
    with SearchProgress() as progress:
        found = searching.search(
            base, RunStore(store), minimise=_names(minimise), max_drop=max_drop, budget_seconds=_seconds(budget),
            threads=_numbers(threads), seeds=seeds, sampler_seed=sampler_seed, only=_names(only), formats=_names(formats),
            on_event=progress,
        )  # fmt: skip
    written = page.write_page(found, report or Path("reports") / f"search-{found.name}.html") if found.runs else None
    if json:
        say_json({**found.to_json(), **page.texts(found, store), "report": str(written) if written else None})
    else:
        _say(found, page.texts(found, store), written)
    exit_unless(found.chosen is not None and not found.was_stopped)


def reach(
    latency: Annotated[float, typer.Option(help="Wanted share of the time of the model as trained, as in 0.5")],
    by: Annotated[str, typer.Option(metavar="STEP", help="The step whose strength is found")] = "channel_prune",
    parameter: Annotated[str, typer.Option(help="Its strength")] = "ratio",
    model: Model = None, data: Data = None, step: Step = None, format: Format = None, metrics: Metrics = None, seed: Seed = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to time with")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Examples in a call to time")] = 1,
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Find how strong a step has to be for a latency, measured in the job's format, and carry the job out so.

    As in: workbench reach --latency 0.5 --model resnet --data digits --step train --step channel_prune --step 'train epochs=10'

    \b
    --json: {"schema", "run_id", "status", "strength", "tried": [{"strength", "ratio", "lo", "hi", "run_id"}]}
    """
    from workbench.cli._input import job_from
    from workbench.cli._progress import RunProgress
    from workbench.cli._text import console, say_json, say_rows
    from workbench.search.reach import reach as reach_it
    from workbench.store import Store as RunStore

    job = job_from(None, model=model, data=data, steps=step, format=format, metrics=metrics, seed=seed)
    with RunProgress() as progress:
        found = reach_it(
            job,
            RunStore(store),
            latency=latency,
            step=by,
            parameter=parameter,
            threads=threads,
            batch=batch,
            on_event=progress,
        )
    if json:
        say_json(found.to_json())
    else:
        rows = [
            (f"{each.strength:g}", f"{each.ratio.value:.3f} [{each.ratio.lo:.3f}, {each.ratio.hi:.3f}]", each.run_id)
            for each in found.tried
        ]
        say_rows((f"{by} {parameter}", "× the time as trained", "run"), rows)
        console().print(
            f"{by} {parameter}={found.strength:g}: {found.run.run_id} {found.run.status}", style="bold", markup=False
        )
    exit_unless(found.run.status == "done")


def _names(text: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(",") if piece.strip())


def _numbers(text: str) -> tuple[int, ...]:
    if not all(piece.isdigit() for piece in _names(text)):
        raise InvalidInput([f"threads: {text!r} is not a list of whole numbers"], next_move="as in --threads 1,2")
    return tuple(int(piece) for piece in _names(text))


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found:
        raise InvalidInput([f"budget: {text!r} is not a time"], next_move="as in --budget 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def _say(found: Found, texts: Mapping[str, str], written: Path | None) -> None:
    from workbench.cli._text import console, say_rows

    say = console().print
    head = ("front", "format", "drop, validation", *(aim.words for aim in found.aims), "run")
    say_rows(head, [_row(found, each) for each in found.front], numbers=head[2:-1])
    num_run = sum(bool(trial.status) for trial in found.trials)
    not_run = ", ".join(f"{count} {reason}" for reason, count in found.refusals().items() if count)
    say(f"{num_run} recipes run in {found.seconds:.0f} s" + (f", {not_run} not run" if not_run else ""), markup=False)
    say(f"ended: {found.ended}", markup=False)
    for note in found.notes():
        say(f"· {note}", markup=False)
    for name, reason in found.space.left_out.items():
        say(f"· left out {name}: {reason}", markup=False)
    if found.chosen is None:
        say("nothing was chosen: the model as trained has no finished run", markup=False)
        return
    say(f"chosen: {found.chosen.run_id}", style="bold", markup=False)
    for sentence in found.why():
        say(sentence, markup=False)
    say(texts["yaml"], markup=False)
    say(texts["command"], markup=False, soft_wrap=True)
    if written:
        say(f"in {written}", markup=False, soft_wrap=True)


def _row(found: Found, each: Member) -> tuple[str, ...]:
    from workbench import table

    drop = f"{each.drop.value:+.2f} (≤ {each.drop.bound:.2f})" if each.drop.n else "as trained"
    costs = tuple(_cost(each.costs[aim.name], aim.unit) for aim in found.aims)
    return table.change_text(each.run), table.format_text(each.run), drop, *costs, each.run.run_id


def _cost(cost: Any, unit: str) -> str:
    if unit == "bytes":
        return f"{cost.value:,.0f}"
    return f"{cost.value:.3g}" + (f" [{cost.lo:.3g}, {cost.hi:.3g}]" if cost.lo is not None else "")
