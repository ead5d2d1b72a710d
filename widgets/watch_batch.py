"""The live table of a batch under a notebook cell: what passed, what runs and where it is, what went wrong.

    from widgets.watch_batch import attach
    attach("reports/models")

It reads the batch's folder. Closing the tab or restarting the kernel stops looking, not the batch.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import ipywidgets

from widgets import _words
from widgets.headless import is_headless
from widgets.pump import Pump, words_of
from widgets.style import style
from workbench.batch.index import duration_text
from workbench.batch.views import Batch, View, batch_in, counted, said
from workbench.errors import WorkbenchError

SECONDS_BETWEEN_LOOKS = 1.0
MOST_ROWS = 100  # of those that passed without a word only the last are listed
ENDED = ("passed", "failed", "timeout", "oom_limit", "kernel_died", "error", "cancelled", "stale")


class WatchBatch:
    """Shows one batch; `view` is what to display."""

    def __init__(self, folder: str | Path, pump: Pump) -> None:
        self.folder, self.pump = Path(folder), pump
        self.bar = ipywidgets.FloatProgress(description="rows", min=0, max=1, layout={"width": "100%"})
        self.told, self.rows = ipywidgets.HTML(), ipywidgets.HTML()
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="Start no further row; what runs goes on to its end"
        )
        self.stop.on_click(lambda _: pump.do(self._stop))
        self.view = ipywidgets.VBox([style(), ipywidgets.HBox([self.bar, self.stop]), self.told, self.rows])
        self.view.add_class("wb-watch-batch")
        pump.every(SECONDS_BETWEEN_LOOKS, self.update)
        self.update()

    def update(self) -> None:
        """Read the folder anew; what can't be read is said."""
        try:
            batch = batch_in(self.folder)
        except WorkbenchError as error:
            _words.say(self.told, _words.problem(words_of(error)))
            return
        self._show(batch)

    def _show(self, batch: Batch) -> None:
        done = sum(view.state in ENDED for view in batch.rows)
        self.bar.max, self.bar.value = max(1, len(batch.rows)), done
        runs = batch.folder.runner() is not None
        _words.show(self.stop, runs)
        page = batch.folder.path / "index.html"
        where = f" · page: {page}" if page.exists() and not runs else ""
        _words.say(self.told, _words.waiting(f"{counted(batch)}{'' if runs else ' · nobody runs it'}{where}"))
        _words.say(self.rows, _table(batch))

    def _stop(self) -> None:
        try:
            batch_in(self.folder).folder.ask_to_stop(at_once=False)
        except WorkbenchError as error:
            _words.say(self.told, _words.problem(words_of(error)))


def attach(folder: str | Path) -> ipywidgets.Widget | str:
    """Return the live table of a batch; where nobody looks (papermill, nbval) it is its counts, in words."""
    if is_headless():
        return counted(batch_in(Path(folder)))
    return WatchBatch(folder, Pump().start()).view


def _table(batch: Batch) -> str:
    noisy = [view for view in batch.rows if view.state not in ("passed", "planned", "skipped")]
    quiet = [view for view in batch.rows if view.state == "passed"]
    shown = [*noisy[:MOST_ROWS], *quiet[max(0, len(quiet) + len(noisy) - MOST_ROWS) :]]  # the last of the quiet ones
    return _words.table(
        "what runs and what failed first", ("row", "status", "seconds", "metrics", "said"), map(_line, shown)
    )


def _line(view: View) -> tuple[str, ...]:
    record = view.record
    took = duration_text(record.duration_s) if record else ""
    metrics = ", ".join(f"{name} {each.value:.4g}" for name, each in list(record.metrics.items())[:4]) if record else ""
    return tuple(map(escape, (view.row_id, view.state.replace("_", " "), took, metrics, said(view))))
