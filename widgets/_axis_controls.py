"""Which chart, which two quantities, which split, which runs: the controls over the trade-off chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

POINTS, LINES, CHECKS = "Points", "All quantities", "Estimates checked"
KINDS = {
    POINTS: "two quantities of each run, and the best trade-offs",
    LINES: "one line per run across all quantities",
    CHECKS: "what was estimated against what was then measured",
}
TRAITS = ("x", "y", "split", "scope")


class AxisControls:
    """Writes x, y, split and scope of the session; which chart is seen is its own affair (`kind`)."""

    def __init__(self, session: Session, pump: Pump, on_kind: Callable[[], None]) -> None:
        self.session = session
        self.kind = _toggles(list(KINDS), "Chart", list(KINDS.values()))
        self.x, self.y = (
            ipywidgets.Dropdown(
                options=[(name, name)], description=f"{letter} axis", tooltip=f"Quantity on the {letter} axis",
                layout={"width": "330px"}, style={"description_width": "45px"},
            )
            for letter, name in (("x", session.x), ("y", session.y))
        )  # fmt: skip
        tips = ("what choosing reads", "for the final check of what was chosen")
        self.split = _toggles(["validation", "test"], "Split", tips)
        tips = ("runs of the picked model on the picked data", "runs of every model on the picked data")
        self.scope = _toggles(["this model", "all models"], "Runs", tips)
        self.controls = dict(zip(TRAITS, (self.x, self.y, self.split, self.scope)))
        for trait, control in self.controls.items():
            control.observe(lambda _, trait=trait: pump.do(self._read, trait, key=(self, trait)), names="value")
        self.kind.observe(lambda _: pump.do(on_kind, key=(self, "kind")), names="value")
        self.view = ipywidgets.Box(
            [self.kind, self.x, self.y, self.split, self.scope], layout={"flex_flow": "row wrap", "overflow": "visible"}
        )
        self.view.add_class("wb-axis-controls")

    def update(self, known: Sequence[tuple[str, str]]) -> None:
        """Offer the quantities that some run has, and show what the session says; a quantity nobody has is replaced."""
        names = [name for _, name in known]
        for trait, other in (("x", "y"), ("y", "x")):
            if names and getattr(self.session, trait) not in names:
                free = [name for name in names if name != getattr(self.session, other)]
                setattr(self.session, trait, (free or names)[0])
        for trait, control in self.controls.items():
            if trait in ("x", "y") and known and tuple(known) != control.options:
                control.options = tuple(known)
            if trait not in ("x", "y") or names:
                control.value = getattr(self.session, trait)

    def _read(self, trait: str) -> None:
        value: Any = self.controls[trait].value
        if value is not None and value != getattr(self.session, trait):
            setattr(self.session, trait, value)


def _toggles(names: list[str], label: str, tips: Sequence[str]) -> ipywidgets.ToggleButtons:
    return ipywidgets.ToggleButtons(
        options=names, description=label, tooltips=list(tips), style={"button_width": "auto", "description_width": "45px"},
        layout={"width": "auto"},
    )  # fmt: skip
