"""How the picked training scales, measured beside independent processes; the newest measurement is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets.chart_host import Chart
from workbench import catalog, scale
from workbench.charts.scaling import in_words, scaling_data, scaling_figure
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

HELP = "Trains some updates alone, independently and together, in turn; it takes a minute and wants a quiet machine"
MEASURING = "Measuring in processes of its own: alone, independent, together, in turn…"


class SpreadScaling:
    """Measures one number of processes, the launcher's."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.measure = ipywidgets.Button(
            description="Measure scaling",
            icon="line-chart",
            tooltip=HELP,
            layout={"width": "auto", "align_self": "flex-start"},
        )
        self.measure.on_click(lambda _: pump.do(self._measure))
        self.told, self.chart = ipywidgets.HTML(), Chart()
        self.view = ipywidgets.VBox([ipywidgets.HTML(_words.head("Scaling")), self.measure, self.told, self.chart])
        self._date, self._is_measuring = "", False
        _words.show(self.chart, False)

    def update(self, *, can_run: bool) -> None:
        """Draw what is kept; nothing is drawn again that is there already."""
        self.measure.disabled = not can_run or self._is_measuring
        record = self._newest()
        if record is None or record["date"] == self._date:
            return
        self._date = record["date"]
        data = scaling_data(record)
        _words.say(self.told, _words.note(f"{in_words(data)} Load at its end {record['load1']}."))
        _words.show(self.chart, True)
        self.chart.show(scaling_figure(data))

    def static(self) -> list[Any]:
        """Return the newest measurement, if there is one."""
        record = self._newest()
        return [scaling_figure(scaling_data(record))] if record else []

    def _newest(self) -> dict[str, Any] | None:
        model = self.session.model
        return next((each for each in scale.kept(self.session.store) if each["job"]["model"] == model), None)

    def _measure(self) -> None:
        try:
            job = self.session.job()
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))
            return
        launcher: Any = catalog.make("launch", self.session.launcher)
        plan, store = scale.Plan(processes=(launcher.num_processes,)), self.session.store
        _words.say(self.told, _words.waiting(MEASURING))
        self._is_measuring = self.measure.disabled = True
        self._date = ""
        aside(self.pump, lambda: scale.scale(job, store, plan), lambda _: self._measured(),
              lambda words: self._measured(words))  # fmt: skip

    def _measured(self, words: str = "") -> None:
        self._is_measuring = False
        _words.say(self.told, _words.problem(words))
        self.update(can_run=True)
