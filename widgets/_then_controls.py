"""The notebooks that follow the first one in each row of a batch: a field each, and always an empty one for the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets

TOLD = "Executed after the first one in each row, in the same folder of results; a parameter goes to every notebook that declares it"


class ThenControls:
    """`paths` is what `workbench batch run` takes behind --then, in its order."""

    def __init__(self, known: Sequence[str], on_change: Callable[[], None]) -> None:
        self._known, self._on_change = tuple(known), on_change
        self.fields: list[ipywidgets.Combobox] = []
        self.view = ipywidgets.VBox()
        self.view.add_class("wb-then")
        self._lay_out()

    def paths(self) -> tuple[str, ...]:
        """Return the notebooks named, those from the user's home as whole paths."""
        return tuple(str(Path(field.value.strip()).expanduser()) for field in self.fields if field.value.strip())

    def clear(self) -> None:
        """Name none; says nothing to who listens."""
        self.fields = []
        self._lay_out()

    def _changed(self) -> None:
        self._lay_out()
        self._on_change()

    def _lay_out(self) -> None:
        """Drop the fields that are empty and put one at the end."""
        self.fields = [*(field for field in self.fields if field.value.strip()), self._field()]
        self.view.children = tuple(self.fields)

    def _field(self) -> ipywidgets.Combobox:
        field = ipywidgets.Combobox(
            options=self._known, description="Then", placeholder="none; or another notebook for each row", tooltip=TOLD,
            continuous_update=False, layout={"width": "min(560px, 100%)"},
        )  # fmt: skip
        field.observe(lambda _: self._changed(), names="value")
        return field
