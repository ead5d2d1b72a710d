"""Which quantities are measured, each with its parameters on demand."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from widgets.form import Do, Form
from workbench import catalog
from workbench.params import describe

Records = list[dict[str, Any]]


class PickMetrics:
    """A box to tick per metric of the catalog; `on_change(records)` is told what a person picks."""

    def __init__(self, on_change: Callable[[Records], None], do: Do) -> None:
        self._on_change, self._do = on_change, do
        self._records: dict[str, dict[str, Any]] = {}  # by name: what is picked, in the catalog's order
        self._forms: dict[str, Form] = {}
        self._shown: Records = []
        self.boxes = {part.name(): self._box(part) for part in catalog.parts("measure")}
        for name, box in self.boxes.items():
            box.observe(
                lambda change, name=name: self._do(self._ticked, name, change["new"], key=(self, name)), "value"
            )
        self.more = ipywidgets.ToggleButton(description="metric settings", icon="sliders", layout={"width": "auto"})
        self.more.add_class("wb-more").observe(lambda _change: self._do(self._renew_forms, key=self.more), "value")
        self.reasons = ipywidgets.HTML().add_class("wb-message")
        self.forms = ipywidgets.VBox().add_class("wb-nested")
        boxes = ipywidgets.Box(list(self.boxes.values())).add_class("wb-metrics")
        self.view = ipywidgets.VBox([boxes, self.reasons, self.more, self.forms])

    def show(self, records: Sequence[dict[str, Any]]) -> None:
        """Take over the records that were picked elsewhere."""
        if list(records) == self._shown:
            return
        self._shown = list(records)
        self._records = {record["use"]: dict(record) for record in records}
        for name, box in self.boxes.items():
            box.value = name in self._records
            if name in self._forms and name in self._records:
                self._forms[name].set(self._records[name])
        self._renew_forms()

    def tell(self, reasons: Mapping[str, Sequence[str]]) -> None:
        """Show what stands against each metric."""
        lines = [f"<div>{name}: {html.escape(reason)}</div>" for name, why in reasons.items() for reason in why]
        self.reasons.value = f'<div class="wb-problem" role="alert">{"".join(lines)}</div>' if lines else ""
        self.reasons.layout.display = None if lines else "none"

    def _box(self, part: Any) -> ipywidgets.Checkbox:
        told = " ".join((part.__doc__ or "").split())
        return ipywidgets.Checkbox(
            description=part.title, tooltip=told, indent=False, layout={"width": "auto"}
        ).add_class(f"wb-metric-{part.name()}")

    def _ticked(self, name: str, ticked: bool) -> None:
        if ticked != (name in self._records):
            if ticked:
                self._records[name] = catalog.make("measure", name).to_json()
            else:
                del self._records[name]
            self._tell_all()
            self._renew_forms()

    def _edited(self, record: dict[str, Any]) -> None:
        self._records[record["use"]] = record
        self._tell_all()

    def _tell_all(self) -> None:
        self._shown = [self._records[name] for name in self.boxes if name in self._records]
        self._on_change(self._shown)

    def _renew_forms(self) -> None:
        """Show the forms of the picked metrics that have parameters, when they are asked for."""
        wanted = [name for name in self._records if describe(catalog.get("measure", name))]
        self.more.layout.display = None if wanted else "none"
        self.more.description = "hide metric settings" if self.more.value else "metric settings"
        if not self.more.value:
            self.forms.children = ()
            return
        for name in wanted:
            if name not in self._forms:
                part = catalog.get("measure", name)
                self._forms[name] = Form(part, self._records[name], on_change=self._edited, do=self._do)
        heads = {name: ipywidgets.HTML(f"<b>{catalog.get('measure', name).title}</b>") for name in wanted}
        self.forms.children = [each for name in wanted for each in (heads[name], self._forms[name].view)]
