"""The controls that take words: a line of text, JSON in a line, and words to add and remove."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import ipywidgets

from widgets._controls import Control, Do, Emit, in_words, label
from workbench.params import ParamSpec, parse_value


class Text(Control):
    """A line of text, taken when it is left or Enter is pressed; `words` are offered while typing."""

    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        super().__init__(spec, emit, do, words)
        self.field = ipywidgets.Combobox(
            **self.labelled(
                options=self.words, continuous_update=False, placeholder="required" if spec.required else "empty"
            )
        )
        self.listen(self.field, lambda text: self.emit(self.read(text)))
        self.widgets = (self.field,)

    def read(self, text: str) -> Any:
        return parse_value(self.spec, text.strip())

    def show(self, value: Any) -> None:
        with self.quietly():
            self.field.value = "" if value is None else str(value)

    def suggest(self, words: Sequence[str]) -> None:
        super().suggest(words)
        self.field.options = self.words


class Mapping(Text):
    """A JSON object in a line of text; what doesn't parse stays text, which the library refuses in words."""

    def read(self, text: str) -> Any:
        try:
            return json.loads(text) if text.strip() else {}
        except json.JSONDecodeError:
            return text

    def show(self, value: Any) -> None:
        self.field.placeholder = 'JSON, such as {"width": 8}'
        super().show(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


class Tags(Control):
    """Words to add and remove; with `words` only those can be added, but others that are there already stay to be seen."""

    def __init__(self, spec: ParamSpec, emit: Emit, do: Do, words: Sequence[str] = ()) -> None:
        super().__init__(spec, emit, do, words)
        self.label = ipywidgets.HTML(f'<span class="wb-label">{label(spec)}</span>')
        self.label.tooltip = spec.help
        self.field = ipywidgets.TagsInput(allow_duplicates=False, placeholder=f"{in_words(spec.name)}: add …")
        self.field.tooltip = spec.help
        self.listen(self.field, lambda tags: self.emit(list(tags)))
        self.widgets = (self.label, self.field)

    def show(self, value: Any) -> None:
        tags = [str(tag) for tag in value if str(tag)] if isinstance(value, list | tuple) else []
        with self.quietly(), self.field.hold_trait_notifications():
            self.field.allowed_tags = (
                [*self.words, *(tag for tag in tags if tag not in self.words)] if self.words else []
            )
            self.field.value = tags

    def suggest(self, words: Sequence[str]) -> None:
        super().suggest(words)
        self.show(self.field.value)

    def disable(self, disabled: bool) -> None:
        self.field.disabled = disabled
