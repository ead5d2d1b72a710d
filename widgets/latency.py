"""How fast runs answer, spread and all, and how near that comes to what this machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._latency_words import latency_html
from widgets._operations import Operations
from widgets._tab_panel import TabPanel
from widgets.chart_host import Chart
from workbench import ceilings
from workbench.charts.ecdf import ecdf_data, ecdf_figure
from workbench.charts.roofline import roofline_data, roofline_figure
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

MOST = 8  # curves that can be told apart
WATCHED = ["a", "b", "selected", "runs", "scope", "model", "data"]
MEASURING = "Measuring what one thread of this machine can do, in a process of its own. Seconds on most machines, minutes on some."


class Latency(TabPanel):
    """Shows the brushed runs, else the compared ones, else the newest that were timed."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.which, self.table, self.told = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.ecdf, self.roofline = Chart(), Chart()
        self.measure = ipywidgets.Button(
            description="Measure the ceilings", icon="tachometer", layout={"width": "auto"},
            tooltip="Measures what one thread of this machine can do at most; kept for the next time",
        )  # fmt: skip
        self.measure.on_click(lambda _: pump.do(self._measure))
        self.operations = Operations()
        self._key: Any = None
        self._ceilings: dict[str, Any] | None = None
        titles = ("How long calls take", "How near that comes to the machine")
        self.heads = [ipywidgets.HTML(_words.head(title)) for title in titles]
        self.view = ipywidgets.VBox(
            [self.which, self.heads[0], self.ecdf, self.table, self.heads[1], self.measure, self.told, self.roofline]
        )
        self.view.add_class("wb-latency")
        session.observe(lambda _: pump.do(self.update, key=self), names=WATCHED)

    def on_shown(self) -> None:
        """Draw what is picked now, and follow it from now on."""
        self._ceilings = ceilings.known()  # somebody may have measured them meanwhile
        self._key = None
        super().on_shown()

    def static(self) -> list[Any]:
        """Return the curves, the table and the roofline, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.on_shown()
        self.pump.drain()
        runs, _ = self._picked()
        if not any(run.get("latency_ms_p50") for run in runs):
            return [HTML(_words.head("Latency") + self.which.value + self.table.value)]
        told = HTML(_words.head("Latency") + self.which.value + self.table.value)
        return [told, ecdf_figure(ecdf_data(runs)), roofline_figure(self._roofline(runs))]

    def update(self) -> None:
        """Show the runs that are picked now; the same ones are not drawn again."""
        runs, why = self._picked()
        key = tuple(run.run_id for run in runs), why
        if not self.is_shown or key == self._key:
            return
        self._key = key
        timed = [run for run in runs if run.get("latency_ms_p50")]
        _words.say(self.which, _words.note(why))
        _words.say(self.table, latency_html(runs))
        for part in (*self.heads, self.ecdf):
            _words.show(part, bool(timed))
        if timed:
            self.ecdf.show(ecdf_figure(ecdf_data(timed)))
        self._tell_roofline(timed)

    def _picked(self) -> tuple[list[Run], str]:
        """Return the runs to show, and why these."""
        session = self.session
        brushed = [run for run_id in session.selected if (run := session.run_of(run_id)) and run.status == "done"]
        if brushed:
            more = f"; the first {MOST} are shown" if len(brushed) > MOST else ""
            return brushed[:MOST], f"{len(brushed)} brushed runs{more}."
        if pair := session.compared():
            return list(pair), "The compared runs A and B. Brush others in the trade-off chart or the table."
        timed = [run for run in session.of_this_model() if run.get("latency_ms_p50")]
        if not timed:
            return [], "No run of this model has a measured latency. Add the metric latency to the recipe and run it."
        return timed[
            -MOST:
        ], f"The newest {min(MOST, len(timed))} runs that were timed. Brush others in the chart or the table."

    def _tell_roofline(self, timed: list[Run], *, words: str = "") -> None:
        """Draw the roofline where there is something to draw it from, else say what it takes."""
        _words.show(self.measure, bool(timed) and self._ceilings is None)
        _words.show(self.roofline, bool(timed) and self._ceilings is not None)
        _words.say(self.told, words)
        if not timed or self._ceilings is None:
            if timed and not words:
                _words.say(self.told, _words.note("What this machine can do at most was not measured yet."))
            return
        if self.operations.unknown(timed):
            _words.say(self.told, _words.waiting("Counting the operations of each run…"))
            key = self._key
            aside(self.pump, lambda: self.operations.learn(timed), lambda _: self._counted(timed, key),
                  lambda words: _words.say(self.told, _words.problem(words)))  # fmt: skip
            return
        self._counted(timed, self._key)

    def _counted(self, timed: list[Run], key: Any) -> None:
        if key != self._key:
            return
        data = self._roofline(timed)
        missing = "; ".join(f"{run_id}: {why}" for run_id, why in data.missing)
        _words.say(self.told, _words.note(f"Not in the chart: {missing}.") if missing and not data.reason else "")
        self.roofline.show(roofline_figure(data))

    def _roofline(self, runs: list[Run]) -> Any:
        return roofline_data(runs, macs=self.operations.of(runs), ceilings=self._ceilings)

    def _measure(self) -> None:
        self.measure.disabled = True
        _words.say(self.told, _words.waiting(MEASURING))
        aside(self.pump, ceilings.obtain_elsewhere, self._measured, lambda words: self._measured(None, words))

    def _measured(self, found: dict[str, Any] | None, words: str = "") -> None:
        self.measure.disabled = False
        self._ceilings = found
        timed = [run for run in self._picked()[0] if run.get("latency_ms_p50")]
        self._tell_roofline(timed, words=_words.problem(words))
