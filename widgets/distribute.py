"""Spread a training over processes: choose how, see what it should take, watch every process, cancel, compare with one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._spread_choice import SpreadChoice
from widgets._spread_scaling import SpreadScaling
from widgets._spread_watch import SpreadWatch
from widgets._tab_panel import TabPanel
from workbench import queue
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

SECONDS_BETWEEN_LOOKS = 0.5
WATCHED = ["model", "data", "steps", "format", "metrics", "seed", "layout", "launcher", "card"]


class Distribute(TabPanel):
    """The picked job is the workbench's own: *Run* here and *Run* beside the recipe start the same."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.choice, self.watch = SpreadChoice(session, pump), SpreadWatch(session, pump)
        self.scaling = SpreadScaling(session, pump)
        self.run = ipywidgets.Button(description="Run", icon="play", button_style="primary")
        self.run.tooltip = "Put this job into the queue"
        self.run.on_click(lambda _: pump.do(self._run))
        self.cancel = ipywidgets.Button(description="Cancel", icon="stop", tooltip="End every process of the shown run")
        self.cancel.on_click(lambda _: pump.do(self._cancel))
        self.told = ipywidgets.HTML()
        buttons = ipywidgets.Box([self.run, self.cancel]).add_class("wb-flow")
        left = ipywidgets.VBox([ipywidgets.HTML(_words.head("How")), self.choice.view])
        self.view = ipywidgets.VBox(
            [left, buttons, self.told, ipywidgets.HTML(_words.head("Processes at work")), self.watch.view,
             self.scaling.view]
        )  # fmt: skip
        self.view.add_class("wb-distribute")
        session.observe(lambda _: pump.do(self.update, key=self), names=WATCHED)
        session.observe(lambda _: pump.do(self._follow, key=(self, "runs")), names=["runs", "queue"])
        pump.every(SECONDS_BETWEEN_LOOKS, lambda: self.is_shown and self.watch.tick())

    def update(self) -> None:
        """Show what is picked, and whether it can run."""
        if not self.is_shown:
            return
        self.choice.update()
        self._follow()

    def static(self) -> list[Any]:
        """Return what is expected of the picked layout, and the newest spread run, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.is_shown = True
        self.update()
        return [HTML(_words.head("Distribute")), *self.choice.static(), *self.watch.static(), *self.scaling.static()]

    def _follow(self) -> None:
        """Follow the queue and the store."""
        if not self.is_shown:
            return
        self.watch.offer()
        self.watch.tick()
        problems = self.session.problems()
        self.run.disabled = bool(problems) or self.session.layout is None
        self.scaling.update(can_run=not self.run.disabled)
        others = [each for each in problems if "layout" not in each and "launcher" not in each]
        lines = "".join(f"<li>{escape(problem)}</li>" for problem in others)
        hint = _words.note("Pick a layout; without one, one process trains.") if self.session.layout is None else ""
        _words.say(self.told, f'<div role="alert">This can\'t run yet:<ul>{lines}</ul></div>' if lines else hint)
        entry = self._entry()
        self.cancel.disabled = entry is None or entry.cancelling

    def _entry(self) -> queue.Entry | None:
        """Return the queue's entry of the shown run while it is under way."""
        shown = self.watch.shown
        return next((each for each in self.session.queue if each.run_id == shown and not each.finished), None)

    def _run(self) -> None:
        if self.run.disabled:
            return
        self.run.disabled = True
        job = self.session.job()
        done = any(run.job_id == job.job_id and run.status == "done" for run in self.session.runs)
        try:
            queue.put(job, self.session.store, again=done)
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))
            return
        self.session.refresh()
        self._follow()

    def _cancel(self) -> None:
        if entry := self._entry():
            queue.cancel(self.session.store, entry.entry_id)
            self.session.refresh()
            self._follow()
