"""Checks the chosen layout: a process of its own simulates one rank's step on the real model, beside what was worked out."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._button import button
from workbench import scale
from workbench.errors import InvalidInput
from workbench.plan import calibration
from workbench.wording import bytes_text

if TYPE_CHECKING:
    from widgets.pump import Pump
    from workbench.plan.check import Check, Checked
    from workbench.plan.training import Layout, Wanted
    from workbench.store import Store

HELP = "One rank carries out a step of the real model without data: up to minutes of one core, and no device"


class PlanCheck:
    """`to_check` gives what to simulate, None while nothing is chosen; `show` gets what was found."""

    def __init__(
        self,
        pump: Pump,
        store: Store,
        to_check: Callable[[], tuple[str, Wanted, Layout] | None],
        show: Callable[[Checked], Any],
    ) -> None:
        self.pump, self.store, self._to_check, self._show = pump, store, to_check, show
        self.running: Check | None = None
        self.begin = button("Check this one", "check", HELP, self._begin, pump)
        self.end = button("Cancel", "stop", "Ends the simulation", self.stop, pump)
        self.end.disabled = True
        self.told, self.calibrated = ipywidgets.HTML(), ipywidgets.HTML()
        row = ipywidgets.Box([self.begin, self.end])
        row.add_class("wb-flow")
        self.view = ipywidgets.VBox([row, self.told, self.calibrated])
        self.forget()

    def forget(self) -> None:
        """Leave what belongs to another layout."""
        self.stop()
        _words.say(self.told, "")

    def recall(self) -> None:
        """Say how far plans were off here, by what was measured."""
        aside(self.pump, lambda: calibration.compare(scale.kept(self.store)), self._recalled, self._not_recalled)

    def _recalled(self, compared: list[calibration.Compared]) -> None:
        _words.say(self.calibrated, _words.note(calibration.in_words(compared)) + calibrated_html(compared))

    def _not_recalled(self, words: str) -> None:
        _words.say(self.calibrated, _words.problem(words))

    def stop(self) -> None:
        """End the simulation that runs."""
        running, self.running = self.running, None
        if running is not None:
            running.stop()
        self.begin.disabled, self.end.disabled = False, True

    def _begin(self) -> None:
        from workbench.plan.check import Check

        asked = self._to_check()
        if asked is None or self.running is not None:
            return
        try:
            check = Check(*asked)
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))
            return
        self.running = check
        self.begin.disabled, self.end.disabled = True, False
        _words.say(self.told, _words.waiting("Simulating in a process of its own…"))
        aside(self.pump, lambda: check.follow(lambda text: self.pump.do(self._say, check, text)),
              lambda found: self._ended(check, found), lambda words: self._failed(check, words))  # fmt: skip

    def _say(self, check: Check, text: str) -> None:
        if check is self.running:
            _words.say(self.told, _words.waiting(f"Simulating: {text}…"))

    def _ended(self, check: Check, found: Checked) -> None:
        if check is not self.running:
            return
        self.stop()
        _words.say(self.told, checked_html(found))
        self._show(found)

    def _failed(self, check: Check, words: str) -> None:
        if check is self.running:
            self.stop()
            _words.say(self.told, _words.problem(words))


def calibrated_html(compared: list[calibration.Compared]) -> str:
    """Return each layout that was measured here, beside its plan."""
    rows = [
        (
            html.escape(each.title), bytes_text(each.state_planned), f"{bytes_text(each.state_measured)} ({each.state_error:+.1%})",
            "" if each.seconds_planned is None else f"{each.seconds_planned * 1e3:.3g} ms",
            "" if each.time_error is None else f"{(each.seconds_measured or 0) * 1e3:.3g} ms ({each.time_error:+.0%})",
        )
        for each in compared
    ]  # fmt: skip
    heads = ("layout", "state planned", "measured (error)", "an update planned", "measured (error)")
    return _words.table("Plans held against measured runs of this machine", heads, rows) if rows else ""


def checked_html(found: Checked) -> str:
    """Return the simulated bytes beside the planned ones, by part."""
    rows = []
    for part in dict.fromkeys([*found.planned, *found.simulated]):
        planned, simulated = found.planned.get(part, 0.0), found.simulated.get(part, 0.0)
        if planned or simulated:
            rows.append(
                (html.escape(part), bytes_text(planned), bytes_text(simulated), bytes_text(simulated - planned))
            )
    sums = [sum(found.planned.values()), sum(found.simulated.values())]
    rows.append(
        ("all", *map(bytes_text, sums), f"{bytes_text(sums[1] - sums[0])} ({found.difference:+.1%})".replace("-", "−"))
    )
    where = f"a rank of stage {found.stage}" if found.layout.pipeline > 1 else "a rank"
    note = f"Simulated on {where} in {found.cpu_seconds:.0f} s of one core and {bytes_text(found.own_bytes)}."
    return _words.table(
        "At the fullest moment of a step", ("part", "planned", "simulated", "difference"), rows
    ) + _words.note(note)
