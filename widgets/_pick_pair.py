"""Which two runs are held against each other: A and B of the session as dropdowns, with a button that exchanges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from workbench import table
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

PARENT, NONE = ("parent of B", ""), ("– pick a run –", "")
TAIL = 8  # characters of a run id that tell runs of one recipe apart


class PickPair:
    """Shows and sets `session.a` and `session.b`; what is picked elsewhere is shown here too."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        wide = {"width": "auto", "min_width": "240px", "flex": "1 1 300px"}
        self.a = ipywidgets.Dropdown(options=[PARENT], description="A", tooltip="What B is held against", layout=wide)
        self.b = ipywidgets.Dropdown(options=[NONE], description="B", tooltip="The run that is looked at", layout=wide)
        self.swap = ipywidgets.Button(icon="exchange", tooltip="Exchange A and B", layout={"width": "40px"})
        self.swap.add_class("wb-swap")
        self.view = ipywidgets.Box([self.a, self.swap, self.b]).add_class("wb-pair")
        for control in (self.a, self.b):
            control.observe(lambda _: pump.do(self._take, key=self), names="value")
        self.swap.on_click(lambda _: pump.do(self._exchange))

    def update(self) -> None:
        """Offer the runs that there are, newest first; sends nothing when nothing changed."""
        session = self.session
        runs = [(label(run), run.run_id) for run in reversed(session.of_this_model())]
        for control, first, picked in ((self.a, PARENT, session.a), (self.b, NONE, session.b)):
            other = session.run_of(picked)
            beside = [(label(other), picked)] if other and picked not in [run_id for _, run_id in runs] else []
            options = (first, *runs, *beside)
            if control.options != options:
                control.options = options  # resets the value: `_take` reads it only after the next line
            if control.value != picked and picked in [value for _, value in options]:
                control.value = picked
        self.swap.disabled = session.compared() is None

    def _take(self) -> None:
        with self.session.hold_trait_notifications():
            self.session.a, self.session.b = self.a.value, self.b.value

    def _exchange(self) -> None:
        pair = self.session.compared()
        if pair:
            with self.session.hold_trait_notifications():
                self.session.a, self.session.b = pair[1].run_id, pair[0].run_id
            self.update()


def label(run: Run) -> str:
    """Return `recipe · format · end of its id`."""
    return f"{table.change_text(run)} · {table.format_text(run)} · {run.run_id[-TAIL:]}"


def pair_problem(session: Session) -> str:
    """Return why there is nothing to compare, and what to do; empty when there is a pair."""
    if session.compared():
        return ""
    if not session.of_this_model():
        return "No run of this model is finished. Build a recipe on the left and run it."
    b = session.run_of(session.b)
    if b is None:
        return "Pick a run as B: here, in the chart, or in the table."
    if b.status != "done":
        return f"B is {b.status}: there is nothing to compare. Pick a run that is done."
    if not session.a and b.parent is None:
        return "B is itself the model as trained and has no parent. Pick another B, or an A."
    a = session.run_of(session.a or b.parent or "")
    if a is None:
        return "A is not in this store. Pick another A."
    return (
        "A and B are the same run. Pick another one." if a.run_id == b.run_id else f"A is {a.status}. Pick another A."
    )
