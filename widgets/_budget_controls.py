"""Sliders for the budgets of a choice, each in the range of what was measured and with a box for "no limit"."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets

from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

MOST_POINTS = 10.0  # of drop that anybody would want
STEPS_PER_DECADE = 1000  # so fine that three typed digits are what is taken


@dataclass(frozen=True)
class Limit:
    """One budget: `scale` is what a shown unit is in units of the budget."""

    name: str
    label: str
    unit: str
    scale: float
    measured: str = ""  # whose values give the range; "" = `lowest` to `highest`
    lowest: float = 0.0
    highest: float = 0.0


LIMITS = (
    Limit("max_latency_ms", "Latency at most", "ms", 1.0, "latency_ms_p50"),
    Limit("max_drop", "Drop at most", "points", 1.0, highest=MOST_POINTS),
    Limit("max_bytes", "Size at most", "kB", 1e3, "artifact_bytes"),
    Limit("max_memory_bytes", "Memory at most", "MB", 1e6, "peak_memory_bytes"),
    Limit("min_accuracy", "Accuracy at least", "%", 0.01, highest=100.0),
)


class BudgetControls:
    """Writes `session.budgets`, and follows it when somebody else does."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.rows = {limit.name: _Row(limit, self) for limit in LIMITS}
        *usual, self._rare = (row.view for row in self.rows.values())
        self._rare.layout.display = "none"
        self.more = ipywidgets.ToggleButton(
            value=False, description="More", icon="angle-down", tooltip="Show the lowest accuracy, too",
            layout={"width": "90px"},
        )  # fmt: skip
        self.more.observe(lambda change: pump.do(self._unfold, change["new"]), names="value")
        self.free = ipywidgets.Button(
            description="No limits", tooltip="Take every budget away", layout={"width": "90px"}
        )
        self.free.on_click(lambda _: pump.do(self._free))
        self.view = ipywidgets.VBox([*usual, self._rare, ipywidgets.HBox([self.more, self.free])])
        self.view.add_class("wb-budgets")
        self.view.layout.overflow = "visible"
        session.observe(lambda _: pump.do(self.update, key=(self, "budgets")), names="budgets")
        self.update()

    def update(self) -> None:
        """Show the budgets of the session."""
        for name, row in self.rows.items():
            row.follow(self.session.budgets.get(name))
        if self.session.budgets.get("min_accuracy") is not None:
            self.more.value = True
        self.free.disabled = not any(value is not None for value in self.session.budgets.values())

    def fit_ranges(self, runs: Iterable[Run]) -> None:
        """Let each slider span what these runs have measured."""
        wanted = {row.limit.measured for row in self.rows.values()} - {""}
        values: dict[str, list[float]] = {name: [] for name in wanted}
        for run in runs:
            for each in run.measurements:
                if each.name in wanted and each.value > 0:
                    values[each.name].append(each.value)
        for row in self.rows.values():
            if row.limit.measured:
                row.span(values[row.limit.measured], self.session.budgets.get(row.limit.name))

    def put(self, name: str, value: float | None) -> None:
        """Set one budget in the session."""
        if self.session.budgets.get(name) != value:
            self.session.budgets = {**self.session.budgets, name: value}

    def _unfold(self, opened: bool) -> None:
        self._rare.layout.display = "flex" if opened else "none"
        self.more.icon = "angle-up" if opened else "angle-down"

    def _free(self) -> None:
        self.session.budgets = dict.fromkeys(self.session.budgets)


class _Row:
    """One slider whose readout can be typed into, and its box."""

    def __init__(self, limit: Limit, panel: BudgetControls) -> None:
        self.limit, self.panel = limit, panel
        self.free = ipywidgets.Checkbox(
            value=True, indent=False, description="no limit", tooltip=f"{limit.label}: don't limit",
            layout={"width": "90px"},
        )  # fmt: skip
        tip = f"{limit.label}, in {limit.unit}: drag, use the arrow keys, or type into the number"
        common: dict[str, Any] = {"disabled": True, "tooltip": tip, "description_allow_html": False}
        common["layout"] = {"flex": "1 1 200px", "min_width": "180px"}
        if limit.measured:
            self.slider = ipywidgets.FloatLogSlider(min=-3, max=6, value=1, readout_format=".3r", **common)
        else:
            self.slider = ipywidgets.FloatSlider(
                min=limit.lowest, max=limit.highest, step=0.1, readout_format=".1f", **common
            )
            self.slider.value = 1.0 if limit.name == "max_drop" else 90.0
        label = ipywidgets.HTML(f"{limit.label}, {limit.unit}", layout={"width": "160px"})
        self.view = ipywidgets.HBox([label, self.slider, self.free]).add_class(f"wb-budget-{limit.name}")
        self._told: tuple[bool, float] = (self.free.value, self.slider.value)  # as set from here
        self._budget_known: float | None = None  # as last read by hand or followed
        for control in (self.free, self.slider):
            control.observe(lambda _: panel.pump.do(self.read, key=self), names="value")

    def read(self) -> None:
        """Take over what was moved by hand; what was set from here says nothing new."""
        if (self.free.value, self.slider.value) == self._told:
            return
        self.slider.disabled = self.free.value
        self._told = (self.free.value, self.slider.value)
        self._budget_known = None if self.free.value else self._budget()
        self.panel.put(self.limit.name, self._budget_known)

    def follow(self, budget: float | None) -> None:
        """Show a budget that somebody else has set; one's own isn't shown again: the hand may have moved on."""
        if budget == self._budget_known:
            return
        self._budget_known = budget
        self.free.value = self.slider.disabled = budget is None
        if budget is not None:
            shown = budget / self.limit.scale
            if self.limit.measured:
                self._widen(shown)
            self.slider.value = shown
        self._told = (self.free.value, self.slider.value)

    def span(self, values: list[float], budget: float | None) -> None:
        """Span the values and the budget, at full hundredths of a decade; a free slider stands at its loose end."""
        self.view.layout.display = "" if values or budget is not None else "none"  # nobody measured it
        known = [value / self.limit.scale for value in (*values, *([budget] if budget else []))]
        if not known:
            return
        low = math.floor(math.log10(min(known)) * STEPS_PER_DECADE) / STEPS_PER_DECADE
        high = math.ceil(math.log10(max(known)) * STEPS_PER_DECADE) / STEPS_PER_DECADE
        self._bounds(low, max(high, low + 1 / STEPS_PER_DECADE))
        if budget is None:
            self.slider.value = 10**self.slider.max
        self._told = (self.free.value, self.slider.value)

    def _bounds(self, low: float, high: float) -> None:
        slider = self.slider
        slider.step = 1 / STEPS_PER_DECADE
        if low > slider.max:
            slider.max, slider.min = high, low
        else:
            slider.min, slider.max = low, high

    def _widen(self, shown: float) -> None:
        if shown > 0:
            exponent = math.log10(shown)
            self._bounds(min(self.slider.min, exponent), max(self.slider.max, exponent))

    def _budget(self) -> float:
        """Return the slider's value in the budget's unit, with three digits: what a person would type."""
        value = float(f"{self.slider.value:.3g}") * self.limit.scale
        return round(value) if self.limit.name.endswith("bytes") else float(f"{value:.6g}")
