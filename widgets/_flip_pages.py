"""Changed answers page by page, filtered by outcome, right class, and a cell of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from widgets._button import button
from widgets._gallery import gallery_html
from workbench.charts.flips import OUTCOMES, Flip, FlipsData, filter_flips

if TYPE_CHECKING:
    import numpy as np

    from widgets.pump import Pump

PER_PAGE = 12
ALL = "all"


class FlipPages:
    """Shows the flips it was given; filters and page are its own, and start anew with other flips."""

    def __init__(self, pump: Pump) -> None:
        self.data: FlipsData | None = None
        self.inputs: np.ndarray | None = None  # of every example of the split; None = no pictures
        self.cell: tuple[str, str] | None = None  # (A's answer, B's answer) clicked in the matrix
        self.page = 0
        self.outcome = _dropdown("Outcome", (ALL, *OUTCOMES), "How the answer changed")
        self.label = _dropdown("Class", (ALL,), "The right class of the examples")
        self.whole = button(
            "all cells", "times", "Show the examples of every cell of the matrix again", self._uncell, pump
        )
        self.back = button("", "arrow-left", "Previous page", lambda: self._turn(-1), pump)
        self.on = button("", "arrow-right", "Next page", lambda: self._turn(1), pump)
        self.place, self.cards = ipywidgets.HTML(), ipywidgets.HTML()
        for control in (self.outcome, self.label):
            control.observe(lambda _: pump.do(self._filter, key=self), names="value")
        filters = ipywidgets.Box([self.outcome, self.label, self.whole]).add_class("wb-flow")
        pager = ipywidgets.Box([self.back, self.place, self.on]).add_class("wb-flow")
        self.view = ipywidgets.VBox([filters, pager, self.cards])

    def show(self, data: FlipsData) -> None:
        """Begin with other flips: every filter is off, the first page is seen, pictures come later."""
        self.data, self.inputs, self.cell, self.page = data, None, None, 0
        self.outcome.value = ALL
        self.label.options = (
            ALL,
            *(label for label in data.labels if any(flip.target == label for flip in data.flips)),
        )
        self._draw()

    def illustrate(self, inputs: np.ndarray) -> None:
        """Add the pictures."""
        self.inputs = inputs
        self._draw()

    def pick_cell(self, before: str, after: str) -> None:
        """Keep to the examples that A called `before` and B called `after`."""
        self.cell, self.page = (before, after), 0
        self._draw()

    def chosen(self) -> list[Flip]:
        """Return the flips that pass the filters, broken first."""
        before, after = self.cell or ("", "")
        picked = (("outcomes", self.outcome.value), ("targets", self.label.value), ("before", before), ("after", after))
        return filter_flips(
            self.data.flips if self.data else (),
            **{name: () if value in (ALL, "") else (value,) for name, value in picked},
        )

    def _filter(self) -> None:
        self.page = 0
        self._draw()

    def _uncell(self) -> None:
        self.cell, self.page = None, 0
        self._draw()

    def _turn(self, by: int) -> None:
        self.page += by
        self._draw()

    def _draw(self) -> None:
        flips = self.chosen()
        last = max(0, (len(flips) - 1) // PER_PAGE)
        self.page = min(max(self.page, 0), last)
        start = self.page * PER_PAGE
        shown = flips[start : start + PER_PAGE]
        self.back.disabled, self.on.disabled = self.page == 0, self.page == last
        self.whole.disabled = self.cell is None
        where = f" that A called {self.cell[0]} and B calls {self.cell[1]}" if self.cell else ""
        counted = f"{start + 1}–{start + len(shown)} of {len(flips)}" if shown else "No changed answer"
        _words.say(self.place, _words.note(f"{counted}{where}" + ("" if shown else ": loosen the filters")))
        _words.say(self.cards, gallery_html(shown, self.inputs))


def _dropdown(text: str, options: tuple[str, ...], tooltip: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=options, description=text, tooltip=tooltip, layout={"width": "auto"})
