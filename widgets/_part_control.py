"""The control for a part: a dropdown of its family, and the form of what was picked."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets._controls import Control, Do, Emit
from workbench import catalog
from workbench.params import ParamSpec
from workbench.part import Part

if TYPE_CHECKING:
    from widgets.form import Form

RUN = "run:"  # a nested part may be the trained model of a run instead
NONE = ""  # what the dropdown holds for None, which it would take for "nothing is picked"
MakeForm = Callable[..., "Form"]


class PartControl(Control):
    """Shows a record; `runs` offers `run:ID` beside the parts, `refuse` says which parts can't be picked now."""

    def __init__(
        self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = (), *, form: MakeForm, runs: bool = True
    ) -> None:
        super().__init__(spec, emit, do, words)
        self._make_form, self._runs, self._value = form, runs, None
        self._refused: dict[str, list[str]] = {}
        self.form: Form | None = None  # None: nothing with parameters is picked
        self.menu = ipywidgets.Dropdown(options=self._options(), **self.labelled())
        self.listen(self.menu, self._picked)
        self.run = ipywidgets.Combobox(
            placeholder="run:ID", options=self.words, continuous_update=False, tooltip=f"{spec.name}: run:ID",
            layout={"width": "auto", "display": "none"},
        )  # fmt: skip
        self.listen(self.run, self._tell)
        self.note = ipywidgets.HTML(layout={"display": "none"}).add_class("wb-message")
        self.nested = ipywidgets.VBox().add_class("wb-nested")
        self.widgets = (self.menu, self.note, self.run, self.nested)

    def show(self, value: Any) -> None:
        self._value = value
        picked = value.get("use") if isinstance(value, Mapping) else None
        known = picked if picked in catalog.names(self.spec.part) else None
        absent = NONE if self.spec.optional and value is None else None  # None: a part that the catalog doesn't have
        with self.quietly():
            self.menu.value = RUN if isinstance(value, str) else known or absent
            self.run.value = value if isinstance(value, str) else ""
        self.run.layout.display = None if isinstance(value, str) else "none"
        self.say("")
        if known is None:
            self.form, self.nested.children = None, ()
        elif self.form and self.form.part.name() == known:
            self.form.set(value)
        else:
            self.form = self._make_form(catalog.get(self.spec.part, known), value, on_change=self._tell, do=self._do)
            self.nested.children = [self.form.view]

    def suggest(self, words: Sequence[str]) -> None:
        super().suggest(words)
        self.run.options = self.words

    def refuse(self, reasons: Mapping[str, list[str]]) -> None:
        """Mark the parts that can't be picked now; picking one is answered by its reasons."""
        if reasons == self._refused:
            return
        self._refused = dict(reasons)
        with self.quietly(), self.menu.hold_sync():
            before = self.menu.value
            self.menu.options = self._options()
            self.menu.value = before

    def say(self, text: str) -> None:
        """Show a message under the dropdown."""
        self.note.value = f'<div class="wb-problem" role="alert">{html.escape(text)}</div>' if text else ""
        self.note.layout.display = None if text else "none"

    def _options(self) -> list[tuple[str, str]]:
        none = [("none", NONE)] if self.spec.optional else []
        runs = [("the model of a run …", RUN)] if self._runs else []
        return none + [(self._entry(part), part.name()) for part in catalog.parts(self.spec.part)] + runs

    def _entry(self, part: type[Part]) -> str:
        return f"{'✗ ' if self._refused.get(part.name()) else ''}{part.title} ({part.name()})"

    def _picked(self, name: str | None) -> None:
        if reasons := self._refused.get(name or ""):
            self.show(self._value)
            self.say("; ".join(reasons))
            return
        self._tell(None if name in (None, NONE) else RUN if name == RUN else {"use": name})

    def _tell(self, value: Any) -> None:
        self.show(value)
        self.emit(self.form.value if self.form else value)
