"""The steps of a shrinking, in order: those of the catalog that change a checkpoint tensor by tensor or block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._add_step import AddStep
from widgets._judged import Place
from widgets._step_row import StepRow
from workbench import catalog
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from widgets.pump import Pump

FIRST = "weight_only"


class ShrinkSteps:
    """`records` are the steps as they stand; `on_change` is called when they do."""

    def __init__(self, pump: Pump, on_change: Callable[[], Any]) -> None:
        self.pump, self._on_change = pump, on_change
        self.rows: list[StepRow] = []
        self.add = AddStep(lambda _, record: self._insert(len(self.rows), record), pump.do)
        self.add.offer({part.name(): Place(0, reasons_against(part)) for part in catalog.parts("compress")})
        self.steps = ipywidgets.VBox()
        self.view = ipywidgets.VBox([ipywidgets.HTML(_words.head("Steps")), self.steps, self.add.view])
        self._insert(0, catalog.make("compress", FIRST).to_json(), tell=False)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [row.record for row in self.rows]

    @property
    def is_calibrated(self) -> bool:
        """Whether a step looks at activations, as far as the steps are legal."""
        return any(getattr(_stream(row.record), "calibrated", False) for row in self.rows)

    def _insert(self, index: int, record: dict[str, Any], *, tell: bool = True) -> None:
        self.rows.insert(index, StepRow(record, on_change=self._edit, on_action=self._act, do=self.pump.do))
        self._show(tell)

    def _act(self, row: StepRow, action: str) -> None:
        if row not in self.rows:
            return
        index = self.rows.index(row)
        if action == "duplicate":
            self._insert(index + 1, dict(row.record))
            return
        self.rows.pop(index)
        if action != "remove":
            self.rows.insert(max(0, index + (1 if action == "down" else -1)), row)
        self._show(True)

    def _edit(self, row: StepRow, record: dict[str, Any]) -> None:
        row.record = record
        self._show(True)

    def _show(self, tell: bool) -> None:
        self.steps.children = [row.view for row in self.rows]
        for index, row in enumerate(self.rows):
            row.place(index, len(self.rows))
            stream = _stream(row.record)
            row.tell([stream] if isinstance(stream, str) else [], "")
        if tell:
            self._on_change()


def reasons_against(part: Any) -> list[str]:
    """Return why a step can't change a checkpoint, whatever its first choice of parameters; empty = it can."""
    try:
        found = _stream({"use": part.name()})
    except InvalidInput:
        return []  # its required parameters have to be given first
    return [found] if isinstance(found, str) else []


def _stream(record: dict[str, Any]) -> Any:
    """Return how a step changes a checkpoint, or in words why it doesn't."""
    try:
        made: Any = catalog.make("compress", record)
    except InvalidInput as error:
        return "; ".join(error.problems)
    return made.stream()
