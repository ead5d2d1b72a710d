"""Times the two compared runs in turn, now; says what stands in the way, and never loses how that ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from widgets._aside import aside
from workbench import together
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

MEASURING = (
    "Timing both in turn in three fresh processes. This takes seconds, and longer while other jobs are measured."
)


class MeasureTogether:
    """A button that is there while two runs were never timed together."""

    def __init__(self, session: Session, pump: Pump, done: Callable[[Run, Run], None]) -> None:
        self.session, self.pump, self._done = session, pump, done
        self._under_way: set[tuple[str, str]] = set()
        self._failed: dict[tuple[str, str], str] = {}
        self.button = ipywidgets.Button(
            description="Measure together now", icon="clock-o", layout={"width": "auto"},
            tooltip="Times A and B alternately in fresh processes: only such times make a ratio",
        )  # fmt: skip
        self.button.on_click(lambda _: pump.do(self._measure))
        self.told = ipywidgets.HTML()
        self.view = ipywidgets.VBox([ipywidgets.Box([self.button]).add_class("wb-flow"), self.told]).add_class(
            "wb-together"
        )

    def update(self, a: Run, b: Run, *, known: bool) -> None:
        """Offer to time these two unless the ratio is known."""
        key = (a.run_id, b.run_id)
        busy = key in self._under_way
        self.button.disabled = busy
        _words.show(self.view, not known or key in self._failed)
        _words.say(self.told, _words.waiting(MEASURING) if busy else _words.problem(self._failed.get(key, "")))

    def _measure(self) -> None:
        pair, store = self.session.compared(), self.session.store
        if pair is None:
            return
        key = (pair[0].run_id, pair[1].run_id)
        self._under_way.add(key)
        self._failed.pop(key, None)
        self.update(*pair, known=False)
        aside(self.pump, lambda: together.measure_together(*pair, store), lambda _: self._end(pair, ""),
              lambda words: self._end(pair, f"The two could not be timed together: {words}"))  # fmt: skip

    def _end(self, pair: tuple[Run, Run], failed: str) -> None:
        key = (pair[0].run_id, pair[1].run_id)
        self._under_way.discard(key)
        if failed:
            self._failed[key] = failed
        self._done(*pair)
