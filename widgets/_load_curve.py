"""A load test of what is served, drawn while it goes up with the rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets.chart_host import Chart
from workbench.charts.load import load_data, load_figure, summary

if TYPE_CHECKING:
    from widgets.pump import Pump
    from workbench.load.process import LoadTest

HELP = "Requests come at their own times, whether the server keeps up or not; latency counts from when each was due."
WAYS = ("REST", "gRPC")


class LoadCurve:
    """`target` gives the fields of the server to ask, by way; None while nothing is served."""

    def __init__(self, pump: Pump, target: Callable[[str], dict[str, Any] | None]) -> None:
        self.pump, self._target = pump, target
        self.steps: list[dict[str, Any]] = []
        self.running: LoadTest | None = None
        self.way = ipywidgets.ToggleButtons(options=WAYS, tooltips=["JSON over HTTP", "gRPC"])
        self.seconds = ipywidgets.BoundedFloatText(2.0, min=0.5, max=60, description="Seconds per rate", style={"description_width": "auto"},
                                                   layout={"width": "190px"})  # fmt: skip
        self.begin = ipywidgets.Button(description="Load test", icon="line-chart", tooltip=HELP)
        self.end = ipywidgets.Button(
            description="Stop the test", icon="stop", tooltip="Ends it; what is measured stays", disabled=True
        )
        self.told, self.chart = ipywidgets.HTML(_words.note(HELP)), Chart()
        self.begin.on_click(lambda _: pump.do(self._begin))
        self.end.on_click(lambda _: pump.do(self.stop))
        row = ipywidgets.Box([self.way, self.seconds, self.begin, self.end])
        row.add_class("wb-flow")
        _words.show(self.chart, False)
        self.view = ipywidgets.VBox([ipywidgets.HTML(_words.head("Under load")), row, self.told, self.chart])

    def stop(self) -> None:
        """End the test that runs; what was measured stays."""
        if self.running is not None:
            self.running.stop()

    def _begin(self) -> None:
        from workbench.load.process import LoadTest

        target = self._target(self.way.value)
        if target is None or self.running is not None:
            return
        self.steps = []
        self.begin.disabled, self.end.disabled = True, False
        _words.say(self.told, _words.waiting("Going up with the rate until the server falls behind…"))
        self.running = test = LoadTest(target, {"seconds": self.seconds.value})
        aside(self.pump, lambda: test.follow(lambda step: self.pump.do(self._step, step)), self._ended,
              lambda words: self._ended(None, words))  # fmt: skip

    def _step(self, step: dict[str, Any]) -> None:
        self.steps = sorted([*self.steps, step], key=lambda each: each["rate"])
        _words.say(
            self.told, _words.waiting(f"{step['rate']:,.4g} requests/s: answered {step['answered_rate']:,.4g}/s…")
        )
        self._draw()

    def _draw(self) -> dict[str, Any]:
        from workbench.load import saturation

        kept, first = saturation((step["rate"], step["keeps_up"]) for step in self.steps)
        record = {"steps": self.steps, "saturation": kept, "first_too_much": first}
        if any(step["percentiles_ms"]["p50"] is not None for step in self.steps):
            _words.show(self.chart, True)
            self.chart.show(load_figure(load_data(record)))
        return record

    def _ended(self, _record: dict[str, Any] | None, words: str = "") -> None:
        self.running, self.begin.disabled, self.end.disabled = None, False, True
        if words:
            _words.say(self.told, _words.problem(words))
        elif self.steps:
            record = self._draw()
            missing = load_data(record).missing
            late = max(step["own_delay_p99_ms"] for step in self.steps)
            facts = f"This client shares the machine with the server, and was itself late by {late:.1f} ms (p99 of the worst rate)."
            _words.say(
                self.told,
                f"<p><b>{summary(load_data(record))}</b></p>"
                + _words.note(facts)
                + _words.note(missing and f"Not drawn: {missing}."),
            )
        else:
            _words.say(self.told, _words.note("Stopped before the first rate was done."))
