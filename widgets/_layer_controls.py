"""The same as a click on the heat map, without a mouse: a layer and a strength from lists, keep, and one step back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets

from widgets._button import button
from workbench.charts.sensitivity import Column, SensitivityData

if TYPE_CHECKING:
    from widgets.pump import Pump

Set = Callable[[str, str, str, float | None], None]
"""Takes layer, step, parameter and level; None keeps the layer as it is."""


class LayerControls:
    """Offers the layers and strengths that were measured."""

    def __init__(self, on_set: Set, on_undo: Callable[[], None], pump: Pump) -> None:
        self._on_set = on_set
        self._columns: tuple[Column, ...] = ()
        self.layer = ipywidgets.Dropdown(description="Layer", tooltip="Which layer to set", layout={"width": "auto"})
        self.column = ipywidgets.Dropdown(description="Strength", tooltip="What to do to it", layout={"width": "auto"})
        self.set = button("Set", "check", "Set the layer's strength in the recipe", self._set, pump)
        self.keep = button(
            "Keep as it is", "shield", "The step leaves this layer alone, in full precision", self._keep, pump
        )
        self.undo = button("Undo", "undo", "Take the last change of the recipe back", on_undo, pump)
        self.undo.disabled = True
        self.view = ipywidgets.Box([self.layer, self.column, self.set, self.keep, self.undo]).add_class("wb-flow")

    def offer(self, data: SensitivityData) -> None:
        """Offer what a measurement tried; what is picked stays where it can."""
        self._columns = data.columns
        for control, options in ((self.layer, data.layers), (self.column, tuple(each.label for each in data.columns))):
            if control.options != options:
                before = control.value
                control.options = options
                control.value = before if before in options else options[0]

    def can_undo(self, possible: bool) -> None:
        self.undo.disabled = not possible

    def _set(self) -> None:
        if self.column.index is not None and self.layer.value is not None:
            column = self._columns[self.column.index]
            self._on_set(self.layer.value, column.step, column.parameter, column.level if column.parameter else 1.0)

    def _keep(self) -> None:
        if self._columns and self.layer.value is not None:
            column = self._columns[self.column.index or 0]
            self._on_set(self.layer.value, column.step, column.parameter, None)
