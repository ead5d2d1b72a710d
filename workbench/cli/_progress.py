"""How far work is: a live bar for somebody who watches, plain lines for a log. Both go to stderr, results to stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from workbench.search import Progress as SearchedSoFar
    from workbench.study import Label, Progress

SECONDS_BETWEEN_LINES = 10.0


class Bar:
    """One line that is either redrawn in place (a terminal) or written anew when something has changed (a log)."""

    def __enter__(self) -> Any:
        self._live: Any = None
        self._line, self._when = "", 0.0
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
            self._live = Progress(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
            self._task = self._live.add_task("starting", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, text: str, *, done: int, total: int, new: bool) -> None:
        """Show a line; in a log only when it is `new` or the last one is old."""
        if self._live:
            from rich.markup import escape

            self._live.update(self._task, description=escape(text), completed=done, total=total or None)
        elif new or time.monotonic() - self._when > SECONDS_BETWEEN_LINES:
            self._when = time.monotonic()
            typer.echo(text, err=True)


class RunProgress(Bar):
    """Follows the events of one job's worker, and before it those of its parent and reference."""

    _place = ("", "")

    def __call__(self, event: Mapping[str, Any]) -> None:
        place = (str(event.get("run_id")), str(event.get("part") or event["kind"]))
        new, self._place = place != self._place, place
        if event["kind"] == "log" and not new:
            return
        done, total = int(event.get("done") or 0), int(event.get("total") or 0)
        self.show(f"{_where(event)}  {place[0]}", done=done, total=total, new=new)


class StudyProgress(Bar):
    """Follows a whole study: jobs done, time left, and what each worker is at."""

    def __init__(self, labels: Mapping[str, Label]) -> None:
        self.labels = labels

    def __call__(self, progress: Progress) -> None:
        left = "" if progress.eta_seconds is None else f", about {progress.eta_seconds:.0f} s left"
        text = f"{progress.done} of {progress.total} jobs{left}"
        if progress.ended and not self._live:
            text += f": {self._name(progress.ended.job_id)} {progress.ended.status}"
        elif progress.running:
            text += ": " + " · ".join(f"{self._name(job)} {_where(event)}" for job, event in progress.running.items())
        self.show(text, done=progress.done, total=progress.total, new=progress.ended is not None)

    def _name(self, job_id: str) -> str:
        label = self.labels.get(job_id)
        return f"{label.model} {label.recipe}" if label else job_id


class SearchProgress(Bar):
    """Follows a search: what was decided, why not, how it ended, and what its worker is at."""

    def __call__(self, progress: SearchedSoFar) -> None:
        left = f"{progress.seconds_left:.0f} s left, {progress.num_run} run, {progress.num_refused} not worth a run"
        done = progress.num_run
        if progress.trial is None:
            self.show(f"{left}: {_where(progress.event or {})}", done=done, total=0, new=False)
        elif not progress.trial.refused:
            self.show(f"{left}: {self._told(progress)}", done=done, total=0, new=True)

    def _told(self, progress: SearchedSoFar) -> str:
        trial = progress.trial
        assert trial is not None
        recipe = " → ".join(step["use"] for step in trial.steps) or "as trained"
        ended = f" {trial.status} {trial.message}".rstrip() if trial.status else ""
        return f"trial {trial.number} {recipe}, {trial.format['use']}{ended}"


def _where(event: Mapping[str, Any]) -> str:
    """Return, as in `steps[0].train 120/600 batches, 3 s left, loss 0.21`."""
    pieces = [str(event.get("part") or event.get("kind") or "starting")]
    if event.get("total"):
        pieces[0] += f" {event['done']}/{event['total']} {event.get('unit', '')}".rstrip()
    if event.get("eta_s"):
        pieces.append(f"{event['eta_s']:.0f} s left")
    pieces += [f"{name} {value:.3g}" for name, value in (event.get("values") or {}).items()]
    return ", ".join(pieces)
