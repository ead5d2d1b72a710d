"""How far a batch is: one line per worker for somebody who watches, one line per event for a log, JSON for programs.

Everything is drawn from the runner's own loop: a thread would make forking unsafe.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import typer

from workbench.recorder import now

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workbench.batch._plan import Plan, Sorted
    from workbench.batch._record import Record
    from workbench.batch._runner import Runner
    from workbench.batch.carry_out import Done

SECONDS_BETWEEN_DRAWINGS = 0.25


def progress(*, quiet: bool, json_events: bool) -> Silent:
    """Return what shows the progress in the way that was asked for, or that fits stderr."""
    if json_events:
        return Events()
    if quiet:
        return Silent()
    return Drawn() if sys.stderr.isatty() else Lines()


class Silent:
    """Shows nothing but warnings."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, plan: Plan, found: Sorted) -> None:
        for warning in plan.warnings:
            typer.echo(f"! {warning}", err=True)

    def look(self, runner: Runner) -> None:
        return None

    def end(self, done: Done) -> None:
        return None


class Lines(Silent):
    """One line per event, without bars."""

    def __init__(self) -> None:
        self.started: set[tuple[str, int]] = set()
        self.num_ended = 0

    def begin(self, plan: Plan, found: Sorted) -> None:
        super().begin(plan, found)
        again = [each for each in found.wanted if each.why]
        self.say(
            "planned", text=f"{len(found.wanted)} rows to do, {len(found.done)} done, {len(found.left_out)} left out"
        )
        for each in again:
            self.say("again", row_id=each.row.row_id, text=f"{each.row.row_id} again: {each.why}", why=each.why)

    def look(self, runner: Runner) -> None:
        for row_id, (_, running) in runner.running.items():
            if (row_id, running.attempt) not in self.started:
                self.started.add((row_id, running.attempt))
                tried = f", attempt {running.attempt}" if running.attempt > 1 else ""
                self.say("started", row_id=row_id, text=f"{row_id} started{tried}", attempt=running.attempt)
        for record in runner.ended[self.num_ended :]:
            self.num_ended += 1
            self.say(
                "ended",
                row_id=record.row_id,
                text=_told(record, self.num_ended, runner),
                status=record.status,
                duration_s=record.duration_s,
            )

    def say(self, kind: str, *, text: str, **_: Any) -> None:
        typer.echo(f"{time.strftime('%H:%M:%S')}  {text}", err=True)


class Events(Lines):
    """The same as JSON lines on stdout, with a last one for the end."""

    def say(self, kind: str, *, text: str, **more: Any) -> None:
        typer.echo(json.dumps({"t": now(), "kind": kind, "text": text, **more}))

    def end(self, done: Done) -> None:
        self.say(
            "finished", text=done.why or "done", exit_code=done.exit_code, counts=done.batch.counts, next=done.next_move
        )


class Drawn(Silent):
    """One line per worker and one for the whole, redrawn in place; what ended stands above."""

    def __enter__(self) -> Drawn:
        from rich.console import Console
        from rich.live import Live

        self.live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True)
        self.live.start()
        self.drawn_at, self.num_ended = 0.0, 0
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def look(self, runner: Runner) -> None:
        from rich.markup import escape

        for record in runner.ended[self.num_ended :]:
            self.num_ended += 1
            mark = "[green]✓[/]" if record.passed else "[red]✗[/]"
            self.live.console.print(f"{mark} {escape(_told(record, self.num_ended, runner))}")
        if time.monotonic() - self.drawn_at > SECONDS_BETWEEN_DRAWINGS:
            self.drawn_at = time.monotonic()
            self.live.update(_drawing(runner), refresh=True)


def _told(record: Record, number: int, runner: Runner) -> str:
    said = f"{number} of {runner.total}: {record.row_id} {record.status} in {record.duration_s:.1f} s"
    return f"{said}: {(record.error.message.splitlines() or [''])[0][:120]}" if record.error else said


def _drawing(runner: Runner) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    for row_id, (_, running) in runner.running.items():
        cell = running.cell
        stage = f"{cell['stage']} " if cell and cell.get("stage") else ""
        where = f"{stage}cell {cell['cell']}/{cell['total']} {cell['title'] or cell['line']}" if cell else "starting"
        grid.add_row(row_id[:50], where[:60], f"{running.seconds:.0f} s")
    grid.add_row(f"{len(runner.ended)} of {runner.total}", _left(runner), f"{time.monotonic() - runner.began:.0f} s")
    return grid


def _left(runner: Runner) -> str:
    """Return how long it still takes, judged by the rows that passed."""
    took = [record.duration_s for record in runner.ended if record.passed]
    if runner.stopped:
        return f"stopping: {runner.stopped}"
    if not took:
        return ""
    rest = len(runner.waiting) + len(runner.running) / 2
    return f"about {statistics.median(took) * rest / runner.options.jobs:.0f} s left"
