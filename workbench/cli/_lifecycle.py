"""The commands for what becomes of a run: tag, note, pin, unpin, delete, gc, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Store, exit_unless
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench import exchange
    from workbench.marks import Marks
    from workbench.store import Store as RunStore

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run id, or its beginning")]
Runs = Annotated[list[str], typer.Argument(metavar="RUN…", help="Run ids, or their beginnings")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask: do it")]


def tag(
    run: Run,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[+NAME|-NAME]…", help="Tags to add and to remove")
    ] = None,
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Add tags to a run or take them away, as in `workbench tag RUN +good -draft`; without tags, show what it has.

    `workbench table --where 'tags contains good'` finds them again.

    \b
    --json: {"schema", "run_id", "tags": [words], "note", "pinned", "imported_from"}
    """
    problems = [f"{word!r} is neither +NAME nor -NAME" for word in tags or () if not word or word[0] not in "+-"]
    if problems:
        raise InvalidInput(problems, next_move="write +good to add a tag, -good to remove it")
    given = {sign: [word[1:] for word in tags or () if word[0] == sign] for sign in "+-"}
    _mark(run, store, json, add_tags=given["+"], remove_tags=given["-"])


def note(
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember; an empty text removes the note")],
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Write a note about a run, in place of the one it has.

    \b
    --json: as for `workbench tag`: {"schema", "run_id", "tags", "note", "pinned", "imported_from"}
    """
    _mark(run, store, json, note=text)


def pin(run: Run, store: Store = HERE, json: Json = False) -> None:
    """Keep a run: it can't be deleted, and `workbench gc` leaves it.

    \b
    --json: as for `workbench tag`: {"schema", "run_id", "tags", "note", "pinned", "imported_from"}
    """
    _mark(run, store, json, pinned=True)


def unpin(run: Run, store: Store = HERE, json: Json = False) -> None:
    """Let a pinned run be deleted again.

    \b
    --json: as for `workbench tag`: {"schema", "run_id", "tags", "note", "pinned", "imported_from"}
    """
    _mark(run, store, json, pinned=False)


def delete(
    runs: Runs,
    store: Store = HERE,
    force: Annotated[bool, typer.Option("--force", help="Also runs that others were measured against")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete runs for good, with their artifacts; asks first. Pinned and running ones are refused.

    \b
    --json: {"schema", "deleted": [run ids]}; needs --yes
    """
    from workbench.cli._text import say_json

    kept, found = _found(runs, store)
    if not yes:
        _ask(f"Delete {', '.join(found)} for good?", json)
    kept.delete(*found, force=force)
    if json:
        say_json({"deleted": found})
    else:
        typer.echo(f"deleted {', '.join(found)}")


def gc(
    quota: Annotated[str, typer.Option(help="What the store may take, as in 5GB or 500MB")],
    keep_days: Annotated[float | None, typer.Option(min=0, help="Leave runs that are younger than this")] = None,
    store: Store = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would go")] = False,
    json: Json = False,
) -> None:
    """Make the store fit a quota: says what would go, least missed first, and removes it with --yes.

    First what killed processes left and cached states, then comparisons and marks of runs that are gone, then the oldest
    runs. Pinned and tagged runs stay, as do those that others need. Exit code 1 when that is more than the quota: then
    nothing goes.

    \b
    --json: {"schema", "quota_bytes", "used_bytes", "left_bytes", "is_enough", "items": [{"kind": left-over|state|
      comparison|marks|run, "name", "bytes", "reason"}], "kept": [{"reason", "runs", "bytes"}], "removed": [names],
      "refused": {NAME: reason}}
    """
    from workbench import tidy
    from workbench.cli import _plan_page as page
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    planned = tidy.plan(RunStore(store), quota_bytes=tidy.size_from(quota), keep_days=keep_days)
    done = tidy.carry_out(planned) if yes and planned.is_enough else tidy.Tidied((), {})
    if json:
        say_json(page.plan_record(planned, done))
    else:
        page.say_plan(planned, done)
    exit_unless(planned.is_enough and not done.refused)


def export(
    runs: Runs,
    to: Annotated[Path, typer.Option("--to", metavar="FILE.zip", help="A new file")],
    alone: Annotated[bool, typer.Option("--alone", help="Without the runs that these were measured against")] = False,
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Write runs, with those that they were measured against, into a file for another machine.

    \b
    --json: {"schema", "file", "bytes", "runs": [run ids asked for]}
    """
    from workbench import exchange
    from workbench.cli._text import say_json
    from workbench.wording import bytes_text

    kept, found = _found(runs, store)
    path = exchange.export(kept, found, to, with_relatives=not alone)
    if json:
        say_json({"file": str(path), "bytes": path.stat().st_size, "runs": found})
    else:
        typer.echo(f"{path}: {bytes_text(path.stat().st_size)}")


def take_in(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `workbench export` wrote, or a package's measure.py (RESULT.json)"),
    ],
    store: Store = HERE,
    json: Json = False,
) -> None:
    """Add the runs of a file that this store doesn't have; all of them, or none when anything is wrong.

    RESULT.json of a package's measure.py becomes a run with that device's times, beside the run that was packaged.

    \b
    --json: {"schema", "added": [run ids], "already_there": [run ids]}
    """
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    found = _taken_in(RunStore(store), file)
    if json:
        say_json({"added": found.added, "already_there": found.already_there})
        return
    typer.echo(f"added {', '.join(found.added) or 'nothing'}")
    if found.already_there:
        typer.echo(f"here already: {', '.join(found.already_there)}")


def _taken_in(store: RunStore, file: Path) -> exchange.Imported:
    from workbench import exchange
    from workbench.package import device

    if not (file.is_file() and device.is_result(file)):
        return exchange.import_runs(store, file)
    before = {run.run_id for run in store.runs()}
    run_id = device.take_in(store, file).run_id
    return exchange.Imported((), (run_id,)) if run_id in before else exchange.Imported((run_id,), ())


def _found(wanted: list[str], store: Path) -> tuple[Any, list[str]]:
    """Return the store and the whole ids of what was named, each once."""
    from workbench.cli._input import find_run
    from workbench.store import Store as RunStore

    kept = RunStore(store)
    found = (each if (store / each / "run.json").is_file() else find_run(kept, each).run_id for each in wanted)
    return kept, list(dict.fromkeys(found))


def _mark(run: str, store: Path, json: bool, **changes: Any) -> None:
    from workbench import marks
    from workbench.cli import _pages as pages
    from workbench.cli._text import say_json

    kept, (run_id,) = _found([run], store)
    made: Marks = marks.mark(kept, run_id, **changes)
    if json:
        say_json({"run_id": run_id, **made.to_json()})
        return
    typer.echo(run_id)
    pages.say_marks(made)


def _ask(question: str, json: bool) -> None:
    if json or not _somebody_is_there():
        raise InvalidInput(
            ["this is asked first, and nobody is there to answer"], next_move="add --yes to do it unasked"
        )
    typer.confirm(question, abort=True)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()
