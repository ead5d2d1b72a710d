"""The command that looks at the queue of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli._options import HERE, Json, Store
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.queue import Entry


def queue(
    store: Store = HERE,
    cancel: Annotated[
        str | None, typer.Option(metavar="ID", help="Cancel this entry (the beginning of its id)")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take finished entries off the list; their runs stay")] = False,
    json: Json = False,
) -> None:
    """List the jobs that were put into the queue of a store, as from the workbench in JupyterLab, and how far they are.

    They run outside of whoever put them there. Where the process that works on them was killed, this starts it again.

    \b
    --json: {"schema", "entries": [{"entry_id", "job_id", "job": as in job.json, "state": waiting|running|done|failed|cancelled|lost,
      "for_job": the job that needs it, "run_id", "part", "done", "total", "unit", "eta_seconds", "values": {NAME: number},
      "text", "error": {"kind", "message", "next", "signal"}, "added", "started", "ended", "why_waiting", "cancelling", "log"}]}
    """
    from workbench import queue as queues
    from workbench.cli._text import say_json
    from workbench.store import Store as RunStore

    runs = RunStore(store)
    entries = queues.attach(runs)
    if cancel is not None:
        queues.cancel(runs, _find(entries, cancel).entry_id)
    if clear:
        queues.clear_finished(runs)
    entries = queues.entries(runs)
    if json:
        say_json({"entries": [entry.to_json() for entry in entries]})
    else:
        _say(entries)


def _find(entries: Sequence[Entry], wanted: str) -> Entry:
    """Return the entry with this id, or the only one whose id begins so; unfinished ones go first."""
    near = [entry for entry in entries if entry.entry_id.startswith(wanted)]
    near = [entry for entry in near if not entry.finished] or near
    if len(near) == 1:
        return near[0]
    if near:
        raise InvalidInput([f"{wanted!r} is the beginning of {len(near)} entries"], next_move="write more of the id")
    raise InvalidInput([f"no entry {wanted!r}"], next_move="workbench queue lists them")


def _say(entries: Sequence[Entry]) -> None:
    from workbench.cli._text import say_rows

    if not entries:
        typer.echo("nothing in the queue")
        return
    say_rows(("id", "state", "at"), ((entry.entry_id, entry.state, _at(entry)) for entry in entries))


def _at(entry: Entry) -> str:
    """Return what there is to say of an entry in its state, as in `steps[0].train 120/600 batches, 3 s left, loss 0.21`."""
    if entry.error:
        return f"{entry.error['message']} → {entry.error['next']}"
    if entry.state != "running":
        return entry.why_waiting or entry.run_id or ""
    if not entry.total:
        return entry.text
    pieces = [f"{entry.part} {entry.done}/{entry.total} {entry.unit}"]
    pieces += [f"{entry.eta_seconds:.0f} s left"] if entry.eta_seconds else []
    return ", ".join([*pieces, *(f"{name} {value:.3g}" for name, value in entry.values.items())])
