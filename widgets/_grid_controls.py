"""A field for each parameter that a notebook declares: one value, several, or a range; empty keeps the notebook's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ipywidgets

if TYPE_CHECKING:
    from workbench.params import ParamSpec

HOW = "One value, several as in 2, 4, 8, or a range as in 0..4; empty keeps the default."


class GridControls:
    """`pairs` is what `workbench batch run` takes behind -p."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.fields: dict[str, ipywidgets.Text] = {}
        self.view = ipywidgets.Box()
        self.view.add_class("wb-grid")

    def declare(self, specs: Sequence[ParamSpec], given: dict[str, str]) -> None:
        """Make the fields anew; `given` is what is filled in beforehand, by name."""
        self.fields = {spec.name: _field(spec, given.get(spec.name, "")) for spec in specs}
        for field in self.fields.values():
            field.observe(lambda _: self._on_change(), names="value")
        told = [ipywidgets.HTML("<p>This notebook declares no parameters: it is executed once.</p>")]
        self.view.children = tuple(self.fields.values()) or tuple(told)

    def pairs(self) -> tuple[str, ...]:
        """Return `name=values` for each field that is filled in."""
        return tuple(f"{name}={text}" for name, field in self.fields.items() if (text := field.value.strip()))


def _field(spec: ParamSpec, text: str) -> ipywidgets.Text:
    choices = f"one of {', '.join(map(str, spec.choices))}" if spec.choices else ""
    told = [spec.help, choices, spec.bounds, HOW]
    return ipywidgets.Text(
        text, description=spec.name, placeholder=str(spec.default), tooltip=" · ".join(filter(None, told)), continuous_update=False,
        style={"description_width": "130px"}, layout={"width": "330px"},
    )  # fmt: skip
