"""Shrink a checkpoint that needn't fit in memory: choose source and steps, see sizes before, run, cancel, go on, read the report."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._button import button
from widgets._shrink_steps import ShrinkSteps
from widgets._shrink_words import line, preview_html, progress_text, report_html
from widgets.chart_host import Chart
from workbench.charts.shrunk_layers import shrunk_layers_data, shrunk_layers_figure
from workbench.shrink.preview import Preview, preview

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session
    from workbench.shrink.process import Shrinking

HINT = "Give a transformers folder with safetensors, of any size: only its headers are read until you run."
GOES_ON = "The same source, steps and destination go on where a cancelled or killed one stood."


class ShrinkCheckpoint:
    """The work is a process of its own; it ends with this workbench, and finished files are kept."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.pump = pump
        self.running: Shrinking | None = None
        self.found: Preview | None = None
        self.source = _text("Source", "A transformers folder; it is only read")
        self.destination = _text("Destination", "A new folder, or one that this shrinking began")
        self.steps = ShrinkSteps(pump, self.update)
        self.calibration = _text("Calibrate on", "A text file, for steps that look at activations")
        self.compare = _text(
            "Compare on", "A text file on which the perplexity of source and result are measured; none = not measured"
        )
        self.start = button("Shrink", "play", "Starts a process of its own, or goes on", self._start, pump)
        self.start.button_style = "primary"
        self.cancel = button("Cancel", "stop", "Ends the process; finished files are kept", self._cancel, pump)
        self.before, self.told, self.command, self.report = (ipywidgets.HTML() for _ in range(4))
        self.bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0, layout={"width": "min(560px, 100%)"})
        self.bar.tooltip = "Bytes of the source that are done"
        self.errors = Chart()
        buttons = ipywidgets.Box([self.start, self.cancel])
        buttons.add_class("wb-flow")
        self.view = ipywidgets.VBox(
            [self.source, self.destination, self.steps.view, self.calibration, self.compare, self.before, self.command, buttons, self.bar,
             self.told, self.report, self.errors]
        )  # fmt: skip
        self.view.add_class("wb-shrink")
        self.cancel.disabled = True
        for part in (self.bar, self.errors):
            _words.show(part, False)
        for control in (self.source, self.destination, self.calibration, self.compare):
            control.observe(lambda _: pump.do(self.update, key=self), names="value")
        self.update()

    def close(self) -> None:
        """End what runs; it goes on when it is started again."""
        self._cancel()

    def update(self) -> None:
        """Say what would be written, or everything that is wrong with it."""
        source, self.found = self.source.value.strip(), None
        _words.show(self.calibration, self.steps.is_calibrated)
        if not source:
            self._say_before(_words.note(HINT))
            return
        records = self.steps.records
        aside(self.pump, lambda: preview(source, records), lambda found: self._previewed(source, found),
              lambda words: self._say_before(_words.problem(words)))  # fmt: skip

    def _previewed(self, source: str, found: Preview) -> None:
        if source != self.source.value.strip():
            return
        self.found = found
        self._say_before(preview_html(found, self._missing()))
        words = line(source, self.destination.value.strip() or "OUT", self.steps.records, **self._texts())
        _words.say(self.command, f"<p>The same as a command: <code>{html.escape(words)}</code></p>")

    def _say_before(self, text: str) -> None:
        _words.say(self.before, text)
        if self.found is None:
            _words.say(self.command, "")
        self.start.disabled = self.found is None or bool(self._missing()) or self.running is not None

    def _missing(self) -> list[str]:
        """Return what is still to be filled in."""
        lacks = [] if self.destination.value.strip() else ["a destination"]
        if self.found and self.found.is_calibrated and not self.calibration.value.strip():
            lacks.append("a text to calibrate on")
        return lacks

    def _texts(self) -> dict[str, str]:
        return {
            "calibration": self.calibration.value.strip() if self.steps.is_calibrated else "",
            "perplexity": self.compare.value.strip(),
        }

    def _start(self) -> None:
        from workbench.shrink.process import Shrinking

        if self.start.disabled or self.running is not None:
            return
        texts = self._texts()
        self.running = shrinking = Shrinking(
            self.source.value.strip(), self.destination.value.strip(), self.steps.records,
            calibration=texts["calibration"], perplexity=texts["perplexity"],
        )  # fmt: skip
        self.start.disabled, self.cancel.disabled, self.bar.value = True, False, 0.0
        _words.show(self.bar, True)
        _words.show(self.errors, False)
        _words.say(self.report, "")
        _words.say(self.told, _words.waiting("Starting a process of its own…"))
        aside(self.pump, lambda: shrinking.follow(lambda told: self.pump.do(self._progressed, told, key=self.bar)),
              lambda record: self._ended(record), lambda words: self._ended(None, words))  # fmt: skip

    def _progressed(self, told: dict[str, Any]) -> None:
        if self.running is None:
            return
        if told["total"]:
            self.bar.value = told["done"] / told["total"]
        _words.say(self.told, _words.waiting(progress_text(told)))

    def _cancel(self) -> None:
        if self.running is not None:
            self.cancel.disabled = True
            self.running.stop()

    def _ended(self, record: dict[str, Any] | None, words: str = "") -> None:
        self.running, self.cancel.disabled = None, True
        self.update()
        if record is None:
            _words.say(self.told, _words.problem(words) + _words.note(GOES_ON))
            return
        self.bar.value = 1.0
        _words.say(self.told, "")
        _words.say(self.report, report_html(record, Path(self.destination.value.strip())))
        _words.show(self.errors, True)
        self.errors.show(shrunk_layers_figure(shrunk_layers_data(record)))


def _text(label: str, tooltip: str) -> ipywidgets.Text:
    return ipywidgets.Text(
        description=label, tooltip=tooltip, continuous_update=False, layout={"width": "min(560px, 100%)"}
    )
